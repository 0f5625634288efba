//#axis - | _f16 HALF
//#form _wide WIDE
//#never HALF WIDE
//
// batch_norm: output[m,c] = relu((input[m,c] - mean[c]) / sqrt(variance[c] + eps) * weight[c] + bias[c] + residual[m,c])
//
// with m over N, H, W; residual and ReLU are optional.
//
// Evaluation uses the running mean and variance: `prepare_eval`, then `apply`.
// Training uses the batch's own, computed in two passes (the variance around the mean, so that a large mean loses no
// digits), each in two deterministic stages: `partial_sums` adds chunks of 128 pixels, and `finish_*` adds the chunks.
//   partial_sums -> finish_mean -> partial_squares -> finish_variance -> apply
// Within a chunk, parts of 16 pixels are summed first: in one long sum of similar numbers the rounding errors accumulate, which
// shows once the mean is subtracted.
// The running statistics move by momentum, the variance unbiased, as in PyTorch.
// One vec4 of channels of a run of pixels per invocation, so that per-channel values are read once; 64 to a workgroup,
// folded; neighbours read neighbouring channels.
//#import shared/fold.wgsl
//#import shared/relu.wgsl
//#import shared/stored.wgsl
struct BatchNorm {
    pixels: u32,
    channels4: u32,
    chunks: u32,
    eps: f32,
    momentum: f32,
    unbias: f32, // pixels / (pixels - 1)
    relu: u32,
    residual: u32,
    pitch4: u32, // vec4s from one pixel to the next
}
const CHUNK: u32 = 128u;
const PART: u32 = 16u;
const RUN: u32 = 8u; // pixels of an invocation of `apply`

@group(0) @binding(0) var<uniform> norm: BatchNorm;
@group(0) @binding(1) var<storage, read> input: array<Stored4>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> running: array<vec4f>;  // means, then variances
@group(0) @binding(5) var<storage, read_write> partials: array<vec4f>; // [chunk][channel4]
@group(0) @binding(6) var<storage, read_write> batch: array<vec4f>;    // means, scales, biases, 1 / deviations
@group(0) @binding(7) var<storage, read> residual: array<Stored4>;
@group(0) @binding(8) var<storage, read_write> output: array<Stored4>;

fn index(workgroup: vec3u, count: vec3u, invocation: u32) -> u32 {
    return unfold(workgroup, count) * 64u + invocation;
}

// The values that `apply` and the backward pass need from a mean and a variance.
fn prepare(channel4: u32, mean: vec4f, variance: vec4f) {
    let inverse = 1.0 / sqrt(variance + norm.eps);
    batch[channel4] = mean;
    batch[norm.channels4 + channel4] = weight[channel4] * inverse;
    batch[2u * norm.channels4 + channel4] = bias[channel4];
    batch[3u * norm.channels4 + channel4] = inverse;
}

@compute @workgroup_size(64)
fn prepare_eval(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let c = index(workgroup, count, invocation);
    if c < norm.channels4 {
        prepare(c, running[c], running[norm.channels4 + c]);
    }
}

@compute @workgroup_size(64)
fn partial_sums(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = index(workgroup, count, invocation);
    let chunk = i / norm.channels4;
    if chunk >= norm.chunks {
        return;
    }
    let c = i % norm.channels4;
    var sum = vec4f();
    let end = min((chunk + 1u) * CHUNK, norm.pixels);
    for (var start = chunk * CHUNK; start < end; start += PART) {
        var part = vec4f();
        for (var pixel = start; pixel < min(start + PART, end); pixel++) {
            part += unpack4(input[pixel * norm.pitch4 + c]);
        }
        sum += part;
    }
    partials[i] = sum;
}

@compute @workgroup_size(64)
fn partial_squares(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = index(workgroup, count, invocation);
    let chunk = i / norm.channels4;
    if chunk >= norm.chunks {
        return;
    }
    let c = i % norm.channels4;
    let mean = batch[c];
    var sum = vec4f();
    let end = min((chunk + 1u) * CHUNK, norm.pixels);
    for (var start = chunk * CHUNK; start < end; start += PART) {
        var part = vec4f();
        for (var pixel = start; pixel < min(start + PART, end); pixel++) {
            let distance = unpack4(input[pixel * norm.pitch4 + c]) - mean;
            part += distance * distance;
        }
        sum += part;
    }
    partials[i] = sum;
}

fn sum_of_chunks(channel4: u32) -> vec4f {
    var sum = vec4f();
    for (var chunk = 0u; chunk < norm.chunks; chunk++) {
        sum += partials[chunk * norm.channels4 + channel4];
    }
    return sum;
}

@compute @workgroup_size(64)
fn finish_mean(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let c = index(workgroup, count, invocation);
    if c >= norm.channels4 {
        return;
    }
    let mean = sum_of_chunks(c) / f32(norm.pixels);
    batch[c] = mean;
    running[c] += norm.momentum * (mean - running[c]);
}

@compute @workgroup_size(64)
fn finish_variance(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let c = index(workgroup, count, invocation);
    if c >= norm.channels4 {
        return;
    }
    let variance = sum_of_chunks(c) / f32(norm.pixels);
    prepare(c, batch[c], variance);
    let at = norm.channels4 + c;
    running[at] += norm.momentum * (variance * norm.unbias - running[at]);
}

@compute @workgroup_size(64)
fn apply(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = index(workgroup, count, invocation);
    let c = i % norm.channels4;
    let start = i / norm.channels4 * RUN;
    if start >= norm.pixels {
        return;
    }
    let mean = batch[c];
    let scale = batch[norm.channels4 + c];
    let shift = batch[2u * norm.channels4 + c];
    for (var pixel = start; pixel < min(start + RUN, norm.pixels); pixel++) {
        let at = pixel * norm.pitch4 + c;
        var value = (unpack4(input[at]) - mean) * scale + shift;
        if norm.residual != 0u {
            value += unpack4(residual[at]);
        }
        if norm.relu != 0u {
            value = rectify(value);
        }
        output[at] = pack4(value);
    }
}
