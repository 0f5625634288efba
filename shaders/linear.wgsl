// linear: output[n,k] = bias[k] + sum over c of input[n,c] * weight[k,c]
//
// Rows of input and weight are padded to vec4s, the weight to a multiple of four rows, with zeros; so the padding of an
// output row comes out as zero. One tile of 4 rows x 4 outputs an invocation, eight vec4 loads for 64 multiply-adds;
// 64 to a workgroup, output tiles fastest, folded.
//#import shared/fold.wgsl
@group(0) @binding(0) var<uniform> size: vec4u; // rows, vec4s of inputs, vec4s of outputs
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    let rows = size.x;
    let in4 = size.y;
    let out4 = size.z;
    let k4 = i % out4;
    let row = (i / out4) * 4u;
    if row >= rows {
        return;
    }
    // Rows past the end repeat the last one and are not stored.
    let x0_at = row * in4;
    let x1_at = min(row + 1u, rows - 1u) * in4;
    let x2_at = min(row + 2u, rows - 1u) * in4;
    let x3_at = min(row + 3u, rows - 1u) * in4;
    let w_at = k4 * 4u * in4;
    var sum0 = vec4f();
    var sum1 = vec4f();
    var sum2 = vec4f();
    var sum3 = vec4f();
    for (var c = 0u; c < in4; c++) {
        let w0 = weight[w_at + c];
        let w1 = weight[w_at + in4 + c];
        let w2 = weight[w_at + 2u * in4 + c];
        let w3 = weight[w_at + 3u * in4 + c];
        let x0 = input[x0_at + c];
        let x1 = input[x1_at + c];
        let x2 = input[x2_at + c];
        let x3 = input[x3_at + c];
        sum0 += vec4f(dot(x0, w0), dot(x0, w1), dot(x0, w2), dot(x0, w3));
        sum1 += vec4f(dot(x1, w0), dot(x1, w1), dot(x1, w2), dot(x1, w3));
        sum2 += vec4f(dot(x2, w0), dot(x2, w1), dot(x2, w2), dot(x2, w3));
        sum3 += vec4f(dot(x3, w0), dot(x3, w1), dot(x3, w2), dot(x3, w3));
    }
    let b = bias[k4];
    output[row * out4 + k4] = sum0 + b;
    if row + 1u < rows {
        output[(row + 1u) * out4 + k4] = sum1 + b;
    }
    if row + 2u < rows {
        output[(row + 2u) * out4 + k4] = sum2 + b;
    }
    if row + 3u < rows {
        output[(row + 3u) * out4 + k4] = sum3 + b;
    }
}
