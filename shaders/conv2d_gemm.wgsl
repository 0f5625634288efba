//#name conv2d | conv2d_backward_input TRANSPOSED GRADIENT | conv2d_backward_input_blocks BLOCKS GRADIENT
//#axis _gemm TILED
//#axis - TILE_64X64_8X4 PIXELS=64 CHANNELS=64 ROWS=2 COLUMNS=1 STEPS=8
//#or _16x64 TILE_16X64 PIXELS=16 CHANNELS=64 ROWS=1 COLUMNS=1 STEPS=16
//#or _32x32 TILE_32X32 PIXELS=32 CHANNELS=32 ROWS=1 COLUMNS=1 STEPS=16
//#or _64x32 TILE_64X32 PIXELS=64 CHANNELS=32 ROWS=1 COLUMNS=1 STEPS=16
//#or _64x64 TILE_64X64 PIXELS=64 CHANNELS=64 ROWS=2 COLUMNS=2 STEPS=8
//#or _128x64 TILE_128X64 PIXELS=128 CHANNELS=64 ROWS=2 COLUMNS=2 STEPS=8
//#or _128x128 TILE_128X128 PIXELS=128 CHANNELS=128 ROWS=2 COLUMNS=2 STEPS=16
//#or _128x128_16x8 TILE_128X128_16X8 PIXELS=128 CHANNELS=128 ROWS=4 COLUMNS=2 STEPS=8
//#axis - | _split SPLIT
//#axis - WORDS=2 | _f16 HALF WORDS=1
//#form _pairs PAIRS WIDE
//#never PAIRS TRANSPOSED
//#never PAIRS BLOCKS
//#never PAIRS TILE_64X64_8X4
//#never PAIRS TILE_128X128_16X8
//#with FOURS if !SPLIT !BLOCKS
//#never SPLIT BLOCKS
//#never SPLIT TRANSPOSED HALF
//
// conv2d and its input gradient (formulas: shared/conv2d.wgsl) as an implicit GEMM with workgroup tiles, for hardware GPUs.
//
// A workgroup computes PIXELS x CHANNELS, STEPS steps of the reduction (r, s, c) at a time. All tile sizes add the steps in the same order.
// Every invocation loads ACTIVATIONS vec4s of activations (four channels under one tap, stored transposed, so that a row of the tile
// is one step) and WEIGHTS vec4s of weights. The loads of the next tile are in flight while a tile is multiplied. Loaded values are stored at
// the end of the same iteration, because compilers copy values that a loop carries. No load is in a branch: addresses are always inside,
// and padding becomes zero when it is stored. If a tile lies under one tap (WHOLE), an outer loop goes from tap to tap and tests for padding;
// the inner loop only adds to addresses. An invocation accumulates ROWS times four pixels x COLUMNS times four channels. 32 neighbouring
// invocations form 4 x 8 such blocks, so that they share few rows of workgroup memory.
// PAIRS: loads of 64 bits, spread over the steps. For drivers that split vector loads into components and have too few scoreboards to keep
// all of them in flight.
//
// weight: [group][r][s][source channel padded to 4][destination channels padded to CHANNELS], zero in the padding.
// SPLIT: a workgroup sums one part of the reduction; conv2d_sum_parts.wgsl adds the parts in order.
// dispatch: pixel_tiles * channel_tiles * groups (* parts) workgroups, channel tiles fastest (they share activations), folded.
//#import shared/workgroup.wgsl
//#import shared/conv2d.wgsl
//#import shared/conv2d_end.wgsl
//#import shared/conv2d_walk.wgsl
@group(0) @binding(1) var<storage, read> input: array<Stored4>;

