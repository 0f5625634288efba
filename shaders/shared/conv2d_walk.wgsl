// The walk of the tiled convolution kernels along the reduction (taps r, s, then channels), without divisions or branches in the loop.
// Used with conv2d.wgsl. The importing file defines STEPS4, the vec4s of steps of a tile.

// A 1x1 kernel without padding: every source pixel is inside, and there is one tap.
override POINTWISE: bool = false;
// The vec4s of a group's source channels are a multiple of four: a tile lies under one tap, which is then the same for
// all invocations, and none is partial.
//#if TILED
override WHOLE: bool = false;
//#else
const WHOLE: bool = false;
//#endif

// A position on the walk: a tap, a vec4 of channels, and the offset from a pixel's start in vec4s of the source.
struct Walk {
    tap: Tap,
    channel4: u32,
    offset: u32,
}

fn walk_to(phase: Phase, place: vec2u, channel4: u32) -> Walk {
    let tap = tap_of(phase, place);
    return Walk(tap, channel4, (tap.offset.x * conv.source_width + tap.offset.y) * conv.source_pitch4 + channel4);
}

// The position of a step of the reduction, counted in vec4s.
fn walk_from(phase: Phase, step4: u32, group_in4: u32) -> Walk {
    if POINTWISE {
        return Walk(Tap(), step4, step4);
    }
    let index = step4 / group_in4;
    // A phase may have no taps, and so no steps.
    let columns = max(phase.count.y, 1u);
    return walk_to(phase, vec2u(index / columns, index % columns), step4 % group_in4);
}

// The distance from a position in one tile to that in the next.
struct Stride {
    place: vec2u,
    channel4: u32,
}

fn stride_of(phase: Phase, group_in4: u32) -> Stride {
    if WHOLE {
        return Stride(vec2u(), STEPS4);
    }
    let taps = STEPS4 / group_in4;
    let columns = max(phase.count.y, 1u);
    return Stride(vec2u(taps / columns, taps % columns), STEPS4 % group_in4);
}

// The position in the next tile, or the same one if `more` is false.
fn walk_on(phase: Phase, walk: Walk, stride: Stride, group_in4: u32, more: bool) -> Walk {
    let channel4 = walk.channel4 + select(0u, stride.channel4, more);
    if POINTWISE {
        return Walk(walk.tap, channel4, channel4);
    }
    let next_tap = channel4 >= group_in4;
    let column = walk.tap.place.y + stride.place.y + select(0u, 1u, next_tap);
    let next_row = column >= phase.count.y;
    let row = walk.tap.place.x + stride.place.x + select(0u, 1u, next_row);
    let place = vec2u(row, select(column, column - phase.count.y, next_row));
    return walk_to(phase, place, select(channel4, channel4 - group_in4, next_tap));
}

// A pixel's start in the source: the vec4 under its window's first tap, which may lie outside (two's complement).
fn start_of(p: Pixel) -> u32 {
    return ((p.image * conv.source_height + p.row) * conv.source_width + p.column) * conv.source_pitch4;
}

//#import shared/place.wgsl

// The place at `walk` from a pixel's start; `live` is false past the last step.
fn source_at(walk: Walk, p: Pixel, start: u32, live: bool) -> Place {
    if POINTWISE {
        return place_of(start + walk.offset, live);
    }
    let rows = p.row + walk.tap.offset.x < conv.source_height;
    return place_of(start + walk.offset, live & rows & (p.column + walk.tap.offset.y < conv.source_width));
}

// The number of packed rows of weights before a position: the channels under each tap, tap after tap.
fn rows_before(walk: Walk, group_in4: u32) -> u32 {
    return (walk.tap.index * group_in4 + walk.channel4) * 4u;
}

// A loaded value, or zero if its place does not count.
fn counted(place: Place, value: vec4f) -> vec4f {
    if POINTWISE && WHOLE {
        return value;
    }
    return select(vec4f(), value, place.counts);
}

fn counted_weight(place: Place, value: vec4f) -> vec4f {
    if WHOLE {
        return value;
    }
    return select(vec4f(), value, place.counts);
}
