//#name conv2d | conv2d_backward_input TRANSPOSED
//#axis _sum_parts
//#axis - | _f16 HALF
//#never TRANSPOSED HALF
//
// The last step of a convolution, or of its input gradient, with a split reduction:
//
//   output[n,p,q,k]     = relu(bias[k] + residual[n,p,q,k] + sum over j of partials[j,n,p,q,k])
//   grad_input[n,h,w,c] = residual[n,h,w,c] + sum over j of partials[j,n,h,w,c], through the ReLU before the convolution
//
// Always in the order of the parts, so that the bits never change. One vec4 of channels per invocation, 64 to a workgroup, channels
// fastest, folded.
//#import shared/item.wgsl
//#import shared/conv2d.wgsl
@group(0) @binding(1) var<storage, read> partials: array<vec4f>; // [part][output in its own layout]

fn make(i: u32) {
    let channels4 = conv.groups * conv.group_channels4;
    let pixels = conv.images * conv.height * conv.width;
    let pixel = i / channels4;
    let channel4 = i % channels4;
    if pixel >= pixels {
        return;
    }
    let at = pixel * conv.pitch4 + channel4;
    var sum = partials[at];
    for (var part = 1u; part < conv.parts; part++) {
        sum += partials[part * pixels * conv.pitch4 + at];
    }
    store(Pixel(0u, 0u, 0u, pixel), channel4 / conv.group_channels4, channel4 % conv.group_channels4, sum);
}
