//#name conv2d | conv2d_backward_input TRANSPOSED
//#axis _cooperative
//#axis - PIXELS=64 | _128x64 TALL PIXELS=128
//#axis - STEPS=16 SIDE=8 | _f16 HALF STEPS=32 SIDE=16
//#form _eight MATRICES_8X8 SIDE=8 | _emulated EMULATED
//#never MATRICES_8X8 !HALF
//#with MATRICES_8X8 if !HALF
//#never HALF EMULATED TALL
//#never HALF EMULATED TRANSPOSED
//#never TALL EMULATED TRANSPOSED
//#if !EMULATED
enable wgpu_cooperative_matrix;
// Matrix operations need control flow that is uniform within a subgroup. naga requires uniformity within a workgroup, treats no function
// result as uniform, and uses this name for both rules. All conditions around matrices below are uniform within a subgroup.
diagnostic(off, derivative_uniformity);
//#endif
//
// conv2d and its input gradient (formulas: shared/conv2d.wgsl) as an implicit GEMM by cooperative matrices (tensor cores, simdgroup
// matrices).
//
// A workgroup computes 64 pixels (TALL: 128) x 64 channels, 32 steps (f32: 16) of the reduction (r, s, c) at a time. Each subgroup computes
// parts of 32 x 32, as matrices of SIDE x SIDE with f32 sums: 16 x 16 with f16 operands, or (MATRICES_8X8) 8 x 8 with f16 or f32.
// Both operands lie in workgroup memory with the steps of a row in sequence, which is the order in which matrix units read them;
// rows are padded by 16 bytes against bank conflicts. The loads of the next tile are in flight while a tile is multiplied: all
// addresses are clamped, all loads are unconditional, and values out of range become zero after the products. The sums go
// through workgroup memory to the epilogue, 16 pixels at a time. (PIXELS + 64) * 80 + 4352 bytes in all: 14.3 or 19.3 KiB.
//
// LANES comes from the host: some drivers crash on modules with both matrices and subgroup operations (docs/internals/kernels.md). If subgroups
// are smaller than LANES, those that share a part compute it redundantly. With EMULATED, plain arithmetic replaces the matrices, so that
// everything else can be tested on adapters without them.
//
// weight: [group][destination channel padded to 64][r][s][source channel padded to 4], zero in the padding.
// dispatch: pixel_tiles * channel_tiles * groups workgroups, channel tiles fastest (they share activations), folded.
//#import shared/conv2d.wgsl
//#import shared/conv2d_walk.wgsl
@group(0) @binding(1) var<storage, read> input: array<Stored4>;

//#if EMULATED
const LANES: u32 = 32u;
//#else
// The most invocations of a subgroup: a power of two up to 64.
override LANES: u32 = 32u;
//#endif

const PIXELS: u32 = {PIXELS}u;
const INVOCATIONS: u32 = 2u * PIXELS;
const CHANNELS: u32 = 64u;
const CHANNELS4: u32 = CHANNELS / 4u;
const STEPS: u32 = {STEPS}u; // of the reduction, per tile
const STEPS4: u32 = STEPS / 4u;
const PAD4: u32 = STEPS / 16u; // 16 bytes
const SIDE: u32 = {SIDE}u; // of a matrix

// A part of the tile: ACROSS x ACROSS matrices. A subgroup computes one part, or two if subgroups have 64 invocations.
const PART: u32 = 32u;
const PART_COLUMNS: u32 = CHANNELS / PART;
const PARTS: u32 = PIXELS / PART * PART_COLUMNS;
const ACROSS: u32 = PART / SIDE;
const MOST_TURNS: u32 = 2u;
// Pixels that go through the epilogue at a time.
const STAGED: u32 = 16u;

// An invocation loads one vec4 of steps for each of OWN_PIXELS pixels and OWN_CHANNELS channels, which lie APART apart.
const OWN_PIXELS: u32 = PIXELS * STEPS4 / INVOCATIONS;
const OWN_CHANNELS: u32 = CHANNELS * STEPS4 / INVOCATIONS;
const APART: u32 = INVOCATIONS / STEPS4;

// The type of workgroup memory: vec4s, or scalars for the matrices that Metal may use, since Metal loads matrices from scalars only.
//#if MATRICES_8X8
const UNITS: u32 = 4u; // in a vec4
alias Unit = Stored;
alias StagedUnit = f32;
//#else
const UNITS: u32 = 1u;
alias Unit = Stored4;
alias StagedUnit = vec4f;
//#endif
const UNIT: u32 = 4u / UNITS; // values
const PITCH4: u32 = STEPS4 + PAD4; // from one row of steps to the next, in vec4s
const PITCH: u32 = PITCH4 * UNITS; // in units
const STAGED_PITCH4: u32 = CHANNELS4 + 1u;
const STAGED_PITCH: u32 = STAGED_PITCH4 * UNITS;

var<workgroup> activations: array<Unit, PIXELS * PITCH>;          // [pixel][step]
var<workgroup> weights: array<Unit, CHANNELS * PITCH>;            // [channel][step]
var<workgroup> staged: array<StagedUnit, STAGED * STAGED_PITCH>;  // [pixel][channel]

