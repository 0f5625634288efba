//#axis - | _gathered ROWS_BY_ORDER CURSOR_ADVANCED
//#form _wide WIDE
//
// linear_backward, from grad = d loss / d output [n,k]:
//
//   grad_input[n,c]  = sum over k of grad[n,k] * weight[k,c]
//   grad_weight[k,c] = sum over n of grad[n,k] * input[n,c]
//   grad_bias[k]     = sum over n of grad[n,k]
//
// Rows are padded to vec4s as in linear.wgsl; the padding of grad is zero. grad_input: one vec4 per invocation. grad_weight: twelve
// rows of two vec4 columns per invocation, with five loads for 96 multiply-adds. grad_bias: one vec4. 64 to a workgroup, folded.
// ROWS_BY_ORDER (head training): rows of the input are examples in the epoch's order (shared/gathered.wgsl), and `gradient` computes
// grad_weight, followed by grad_bias.
//#import shared/floats.wgsl
//#import shared/fold.wgsl
//#if ROWS_BY_ORDER
//#import shared/gathered.wgsl
//#endif
@group(0) @binding(0) var<uniform> size: vec4u; // rows, vec4s of inputs, vec4s of outputs
@group(0) @binding(1) var<storage, read> input: array<Float4>;
//#if ROWS_BY_ORDER
//#else
@group(0) @binding(2) var<storage, read> weight: array<Float4>;
//#endif
@group(0) @binding(3) var<storage, read> grad: array<Float4>;
@group(0) @binding(4) var<storage, read_write> result: array<Float4>;

// sum + the outer product of four inputs and four gradients: a column for each gradient.
fn add_outer(sum: mat4x4f, x: vec4f, g: vec4f) -> mat4x4f {
    return mat4x4f(sum[0] + g.x * x, sum[1] + g.y * x, sum[2] + g.z * x, sum[3] + g.w * x);
}

fn store(k4: u32, c: u32, sum: mat4x4f) {
    let at = k4 * 4u * size.y + c;
    result[at] = pack_floats(sum[0]);
    result[at + size.y] = pack_floats(sum[1]);
    result[at + 2u * size.y] = pack_floats(sum[2]);
    result[at + 3u * size.y] = pack_floats(sum[3]);
}

// The index of a row of the batch in the input.
fn row_at(row: u32) -> u32 {
//#if ROWS_BY_ORDER
    return example_of(row, size.x) * size.y;
//#else
    return row * size.y;
//#endif
}

// Tile i of grad_weight.
fn weight_tile(i: u32) {
    let in4 = size.y;
    let out4 = size.z;
    let columns = (in4 + 1u) / 2u;
    let c = i % columns;
    let k4 = (i / columns) * 3u;
    // Rows and columns past the end repeat the last one and are not stored.
    let c1 = min(c + columns, in4 - 1u);
    let g1_at = min(k4 + 1u, out4 - 1u);
    let g2_at = min(k4 + 2u, out4 - 1u);
    var sum0_0 = mat4x4f();
    var sum0_1 = mat4x4f();
    var sum1_0 = mat4x4f();
    var sum1_1 = mat4x4f();
    var sum2_0 = mat4x4f();
    var sum2_1 = mat4x4f();
    for (var row = 0u; row < size.x; row++) {
        let at = row_at(row);
        let x0 = unpack_floats(input[at + c]);
        let x1 = unpack_floats(input[at + c1]);
        let g0 = unpack_floats(grad[row * out4 + k4]);
        let g1 = unpack_floats(grad[row * out4 + g1_at]);
        let g2 = unpack_floats(grad[row * out4 + g2_at]);
        sum0_0 = add_outer(sum0_0, x0, g0);
        sum0_1 = add_outer(sum0_1, x1, g0);
        sum1_0 = add_outer(sum1_0, x0, g1);
        sum1_1 = add_outer(sum1_1, x1, g1);
        sum2_0 = add_outer(sum2_0, x0, g2);
        sum2_1 = add_outer(sum2_1, x1, g2);
    }
    store(k4, c, sum0_0);
    if c + columns < in4 {
        store(k4, c1, sum0_1);
    }
    if k4 + 1u < out4 {
        store(k4 + 1u, c, sum1_0);
        if c + columns < in4 {
            store(k4 + 1u, c1, sum1_1);
        }
    }
    if k4 + 2u < out4 {
        store(k4 + 2u, c, sum2_0);
        if c + columns < in4 {
            store(k4 + 2u, c1, sum2_1);
        }
    }
}

// Four channels of grad_bias.
fn bias_tile(k4: u32) -> vec4f {
    var sum = vec4f();
    for (var row = 0u; row < size.x; row++) {
        sum += unpack_floats(grad[row * size.z + k4]);
    }
    return sum;
}

// Tiles of grad_weight.
fn weight_tiles() -> u32 {
    return ((size.y + 1u) / 2u) * ((size.z + 2u) / 3u);
}

//#if ROWS_BY_ORDER
@compute @workgroup_size(64)
fn gradient(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    let tiles = weight_tiles();
    if i < tiles {
        weight_tile(i);
    } else if i - tiles < size.z {
        result[size.z * 4u * size.y + i - tiles] = pack_floats(bias_tile(i - tiles));
    }
}
//#else
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
        let g = unpack_floats(grad[row * out4 + k4]);
        let w = k4 * 4u * in4 + c;
        sum += g.x * unpack_floats(weight[w]) + g.y * unpack_floats(weight[w + in4])
            + g.z * unpack_floats(weight[w + 2u * in4]) + g.w * unpack_floats(weight[w + 3u * in4]);
    }
    result[i] = pack_floats(sum);
}

@compute @workgroup_size(64)
fn grad_weight(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    if i < weight_tiles() {
        weight_tile(i);
    }
}

@compute @workgroup_size(64)
fn grad_bias(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let k4 = unfold(workgroup, count) * 64u + invocation;
    if k4 < size.z {
        result[k4] = pack_floats(bias_tile(k4));
    }
}
//#endif