const PIXELS: u32 = {PIXELS}u;
const CHANNELS: u32 = {CHANNELS}u;
const INVOCATIONS: u32 = {PIXELS * CHANNELS / (16 * ROWS * COLUMNS)}u;
// Steps of the reduction per tile. Fewer where registers are short, because loads in flight occupy some of them.
const STEPS: u32 = {STEPS}u;
const STEPS4: u32 = STEPS / 4u;
const CHANNELS4: u32 = CHANNELS / 4u;
// Loads of an invocation for one tile.
const ACTIVATIONS: u32 = PIXELS * STEPS4 / INVOCATIONS;
const WEIGHTS: u32 = CHANNELS4 * STEPS / INVOCATIONS;
const LOADS: u32 = ACTIVATIONS + WEIGHTS;
// Pixels, and rows of weights, that the workgroup loads at once.
const LINES: u32 = INVOCATIONS / STEPS4;
const WEIGHT_ROWS: u32 = INVOCATIONS / CHANNELS4;
// Invocations along the channels and the pixels of a tile. Each owns COLUMNS vec4s of channels, ACROSS apart, and ROWS times four pixels,
// DOWN * 4 apart.
const ACROSS: u32 = CHANNELS4 / {COLUMNS}u;
const DOWN: u32 = INVOCATIONS / ACROSS;
// Four rows of activations, padded by the pixels that 32 invocations store in a row, so that the stores meet different banks.
const FOUR_ROWS: u32 = 4u * PIXELS + 32u / STEPS4;

// [step][pixel], and [step][four channels]. Activations are floats, because invocations that store parts of one vec4 would race.
var<workgroup> activations: array<f32, STEPS4 * FOUR_ROWS>;
var<workgroup> weights: array<vec4f, STEPS * CHANNELS4>;

// Stores four steps of a pixel, each in its row.
fn turn(at: u32, v: vec4f) {
    activations[at] = v.x;
    activations[at + PIXELS] = v.y;
    activations[at + 2u * PIXELS] = v.z;
    activations[at + 3u * PIXELS] = v.w;
}

// One step of four pixels.
fn pixels_at(at: u32) -> vec4f {
    return vec4f(activations[at], activations[at + 1u], activations[at + 2u], activations[at + 3u]);
}

// The sums of an invocation: `sums[p][c]` are those of its p-th four pixels and c-th four channels.
alias Sums = array<array<array<vec4f, 4>, {COLUMNS}>, {ROWS}>;

fn first_sums(group: u32, out4: u32) -> Sums {
//#if BLOCKS
    return Sums();
//#else
//#for c in 0..COLUMNS
    let first{c} = bias_at(group, out4 + {c}u * ACROSS);
//#endfor
    let row = array({c in 0..COLUMNS: array({i in 0..4: first{c}})});
    return Sums({p in 0..ROWS: row});
//#endif
}

// Adds the products of one step. What is read last is used first: then there is one wait for all that a step reads.
fn add_step(sums: ptr<function, Sums>, four: u32, step: u32, own_quad: u32, own_channel4: u32) {
    let at = four * FOUR_ROWS + step % 4u * PIXELS + own_quad * 4u;
//#for c in 0..COLUMNS
    let x{c} = pixels_at(at + {c}u * DOWN * 4u);
    let w{c} = weights[step * CHANNELS4 + own_channel4 + {c}u * ACROSS];
//#endfor
//#for p in COLUMNS..ROWS
    let x{p} = pixels_at(at + {p}u * DOWN * 4u);
//#endfor
//#for c in 1..COLUMNS + 1, p in 1..ROWS + 1
    sums[{ROWS - p}][{COLUMNS - c}] = add_products(sums[{ROWS - p}][{COLUMNS - c}], x{ROWS - p}, w{COLUMNS - c});
//#endfor
}

// The loads for a tile: ACTIVATIONS vec4s of activations, then WEIGHTS vec4s of weights.
alias Places = array<Place, LOADS>;
alias Fetched = array<Stored4, LOADS>;

//#if PAIRS
// The loads that are due before a step. A vec4 has WORDS words of 64 bits, each loaded before a step of its own.
fn fetch(fetched: ptr<function, Fetched>, places: Places, step: u32) {
    for (var i = 0u; i < LOADS; i++) {
        let at = places[i].at;
//#for word in 0..WORDS
        if ({WORDS}u * i + {word}u) * STEPS / ({WORDS}u * LOADS) == step {
            if i < ACTIVATIONS {
                (*fetched)[i]{,.x,.y[WORDS - 1 + word]} = input[at]{,.x,.y[WORDS - 1 + word]};
            } else {
                (*fetched)[i]{,.x,.y[WORDS - 1 + word]} = weight[at]{,.x,.y[WORDS - 1 + word]};
            }
        }
//#endfor
    }
}
//#endif

fn fetch_all(places: Places) -> Fetched {
    var fetched: Fetched;
    for (var i = 0u; i < ACTIVATIONS; i++) {
        fetched[i] = input[places[i].at];
    }
    for (var i = ACTIVATIONS; i < LOADS; i++) {
        fetched[i] = weight[places[i].at];
    }
    return fetched;
}

