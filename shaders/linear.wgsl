//#axis - | _gathered ROWS_BY_ORDER
//#form _wide WIDE
//
// linear: output[n,k] = bias[k] + sum over c of input[n,c] * weight[k,c]
//
// Rows of input and weight are padded to vec4s, the weight to a multiple of four rows, with zeros; so the padding of an
// output row is zero. One tile of 4 rows x 4 outputs per invocation, with eight vec4 loads for 64 multiply-adds;
// 64 to a workgroup, output tiles fastest, folded.
//
// A head has few tiles, which would leave most of a device idle. So the sum over c is divided into slices, one per invocation;
// sum_partials.wgsl, or the loss of a head's step, adds them in a fixed order. The first slice includes the bias.
// ROWS_BY_ORDER (head training): rows are examples in the epoch's order (shared/gathered.wgsl), and the bias follows the weight.
//#import shared/floats.wgsl
//#import shared/item.wgsl
//#if ROWS_BY_ORDER
//#import shared/gathered.wgsl
//#endif
@group(0) @binding(0) var<uniform> size: vec4u; // rows, vec4s of inputs, vec4s of outputs, vec4s of inputs of a slice
@group(0) @binding(1) var<storage, read> input: array<Float4>;
@group(0) @binding(2) var<storage, read> weight: array<Float4>;
//#if ROWS_BY_ORDER
//#else
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
//#endif
@group(0) @binding(4) var<storage, read_write> output: array<vec4f>; // [slice][row][output]

// The index of a row of the batch in the input.
fn row_at(row: u32) -> u32 {
//#if ROWS_BY_ORDER
    return example_of(min(row, size.x - 1u), size.x) * size.y;
//#else
    return min(row, size.x - 1u) * size.y;
//#endif
}

fn bias_at(k4: u32) -> vec4f {
//#if ROWS_BY_ORDER
    return unpack_floats(weight[size.z * 4u * size.y + k4]);
//#else
    return bias[k4];
//#endif
}

fn make(i: u32) {
    let rows = size.x;
    let in4 = size.y;
    let out4 = size.z;
    let k4 = i % out4;
    let a = i / out4;
    let row_tiles = (rows + 3u) / 4u;
    let row = (a % row_tiles) * 4u;
    let slice = a / row_tiles;
    let start = slice * size.w;
    if start >= in4 {
        return;
    }
    // Rows past the end repeat the last one and are not stored.
    let x0_at = row_at(row);
    let x1_at = row_at(row + 1u);
    let x2_at = row_at(row + 2u);
    let x3_at = row_at(row + 3u);
    let w_at = k4 * 4u * in4;
    var sum0 = vec4f();
    var sum1 = vec4f();
    var sum2 = vec4f();
    var sum3 = vec4f();
    for (var c = start; c < min(start + size.w, in4); c++) {
        let w0 = unpack_floats(weight[w_at + c]);
        let w1 = unpack_floats(weight[w_at + in4 + c]);
        let w2 = unpack_floats(weight[w_at + 2u * in4 + c]);
        let w3 = unpack_floats(weight[w_at + 3u * in4 + c]);
        let x0 = unpack_floats(input[x0_at + c]);
        let x1 = unpack_floats(input[x1_at + c]);
        let x2 = unpack_floats(input[x2_at + c]);
        let x3 = unpack_floats(input[x3_at + c]);
        sum0 += vec4f(dot(x0, w0), dot(x0, w1), dot(x0, w2), dot(x0, w3));
        sum1 += vec4f(dot(x1, w0), dot(x1, w1), dot(x1, w2), dot(x1, w3));
        sum2 += vec4f(dot(x2, w0), dot(x2, w1), dot(x2, w2), dot(x2, w3));
        sum3 += vec4f(dot(x3, w0), dot(x3, w1), dot(x3, w2), dot(x3, w3));
    }
    var b = vec4f();
    if slice == 0u {
        b = bias_at(k4);
    }
    let at = (slice * rows + row) * out4 + k4;
    output[at] = sum0 + b;
    if row + 1u < rows {
        output[at + out4] = sum1 + b;
    }
    if row + 2u < rows {
        output[at + 2u * out4] = sum2 + b;
    }
    if row + 3u < rows {
        output[at + 3u * out4] = sum3 + b;
    }
}