//#for o in 0..2
fn put_{activations,weights[o]}(at4: u32, v: Stored4) {
//#if MATRICES_8X8
//#for i in 0..4
    {activations,weights[o]}[at4 * 4u + {i}u] = v.{xyzw[i]};
//#endfor
//#else
    {activations,weights[o]}[at4] = v;
//#endif
}
//#endfor

fn staged_at(at4: u32) -> vec4f {
//#if MATRICES_8X8
    let at = at4 * 4u;
    return vec4f({i in 0..4: staged[at + {i}u]});
//#else
    return staged[at4];
//#endif
}

//#if EMULATED
// Each invocation holds this many consecutive values of each of its subgroup's sums.
const OWN: u32 = SIDE * SIDE / LANES;
alias Sum = array<f32, OWN>;

fn product(left_at: u32, right_at: u32, step: u32) -> f32 {
//#if MATRICES_8X8
    return f32(activations[left_at + step]) * f32(weights[right_at + step]);
//#else
    return f32(activations[left_at + step / 4u][step % 4u]) * f32(weights[right_at + step / 4u][step % 4u]);
//#endif
}

fn put_sum(at: u32, value: f32) {
//#if MATRICES_8X8
    staged[at] = value;
//#else
    staged[at / 4u][at % 4u] = value;
//#endif
}

fn multiply_add(left_at: u32, right_at: u32, lane: u32, sum: Sum) -> Sum {
    var result = sum;
    for (var i = 0u; i < rolled(OWN); i++) {
        let at = lane * OWN + i;
        for (var step = 0u; step < rolled(SIDE); step++) {
            result[i] += product(left_at + at / SIDE * PITCH, right_at + at % SIDE * PITCH, step);
        }
    }
    return result;
}
//#else
alias Left = coop_mat{SIDE}x{SIDE}<Stored, A>;
alias Right = coop_mat{SIDE}x{SIDE}<Stored, B>;
alias Sum = coop_mat{SIDE}x{SIDE}<f32, C>;
//#endif

// `count`, hidden from compilers, so that they do not unroll loops.
fn rolled(count: u32) -> u32 {
    return count * min(conv.groups, 1u);
}

// The sources of an invocation: its pixels with their starts, and the first vec4 of its channels' weights, with the distance from one
// channel to the next.
struct Sources {
    pixels: array<Pixel, OWN_PIXELS>,
    starts: array<u32, OWN_PIXELS>,
    weights_at: u32,
    weights_pitch4: u32,
    group_in4: u32,
}

// The values that an invocation loads for one tile, and which of them count.
struct Fetched {
    activations: array<Stored4, OWN_PIXELS>,
    places: array<Place, OWN_PIXELS>,
    weights: array<Stored4, OWN_CHANNELS>,
    live: bool,
}

fn sources_of(phase: Phase, first: u32, row: u32, group: u32, channel_tile: u32) -> Sources {
    var sources: Sources;
    sources.group_in4 = group_source4();
    sources.weights_pitch4 = conv.kernel.x * conv.kernel.y * sources.group_in4;
    sources.weights_at = ((group * conv.channel_tiles + channel_tile) * CHANNELS + row) * sources.weights_pitch4;
    for (var i = 0u; i < OWN_PIXELS; i++) {
        sources.pixels[i] = pixel_at(phase, first + row + i * APART);
        sources.starts[i] = start_of(sources.pixels[i]) + group * sources.group_in4;
    }
    return sources;
}

// `live` is false past the last step.
fn fetch(sources: ptr<function, Sources>, walk: Walk, live: bool) -> Fetched {
    var fetched: Fetched;
    fetched.live = live;
    for (var i = 0u; i < OWN_PIXELS; i++) {
        fetched.places[i] = source_at(walk, (*sources).pixels[i], (*sources).starts[i], live);
        fetched.activations[i] = input[fetched.places[i].at];
    }
    let weights_at = (*sources).weights_at + walk.tap.index * (*sources).group_in4 + walk.channel4;
    for (var i = 0u; i < OWN_CHANNELS; i++) {
        fetched.weights[i] = weight[select(0u, weights_at + i * APART * (*sources).weights_pitch4, live)];
    }
    return fetched;
}

// Stores loaded values into workgroup memory; zero where they do not count.
fn put(fetched: ptr<function, Fetched>, at4: u32) {
    for (var i = 0u; i < OWN_PIXELS; i++) {
        let value = select(pack4(vec4f()), (*fetched).activations[i], (*fetched).places[i].counts);
        put_activations(at4 + i * APART * PITCH4, value);
    }
    for (var i = 0u; i < OWN_CHANNELS; i++) {
        let value = select(pack4(vec4f()), (*fetched).weights[i], (*fetched).live);
        put_weights(at4 + i * APART * PITCH4, value);
    }
}