// Stores loaded values into the tile; padding becomes zero.
fn store_tile(fetched: Fetched, places: Places, invocation: u32) {
    let turned = invocation % STEPS4 * FOUR_ROWS + invocation / STEPS4;
    for (var i = 0u; i < ACTIVATIONS; i++) {
        turn(turned + i * LINES, counted(places[i], unpack4(fetched[i])));
    }
    for (var i = 0u; i < WEIGHTS; i++) {
        let value = unpack4(fetched[ACTIVATIONS + i]);
        weights[invocation + i * INVOCATIONS] = counted_weight(places[ACTIVATIONS + i], value);
    }
}

// The rows of weights that an invocation loads.
struct Rows {
    row: u32,   // its first row within a tile
    lane: u32,  // index of the group's first row, at this invocation's four channels
    first: u32, // index of its first row in the first tile
    row4: u32,  // vec4s from one row to the next
}

fn weight_rows(group: u32, group_in4: u32, channel_tile: u32, invocation: u32) -> Rows {
    let row4 = conv.channel_tiles * CHANNELS4;
    let row = invocation / CHANNELS4;
    let group_rows = group * conv.kernel.x * conv.kernel.y * group_in4 * 4u;
    let lane = group_rows * row4 + channel_tile * CHANNELS4 + invocation % CHANNELS4;
    return Rows(row, lane, lane + row * row4, row4);
}

// The places of all its rows: in the tile that starts with step `start4`, which may be partial or under several taps, or in a whole tile
// under one tap, `tile` vec4s after the first tile.
fn place_weights(places: ptr<function, Places>, phase: Phase, start4: u32, end4: u32, group_in4: u32, rows: Rows) {
    for (var i = 0u; i < WEIGHTS; i++) {
        let row = rows.row + i * WEIGHT_ROWS;
        let step4 = start4 + row / 4u;
//#if TRANSPOSED
        let at = rows_before(walk_from(phase, step4, group_in4), group_in4) + row % 4u;
//#else
        let at = step4 * 4u + row % 4u;
//#endif
        (*places)[ACTIVATIONS + i] = place_of(rows.lane + at * rows.row4, step4 < end4);
    }
}

fn place_whole_weights(places: ptr<function, Places>, rows: Rows, tile: u32, live: bool) {
    for (var i = 0u; i < WEIGHTS; i++) {
        (*places)[ACTIVATIONS + i] = place_of(rows.first + (tile + i * WEIGHT_ROWS * rows.row4), live);
    }
}

// Adds the products of the tile in workgroup memory while the next tile is loaded.
fn multiply(sums: ptr<function, Sums>, places: Places, own_quad: u32, own_channel4: u32) -> Fetched {
//#if PAIRS
    var fetched: Fetched;
//#for step in 0..STEPS
    fetch(&fetched, places, {step}u);
    add_step(sums, {step / 4}u, {step}u, own_quad, own_channel4);
//#endfor
    return fetched;
//#else
    let fetched = fetch_all(places);
    // Compilers unroll loops of four.
    for (var four = 0u; four < STEPS4; four++) {
        for (var i = 0u; i < 4u; i++) {
            add_step(sums, four, four * 4u + i, own_quad, own_channel4);
        }
    }
    return fetched;
//#endif
}

