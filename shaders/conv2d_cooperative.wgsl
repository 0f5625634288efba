//#variant conv2d_cooperative EIGHT
//#variant conv2d_cooperative_f16 HALF
//#variant conv2d_cooperative_emulated EIGHT EMULATED
//#variant conv2d_cooperative_f16_emulated HALF EMULATED
//#unchecked
//#if HALF
enable f16;
//#endif
//#if EMULATED
//#else
enable wgpu_cooperative_matrix;
//#endif
//
// conv2d as an implicit GEMM by cooperative matrices (tensor cores, simdgroup matrices).
//
//   output[n,p,q,k] = relu(bias[k] + residual[n,p,q,k]
//                         + sum over r,s,c of input[n, p*stride+r*dilation-padding, q*…, c] * weight[k,c,r,s])
//
// A workgroup is one subgroup of 32 and makes 32 pixels x 64 channels as matrices of SIDE x SIDE with f32 sums: 16 x 16 of f16
// operands (HALF), or 8 x 8 of f32 (EIGHT). For SIDE steps of the reduction (r, s, c) at a time it brings activations and weights
// into workgroup memory, zero past the last step, where the matrices are loaded from. The sums go through workgroup memory
// (8 KiB) to the epilogue. With EMULATED plain arithmetic stands in for the matrices, so that all the rest can be tried on
// adapters that have none: invocation i then makes SIDE * SIDE / 32 consecutive values of each sum.
//
// weight: [group][r][s][source channel padded to 4][destination channels padded to 64], zero in the padding.
// dispatch: pixel_tiles * channel_tiles * groups workgroups, channel tiles fastest (they share activations), folded.
//#import shared/conv2d.wgsl
@group(0) @binding(1) var<storage, read> input: array<Stored4>;

// True for a 1x1 kernel: the reduction then needs no divisions.
override POINTWISE: bool = false;

const PIXELS: u32 = 32u;
const CHANNELS: u32 = 64u;
const CHANNELS4: u32 = 16u;
const INVOCATIONS: u32 = 32u;
//#if EIGHT
const SIDE: u32 = 8u;
//#else
const SIDE: u32 = 16u;
//#endif
const SIDE4: u32 = SIDE / 4u;
const ROWS: u32 = PIXELS / SIDE;      // of matrices
const COLUMNS: u32 = CHANNELS / SIDE;

var<workgroup> activations: array<Stored, PIXELS * SIDE>; // [pixel][step]
var<workgroup> weights: array<Stored, SIDE * CHANNELS>;   // [step][channel]
var<workgroup> sums: array<f32, PIXELS * CHANNELS>;       // [pixel][channel]

//#if EMULATED
const OWN: u32 = SIDE * SIDE / INVOCATIONS;

fn zero(invocation: u32) {
    for (var i = invocation; i < PIXELS * CHANNELS; i += INVOCATIONS) {
        sums[i] = 0.0;
    }
}

// The invocation's part of sum += A[row] B[column].
fn multiply_add(invocation: u32, row: u32, column: u32) {
    for (var i = 0u; i < OWN; i++) {
        let pixel = row * SIDE + (invocation * OWN + i) / SIDE;
        let channel = column * SIDE + (invocation * OWN + i) % SIDE;
        var sum = sums[pixel * CHANNELS + channel];
        for (var step = 0u; step < SIDE; step++) {
            sum += f32(activations[pixel * SIDE + step]) * f32(weights[step * CHANNELS + channel]);
        }
        sums[pixel * CHANNELS + channel] = sum;
    }
}
//#else
//#if EIGHT
alias Left = coop_mat8x8<f32, A>;
alias Right = coop_mat8x8<f32, B>;
alias Sum = coop_mat8x8<f32, C>;
//#else
alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sum = coop_mat16x16<f32, C>;
//#endif
//#endif