// The epilogue of the staged sums, whose first pixel is `first`. Workgroups past the end store nothing.
fn finish(phase: Phase, first: u32, group: u32, channel_tile: u32, invocation: u32, past_end: bool) {
    for (var item = invocation; item < STAGED * CHANNELS4; item += INVOCATIONS) {
        let row = item / CHANNELS4;
        let column4 = item % CHANNELS4;
        var p = pixel_at(phase, first + row);
        p.at = select(p.at, NOWHERE, past_end);
        store(p, group, channel_tile * CHANNELS4 + column4, staged_at(row * STAGED_PITCH4 + column4));
    }
}

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let tile = workgroup.x + workgroup.y * count.x;
    let channel_tile = tile % conv.channel_tiles;
    let pixel_tile = (tile / conv.channel_tiles) % conv.pixel_tiles;
    // Workgroups past the end compute the last group and store nothing, so that none skips a matrix operation.
    let tile_group = tile / (conv.pixel_tiles * conv.channel_tiles);
    let group = min(tile_group, conv.groups - 1u);
    let phase = phase_of(pixel_tile / phase_tiles());
    let first = (pixel_tile % phase_tiles()) * PIXELS;
    let subgroup = invocation / LANES;
    let turns = max(PARTS * LANES / INVOCATIONS, 1u);

    let own_step4 = invocation % STEPS4;
    let own_row = invocation / STEPS4;
    var sources = sources_of(phase, first, own_row, group, channel_tile);
    // Not read from `sources`, which browsers' compilers do not recognise as uniform.
    let group_in4 = group_source4();
    let steps4 = tap_count(phase) * group_in4;
    let stride = stride_of(phase, group_in4);
    var walk = walk_from(phase, own_step4, group_in4);
    var sums: array<Sum, MOST_TURNS * ACROSS * ACROSS>;
    var next = fetch(&sources, walk, own_step4 < steps4);
    for (var start4 = 0u; start4 < steps4; start4 += STEPS4) {
        put(&next, own_row * PITCH4 + own_step4);
        workgroupBarrier();
        walk = walk_on(phase, walk, stride, group_in4, true);
        next = fetch(&sources, walk, start4 + STEPS4 + own_step4 < steps4);
        for (var turn = 0u; turn < turns; turn++) {
            let part = subgroup + turn * (INVOCATIONS / LANES);
            // There may be more small subgroups than parts.
            if part < PARTS {
                let left_at = part / PART_COLUMNS * PART * PITCH;
                let right_at = part % PART_COLUMNS * PART * PITCH;
//#if EMULATED
                for (var sum = 0u; sum < rolled(ACROSS * ACROSS); sum++) {
                    let left = left_at + sum / ACROSS * SIDE * PITCH;
                    let right = right_at + sum % ACROSS * SIDE * PITCH;
                    for (var k = 0u; k < rolled(STEPS); k += SIDE) {
                        sums[sum] = multiply_add(left + k / UNIT, right + k / UNIT, invocation % LANES, sums[sum]);
                    }
                }
//#else
                for (var k = 0u; k < STEPS; k += SIDE) {
                    var left: array<Left, ACROSS>;
                    for (var i = 0u; i < ACROSS; i++) {
                        left[i] = coopLoadT<Left>(&activations[left_at + i * SIDE * PITCH + k / UNIT], PITCH);
                    }
                    for (var j = 0u; j < ACROSS; j++) {
                        let right = coopLoad<Right>(&weights[right_at + j * SIDE * PITCH + k / UNIT], PITCH);
                        for (var i = 0u; i < ACROSS; i++) {
                            let sum = (turn * ACROSS + i) * ACROSS + j;
                            sums[sum] = coopMultiplyAdd(left[i], right, sums[sum]);
                        }
                    }
                }
//#endif
            }
        }
        workgroupBarrier();
    }

    // Half of the rows of each row of parts at a time.
    for (var half = 0u; half < PART; half += STAGED) {
        for (var part_row = 0u; part_row < rolled(PIXELS / PART); part_row++) {
            for (var turn = 0u; turn < turns; turn++) {
                let part = subgroup + turn * (INVOCATIONS / LANES);
                if part / PART_COLUMNS == part_row {
                    for (var i = 0u; i < STAGED / SIDE; i++) {
                        for (var j = 0u; j < ACROSS; j++) {
                            let sum = sums[(turn * ACROSS + half / SIDE + i) * ACROSS + j];
                            let at = i * SIDE * STAGED_PITCH + (part % PART_COLUMNS * PART + j * SIDE) / UNIT;
//#if EMULATED
                            for (var value = 0u; value < rolled(OWN); value++) {
                                let own = invocation % LANES * OWN + value;
                                put_sum((at + own / SIDE * STAGED_PITCH) * UNIT + own % SIDE, sum[value]);
                            }
//#else
                            coopStoreT(sum, &staged[at], STAGED_PITCH);
//#endif
                        }
                    }
                }
            }
            workgroupBarrier();
            finish(phase, first + part_row * PART + half, group, channel_tile, invocation, tile_group >= conv.groups);
            workgroupBarrier();
        }
    }
}