fn make(tile: u32, invocation: u32) {
    let channel_tile = tile % conv.channel_tiles;
    let pixel_tile = (tile / conv.channel_tiles) % conv.pixel_tiles;
    // The group, and with SPLIT part * groups + group.
    let slot = tile / (conv.pixel_tiles * conv.channel_tiles);
//#if SPLIT
    let group = slot % conv.groups;
    let part = slot / conv.groups;
    if part >= conv.parts {
        return;
    }
//#else
    let group = slot;
    if group >= conv.groups {
        return;
    }
//#endif
    let phase = phase_of(pixel_tile / phase_tiles());
    let first = (pixel_tile % phase_tiles()) * PIXELS;
    let group_in4 = group_source4();
    // The steps to add. A phase with few taps may have none, or none for its last parts.
//#if SPLIT
    let begin4 = part * conv.part_steps4;
    let end4 = min(tap_count(phase) * group_in4, begin4 + conv.part_steps4);
//#else
    let begin4 = 0u;
    let end4 = tap_count(phase) * group_in4;
//#endif

    // Computing: 8 invocations along the channels and 4 along the pixels are neighbours.
    let own_channel4 = invocation % 8u + invocation / 32u % (ACROSS / 8u) * 8u;
    let own_quad = invocation / 8u % 4u + invocation / 32u / (ACROSS / 8u) * 4u;
    let out4 = channel_tile * CHANNELS4 + own_channel4;
    var sums = first_sums(group, out4);
    // Loading: invocation i loads step4 i%STEPS4 of pixels i/STEPS4, i/STEPS4 + LINES and so on, and vec4 i%CHANNELS4 of the rows of weights
    // i/CHANNELS4, i/CHANNELS4 + WEIGHT_ROWS and so on.
    let step4 = invocation % STEPS4;
    let line = invocation / STEPS4;
    let lane4 = group * group_in4 + select(0u, step4, WHOLE);
    let stride = stride_of(phase, group_in4);
    var walk = walk_from(phase, begin4 + select(step4, 0u, WHOLE), group_in4);
    var pixels: array<Pixel, ACTIVATIONS>;
    var starts: array<u32, ACTIVATIONS>;
    var places: Places;
    for (var i = 0u; i < ACTIVATIONS; i++) {
        pixels[i] = pixel_at(phase, first + line + i * LINES);
        starts[i] = start_of(pixels[i]) + lane4;
        places[i] = source_at(walk, pixels[i], starts[i], begin4 + step4 < end4);
    }
    let rows = weight_rows(group, group_in4, channel_tile, invocation);
    var weight_tile = rows_before(walk, group_in4) * rows.row4;
    if WHOLE {
        place_whole_weights(&places, rows, weight_tile, begin4 < end4);
    } else {
        place_weights(&places, phase, begin4, end4, group_in4, rows);
    }
    store_tile(fetch_all(places), places, invocation);

    // The start of the last tile but one. After it nothing is left to load, so the last tile is loaded again and not used.
    let last4 = max(end4, begin4 + 2u * STEPS4) - 2u * STEPS4;
    var start4 = begin4;
    while start4 < end4 {
        // The place of the next tile, and (WHOLE) of those after it under the same tap, until the tile after `stop4`.
        let next4 = start4 + STEPS4;
        walk = walk_on(phase, walk, stride, group_in4, !WHOLE | (next4 < end4));
        var stop4 = next4;
        var sources: array<Place, ACTIVATIONS>;
        for (var i = 0u; i < ACTIVATIONS; i++) {
            sources[i] = source_at(walk, pixels[i], starts[i], WHOLE | (next4 + step4 < end4));
        }
        weight_tile = rows_before(walk, group_in4) * rows.row4;
        if WHOLE {
            // Equal to walk.channel4, which browsers' compilers do not recognise as uniform.
            let rest4 = group_in4 - next4 % group_in4;
            stop4 = select(start4 + rest4, end4, next4 + rest4 >= end4);
            walk.channel4 += min(stop4 - STEPS4, last4) - start4;
            // From here on relative to the tile that is multiplied.
            for (var i = 0u; i < ACTIVATIONS; i++) {
                sources[i].at -= start4;
            }
        }
        for (; start4 < stop4; start4 += STEPS4) {
            for (var i = 0u; i < ACTIVATIONS; i++) {
                places[i] = sources[i];
                places[i].at += select(0u, min(start4, last4), WHOLE);
            }
            if WHOLE {
                place_whole_weights(&places, rows, weight_tile, true);
            } else {
                place_weights(&places, phase, next4, end4, group_in4, rows);
            }
            workgroupBarrier();
            let fetched = multiply(&sums, places, own_quad, own_channel4);
            workgroupBarrier();
            store_tile(fetched, places, invocation);
            weight_tile += select(0u, STEPS * rows.row4, start4 < last4);
        }
    }

    // The epilogue. Groups of four pixels lie DOWN * 4 apart, so that neighbours read neighbouring vec4s.
//#for p in 0..ROWS
    let pixels{p} = array({i in 0..4: pixel_at(phase, first + own_quad * 4u + {p}u * DOWN * 4u + {i}u)});
//#for c in 0..COLUMNS
    end(pixels{p}, slot, out4 + {c}u * ACROSS, sums[{p}][{c}]);
//#endfor
//#endfor
}