// Four channels of one tap for one pixel; zero past the last step.
fn fetch(p: Pixel, phase: Phase, step4: u32, steps4: u32, group_in4: u32, group_offset: u32) -> vec4f {
    if step4 >= steps4 {
        return vec4f();
    }
    var tap = tap_at(phase, 0u);
    var channel4 = step4;
    if !POINTWISE {
        tap = tap_at(phase, step4 / group_in4);
        channel4 = step4 % group_in4;
    }
    if !inside(p, tap) {
        return vec4f();
    }
    return vec4f(input[source_pixel(p, tap) * conv.source_pitch4 + group_offset + channel4]);
}

@compute @workgroup_size(32)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    // Unfolded here and not by a function, whose results are not known to be the same for all invocations.
    let tile = workgroup.x + workgroup.y * count.x;
    let channel_tile = tile % conv.channel_tiles;
    let pixel_tile = (tile / conv.channel_tiles) % conv.pixel_tiles;
    let group = tile / (conv.pixel_tiles * conv.channel_tiles);
    if group >= conv.groups {
        return;
    }
    let phase = phase_of(0u);
    let first = pixel_tile * PIXELS;
    let group_in4 = group_source4();
    let group_offset = group * group_in4;
    let steps4 = conv.kernel.x * conv.kernel.y * group_in4;

    // An invocation brings all steps of one pixel, and of weights the vec4s i, i + 32, ….
    let pixel = pixel_at(phase, first + invocation);
    let row_channels4 = conv.channel_tiles * CHANNELS4;
    let weight_at = group * steps4 * 4u * row_channels4 + channel_tile * CHANNELS4;

//#if EMULATED
    zero(invocation);
//#else
//#if EIGHT
    var sum0_0 = Sum();
    var sum0_1 = Sum();
    var sum0_2 = Sum();
    var sum0_3 = Sum();
    var sum0_4 = Sum();
    var sum0_5 = Sum();
    var sum0_6 = Sum();
    var sum0_7 = Sum();
    var sum1_0 = Sum();
    var sum1_1 = Sum();
    var sum1_2 = Sum();
    var sum1_3 = Sum();
    var sum1_4 = Sum();
    var sum1_5 = Sum();
    var sum1_6 = Sum();
    var sum1_7 = Sum();
    var sum2_0 = Sum();
    var sum2_1 = Sum();
    var sum2_2 = Sum();
    var sum2_3 = Sum();
    var sum2_4 = Sum();
    var sum2_5 = Sum();
    var sum2_6 = Sum();
    var sum2_7 = Sum();
    var sum3_0 = Sum();
    var sum3_1 = Sum();
    var sum3_2 = Sum();
    var sum3_3 = Sum();
    var sum3_4 = Sum();
    var sum3_5 = Sum();
    var sum3_6 = Sum();
    var sum3_7 = Sum();
//#else
    var sum0_0 = Sum();
    var sum0_1 = Sum();
    var sum0_2 = Sum();
    var sum0_3 = Sum();
    var sum1_0 = Sum();
    var sum1_1 = Sum();
    var sum1_2 = Sum();
    var sum1_3 = Sum();
