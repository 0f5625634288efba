//#axis - | _f16 HALF GRADIENT
//#form _wide WIDE
//#never HALF WIDE
//
// batch_norm_backward, from g = d loss / d output (through the ReLU after it, if there is one), with
// x^[m,c] = (input[m,c] - mean[c]) / sqrt(variance[c] + eps):
//
//   grad_bias[c]    = sum over m of g[m,c]
//   grad_weight[c]  = sum over m of g[m,c] * x^[m,c]
//   grad_input[m,c] = weight[c] / sqrt(variance[c] + eps) * (g[m,c] - grad_bias[c] / M - x^[m,c] * grad_weight[c] / M)
//
// in training, where mean and variance are the batch's and M its number of pixels. In evaluation they are constants, and the last
// line has only its first term. The sums take two deterministic stages: `partial_sums` adds slices of 128 pixels, in parts
// of 16 (as in batch_norm.wgsl), and `finish_sums` adds the slices. Then `apply`. One vec4 of channels of a run of pixels per
// invocation, 64 to a workgroup, folded.
//#import shared/stored.wgsl
//#import shared/fold.wgsl
//#import shared/relu.wgsl
struct BatchNormBackward {
    pixels: u32,
    channels4: u32,
    chunks: u32,
    training: u32,
    relu: u32,
    pitch4: u32, // vec4s from one pixel to the next
}
const CHUNK: u32 = 128u;
const PART: u32 = 16u;
const RUN: u32 = 8u; // pixels of an invocation of `apply`

@group(0) @binding(0) var<uniform> norm: BatchNormBackward;
@group(0) @binding(1) var<storage, read> input: array<Stored4>;
@group(0) @binding(2) var<storage, read> grad_output: array<Stored4>;
@group(0) @binding(3) var<storage, read> batch: array<vec4f>;          // means, scales, biases, 1 / deviations
@group(0) @binding(4) var<storage, read> output: array<Stored4>;        // after the ReLU; read only if there is one
@group(0) @binding(5) var<storage, read_write> partials: array<vec4f>; // sums of g by chunk, then sums of g * x^
@group(0) @binding(6) var<storage, read_write> grad_bias: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> grad_weight: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> grad_input: array<Stored4>;

fn grad_at(i: u32) -> vec4f {
    let g = unpack4(grad_output[i]);
    if norm.relu == 0u {
        return g;
    }
    return rectify_backward(unpack4(output[i]), g);
}


@compute @workgroup_size(64)
fn partial_sums(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    let chunk = i / norm.channels4;
    if chunk >= norm.chunks {
        return;
    }
    let c = i % norm.channels4;
    let mean = batch[c];
    let inverse = batch[3u * norm.channels4 + c];
    var sum = vec4f();
    var product = vec4f();
    let end = min((chunk + 1u) * CHUNK, norm.pixels);
    for (var start = chunk * CHUNK; start < end; start += PART) {
        var part_sum = vec4f();
        var part_product = vec4f();
        for (var pixel = start; pixel < min(start + PART, end); pixel++) {
            let at = pixel * norm.pitch4 + c;
            let g = grad_at(at);
            part_sum += g;
            part_product += g * ((unpack4(input[at]) - mean) * inverse);
        }
        sum += part_sum;
        product += part_product;
    }
    partials[i] = sum;
    partials[norm.chunks * norm.channels4 + i] = product;
}

@compute @workgroup_size(64)
fn finish_sums(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let c = unfold(workgroup, count) * 64u + invocation;
    if c >= norm.channels4 {
        return;
    }
    var sum = vec4f();
    var product = vec4f();
    for (var chunk = 0u; chunk < norm.chunks; chunk++) {
        sum += partials[chunk * norm.channels4 + c];
        product += partials[(norm.chunks + chunk) * norm.channels4 + c];
    }
    grad_bias[c] = sum;
    grad_weight[c] = product;
}

@compute @workgroup_size(64)
fn apply(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    let c = i % norm.channels4;
    let start = i / norm.channels4 * RUN;
    if start >= norm.pixels {
        return;
    }
    let share = 1.0 / f32(norm.pixels);
    let mean = batch[c];
    let scale = batch[norm.channels4 + c];
    let inverse = batch[3u * norm.channels4 + c];
    let offset = grad_bias[c] * share;
    let slope = grad_weight[c] * share;
    for (var pixel = start; pixel < min(start + RUN, norm.pixels); pixel++) {
        let at = pixel * norm.pitch4 + c;
        var g = grad_at(at);
        if norm.training != 0u {
            g -= offset + ((unpack4(input[at]) - mean) * inverse) * slope;
        }
        grad_input[at] = pack4(scale * g);
    }
}
