//#axis - | _f16 HALF GRADIENT
//
// shortcut_pad_backward: grad_input[n,h,w,c] = grad_output[n, h/stride, w/stride, before + c] + residual[n,h,w,c] where the
// stride divides h and w, else residual[n,h,w,c]
//
// The gradient of option A's shortcut, added to the gradient through the residual branch. The gradient of padded channels is
// dropped. One vec4 of channels per invocation, 64 to a workgroup, folded.
//#import shared/item.wgsl
//#import shared/stored.wgsl
struct Shortcut {
    in_height: u32,
    in_width: u32,
    in_pitch4: u32,
    out_height: u32,
    out_width: u32,
    out_pitch4: u32,
    inputs: u32, // vec4s
    stride: u32,
    before4: u32, // vec4s of padded channels before the input's
}
@group(0) @binding(0) var<uniform> shortcut: Shortcut;
@group(0) @binding(1) var<storage, read> grad_output: array<Stored4>;
@group(0) @binding(2) var<storage, read> residual: array<Stored4>;
@group(0) @binding(3) var<storage, read_write> grad_input: array<Stored4>;

fn make(i: u32) {
    if i >= shortcut.inputs {
        return;
    }
    let c = i % shortcut.in_pitch4;
    let pixel = i / shortcut.in_pitch4;
    let column = pixel % shortcut.in_width;
    let rest = pixel / shortcut.in_width;
    let row = rest % shortcut.in_height;
    let image = rest / shortcut.in_height;
    var value = unpack4(residual[i]);
    // Positions between sampled pixels get no gradient, and need not lie inside of grad_output.
    let channel4 = c + shortcut.before4;
    if row % shortcut.stride == 0u && column % shortcut.stride == 0u && channel4 < shortcut.out_pitch4 {
        let p = row / shortcut.stride;
        let q = column / shortcut.stride;
        let at = ((image * shortcut.out_height + p) * shortcut.out_width + q) * shortcut.out_pitch4 + channel4;
        value += unpack4(grad_output[at]);
    }
    grad_input[i] = pack4(value);
}