//#endif
//#endif
    for (var start4 = 0u; start4 < steps4; start4 += SIDE4) {
        for (var i = 0u; i < SIDE4; i++) {
            let x = fetch(pixel, phase, start4 + i, steps4, group_in4, group_offset);
            let at = invocation * SIDE + i * 4u;
            activations[at] = Stored(x.x);
            activations[at + 1u] = Stored(x.y);
            activations[at + 2u] = Stored(x.z);
            activations[at + 3u] = Stored(x.w);
        }
        for (var i = invocation; i < SIDE * CHANNELS4; i += INVOCATIONS) {
            let row = start4 * 4u + i / CHANNELS4;
            var w = vec4f();
            if row < steps4 * 4u {
                w = vec4f(weight[weight_at + row * row_channels4 + i % CHANNELS4]);
            }
            weights[i * 4u] = Stored(w.x);
            weights[i * 4u + 1u] = Stored(w.y);
            weights[i * 4u + 2u] = Stored(w.z);
            weights[i * 4u + 3u] = Stored(w.w);
        }
        workgroupBarrier();
//#if EMULATED
        for (var row = 0u; row < ROWS; row++) {
            for (var column = 0u; column < COLUMNS; column++) {
                multiply_add(invocation, row, column);
            }
        }
//#else
//#if EIGHT
        let left0 = coopLoadT<Left>(&activations[0], SIDE);
        let left1 = coopLoadT<Left>(&activations[64], SIDE);
        let left2 = coopLoadT<Left>(&activations[128], SIDE);
        let left3 = coopLoadT<Left>(&activations[192], SIDE);
        let right0 = coopLoadT<Right>(&weights[0], CHANNELS);
        sum0_0 = coopMultiplyAdd(left0, right0, sum0_0);
        sum1_0 = coopMultiplyAdd(left1, right0, sum1_0);
        sum2_0 = coopMultiplyAdd(left2, right0, sum2_0);
        sum3_0 = coopMultiplyAdd(left3, right0, sum3_0);
        let right1 = coopLoadT<Right>(&weights[8], CHANNELS);
        sum0_1 = coopMultiplyAdd(left0, right1, sum0_1);
        sum1_1 = coopMultiplyAdd(left1, right1, sum1_1);
        sum2_1 = coopMultiplyAdd(left2, right1, sum2_1);
        sum3_1 = coopMultiplyAdd(left3, right1, sum3_1);
        let right2 = coopLoadT<Right>(&weights[16], CHANNELS);
        sum0_2 = coopMultiplyAdd(left0, right2, sum0_2);
        sum1_2 = coopMultiplyAdd(left1, right2, sum1_2);
        sum2_2 = coopMultiplyAdd(left2, right2, sum2_2);
        sum3_2 = coopMultiplyAdd(left3, right2, sum3_2);
        let right3 = coopLoadT<Right>(&weights[24], CHANNELS);
        sum0_3 = coopMultiplyAdd(left0, right3, sum0_3);
        sum1_3 = coopMultiplyAdd(left1, right3, sum1_3);
        sum2_3 = coopMultiplyAdd(left2, right3, sum2_3);
        sum3_3 = coopMultiplyAdd(left3, right3, sum3_3);
        let right4 = coopLoadT<Right>(&weights[32], CHANNELS);
        sum0_4 = coopMultiplyAdd(left0, right4, sum0_4);
        sum1_4 = coopMultiplyAdd(left1, right4, sum1_4);
        sum2_4 = coopMultiplyAdd(left2, right4, sum2_4);
        sum3_4 = coopMultiplyAdd(left3, right4, sum3_4);
        let right5 = coopLoadT<Right>(&weights[40], CHANNELS);
        sum0_5 = coopMultiplyAdd(left0, right5, sum0_5);
        sum1_5 = coopMultiplyAdd(left1, right5, sum1_5);
        sum2_5 = coopMultiplyAdd(left2, right5, sum2_5);
        sum3_5 = coopMultiplyAdd(left3, right5, sum3_5);
        let right6 = coopLoadT<Right>(&weights[48], CHANNELS);
        sum0_6 = coopMultiplyAdd(left0, right6, sum0_6);
        sum1_6 = coopMultiplyAdd(left1, right6, sum1_6);
        sum2_6 = coopMultiplyAdd(left2, right6, sum2_6);
        sum3_6 = coopMultiplyAdd(left3, right6, sum3_6);
        let right7 = coopLoadT<Right>(&weights[56], CHANNELS);
        sum0_7 = coopMultiplyAdd(left0, right7, sum0_7);
        sum1_7 = coopMultiplyAdd(left1, right7, sum1_7);
        sum2_7 = coopMultiplyAdd(left2, right7, sum2_7);
        sum3_7 = coopMultiplyAdd(left3, right7, sum3_7);
//#else
        let left0 = coopLoadT<Left>(&activations[0], SIDE);
        let left1 = coopLoadT<Left>(&activations[256], SIDE);
        let right0 = coopLoadT<Right>(&weights[0], CHANNELS);
        sum0_0 = coopMultiplyAdd(left0, right0, sum0_0);
        sum1_0 = coopMultiplyAdd(left1, right0, sum1_0);
        let right1 = coopLoadT<Right>(&weights[16], CHANNELS);
        sum0_1 = coopMultiplyAdd(left0, right1, sum0_1);
        sum1_1 = coopMultiplyAdd(left1, right1, sum1_1);
        let right2 = coopLoadT<Right>(&weights[32], CHANNELS);
        sum0_2 = coopMultiplyAdd(left0, right2, sum0_2);
        sum1_2 = coopMultiplyAdd(left1, right2, sum1_2);
        let right3 = coopLoadT<Right>(&weights[48], CHANNELS);
        sum0_3 = coopMultiplyAdd(left0, right3, sum0_3);
        sum1_3 = coopMultiplyAdd(left1, right3, sum1_3);
//#endif
//#endif
        workgroupBarrier();
    }
