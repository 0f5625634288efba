// linear: output[n,k] = bias[k] + sum over c of input[n,c] * weight[k,c]
//
// For hardware: a workgroup of 64 computes a tile of 4 rows x 4 outputs. Neighbouring invocations read neighbouring vec4s of features, each
// with a stride of 64, so that weights, which are read once, arrive in whole cache lines. The sums are added pairwise. Few rows
// are enough to keep a GPU busy, and the order of an output's sum does not depend on the other rows.
//
// Rows of input and weight are padded to vec4s, the weight to a multiple of four rows, with zeros; so the padding of an output
// row is zero. dispatch: one workgroup per tile, outputs fastest, folded.
//#import shared/fold.wgsl
@group(0) @binding(0) var<uniform> size: vec4u; // rows, vec4s of inputs, vec4s of outputs, (not used)
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> output: array<vec4f>; // [row][output]

const INVOCATIONS: u32 = 64u;
const ROWS: u32 = 4u;

// [row][invocation], four outputs each.
var<workgroup> sums: array<vec4f, ROWS * INVOCATIONS>;

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let tile = unfold(workgroup, count);
    let rows = size.x;
    let in4 = size.y;
    let out4 = size.z;
    let k4 = tile % out4;
    let row = (tile / out4) * ROWS;
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
    for (var c = invocation; c < in4; c += INVOCATIONS) {
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
    sums[invocation] = sum0;
    sums[INVOCATIONS + invocation] = sum1;
    sums[2u * INVOCATIONS + invocation] = sum2;
    sums[3u * INVOCATIONS + invocation] = sum3;
    workgroupBarrier();
    for (var half = INVOCATIONS / 2u; half > 0u; half /= 2u) {
        // The remaining sums of all four rows, divided among all invocations.
        for (var i = invocation; i < ROWS * half; i += INVOCATIONS) {
            let at = (i / half) * INVOCATIONS + i % half;
            sums[at] += sums[at + half];
        }
        workgroupBarrier();
    }
    let own = row + invocation;
    if invocation < ROWS && own < rows {
        output[own * out4 + k4] = sums[invocation * INVOCATIONS] + bias[k4];
    }
}
