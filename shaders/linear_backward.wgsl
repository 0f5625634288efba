// linear_backward, from grad = d loss / d output [n,k]:
//
//   grad_input[n,c]  = sum over k of grad[n,k] * weight[k,c]
//   grad_weight[k,c] = sum over n of grad[n,k] * input[n,c]
//   grad_bias[k]     = sum over n of grad[n,k]
//
// Rows padded to vec4s as in linear.wgsl, the padding of grad zero. grad_input: one vec4 an invocation. grad_weight: four
// rows of one vec4 column an invocation. grad_bias: one vec4. 64 to a workgroup, folded.
//#import shared/fold.wgsl
@group(0) @binding(0) var<uniform> size: vec4u; // rows, vec4s of inputs, vec4s of outputs
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> grad: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> result: array<vec4f>;

@compute @workgroup_size(64)
fn grad_input(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    let in4 = size.y;
    let out4 = size.z;
    if i >= size.x * in4 {
        return;
    }
    let row = i / in4;
    let c = i % in4;
    var sum = vec4f();
    for (var k4 = 0u; k4 < out4; k4++) {
        let g = grad[row * out4 + k4];
        let w = k4 * 4u * in4 + c;
        sum += g.x * weight[w] + g.y * weight[w + in4] + g.z * weight[w + 2u * in4] + g.w * weight[w + 3u * in4];
    }
    result[i] = sum;
}

@compute @workgroup_size(64)
fn grad_weight(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    let in4 = size.y;
    let out4 = size.z;
    if i >= out4 * in4 {
        return;
    }
    let k4 = i / in4;
    let c = i % in4;
    var sum0 = vec4f();
    var sum1 = vec4f();
    var sum2 = vec4f();
    var sum3 = vec4f();
    for (var row = 0u; row < size.x; row++) {
        let g = grad[row * out4 + k4];
        let x = input[row * in4 + c];
        sum0 += g.x * x;
        sum1 += g.y * x;
        sum2 += g.z * x;
        sum3 += g.w * x;
    }
    let at = k4 * 4u * in4 + c;
    result[at] = sum0;
    result[at + in4] = sum1;
    result[at + 2u * in4] = sum2;
    result[at + 3u * in4] = sum3;
}

@compute @workgroup_size(64)
fn grad_bias(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let k4 = unfold(workgroup, count) * 64u + invocation;
    if k4 >= size.z {
        return;
    }
    var sum = vec4f();
    for (var row = 0u; row < size.x; row++) {
        sum += grad[row * size.z + k4];
    }
    result[k4] = sum;
}