//#if EMULATED
//#else
//#if EIGHT
    coopStoreT(sum0_0, &sums[0], CHANNELS);
    coopStoreT(sum0_1, &sums[8], CHANNELS);
    coopStoreT(sum0_2, &sums[16], CHANNELS);
    coopStoreT(sum0_3, &sums[24], CHANNELS);
    coopStoreT(sum0_4, &sums[32], CHANNELS);
    coopStoreT(sum0_5, &sums[40], CHANNELS);
    coopStoreT(sum0_6, &sums[48], CHANNELS);
    coopStoreT(sum0_7, &sums[56], CHANNELS);
    coopStoreT(sum1_0, &sums[512], CHANNELS);
    coopStoreT(sum1_1, &sums[520], CHANNELS);
    coopStoreT(sum1_2, &sums[528], CHANNELS);
    coopStoreT(sum1_3, &sums[536], CHANNELS);
    coopStoreT(sum1_4, &sums[544], CHANNELS);
    coopStoreT(sum1_5, &sums[552], CHANNELS);
    coopStoreT(sum1_6, &sums[560], CHANNELS);
    coopStoreT(sum1_7, &sums[568], CHANNELS);
    coopStoreT(sum2_0, &sums[1024], CHANNELS);
    coopStoreT(sum2_1, &sums[1032], CHANNELS);
    coopStoreT(sum2_2, &sums[1040], CHANNELS);
    coopStoreT(sum2_3, &sums[1048], CHANNELS);
    coopStoreT(sum2_4, &sums[1056], CHANNELS);
    coopStoreT(sum2_5, &sums[1064], CHANNELS);
    coopStoreT(sum2_6, &sums[1072], CHANNELS);
    coopStoreT(sum2_7, &sums[1080], CHANNELS);
    coopStoreT(sum3_0, &sums[1536], CHANNELS);
    coopStoreT(sum3_1, &sums[1544], CHANNELS);
    coopStoreT(sum3_2, &sums[1552], CHANNELS);
    coopStoreT(sum3_3, &sums[1560], CHANNELS);
    coopStoreT(sum3_4, &sums[1568], CHANNELS);
    coopStoreT(sum3_5, &sums[1576], CHANNELS);
    coopStoreT(sum3_6, &sums[1584], CHANNELS);
    coopStoreT(sum3_7, &sums[1592], CHANNELS);
//#else
    coopStoreT(sum0_0, &sums[0], CHANNELS);
    coopStoreT(sum0_1, &sums[16], CHANNELS);
    coopStoreT(sum0_2, &sums[32], CHANNELS);
    coopStoreT(sum0_3, &sums[48], CHANNELS);
    coopStoreT(sum1_0, &sums[1024], CHANNELS);
    coopStoreT(sum1_1, &sums[1040], CHANNELS);
    coopStoreT(sum1_2, &sums[1056], CHANNELS);
    coopStoreT(sum1_3, &sums[1072], CHANNELS);
//#endif
//#endif
    workgroupBarrier();
    for (var i = invocation; i < PIXELS * CHANNELS4; i += INVOCATIONS) {
        let at = i * 4u;
        let value = vec4f(sums[at], sums[at + 1u], sums[at + 2u], sums[at + 3u]);
        store(pixel_at(phase, first + i / CHANNELS4), group, channel_tile * CHANNELS4 + i % CHANNELS4, value);
    }
}
