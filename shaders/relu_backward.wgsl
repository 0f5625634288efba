//#axis - | _f16 HALF GRADIENT
//#form _wide WIDE
//#never HALF WIDE
//
// relu_backward: grad_input[i] = grad_output[i] where input[i] > 0, else 0
//
// input may be the forward pass's input or its output, which have the same sign. Where the input is NaN the gradient passes, as in PyTorch.
// Independent of the layout: a flat run of vec4s. One vec4 per invocation, 64 to a workgroup, folded.
//#import shared/stored.wgsl
//#import shared/item.wgsl
//#import shared/relu.wgsl
@group(0) @binding(0) var<uniform> size4: vec4u; // x: vec4s
@group(0) @binding(1) var<storage, read> input: array<Stored4>;
@group(0) @binding(2) var<storage, read> grad_output: array<Stored4>;
@group(0) @binding(3) var<storage, read_write> output: array<Stored4>;

fn make(i: u32) {
    if i >= size4.x {
        return;
    }
    output[i] = pack4(rectify_backward(unpack4(input[i]), unpack4(grad_output[i])));
}
