//#unchecked
// Bindings, geometry and epilogue that the convolution kernels share. They compute
//
//   conv2d:                 output[n,p,q,k] = relu(bias[k] + residual[n,p,q,k]
//                               + sum over r,s,c of input[n, p*stride+r*dilation-padding, q*…, c] * weight[k,c,r,s])
//   conv2d_backward_input:  grad_input[n,h,w,c] = residual[n,h,w,c]
//                               + sum over r,s,k of grad_output[n, (h+padding-r*dilation)/stride, …, k] * weight[k,c,r,s]
//                           through the ReLU before the convolution, if its input is the output of one
//
// Activations are NHWC with each group's channels padded to a multiple of 4; sizes named *4 count vec4s. The kernels are
// written as: for each pixel of a destination map, for each tap, find the pixel of a source map. Forward, the source is the
// input and the destination the output. With the flag TRANSPOSED (d loss / d input) the source is grad_output and the
// destination grad_input: input row h meets output row p where h = p*stride + r*dilation - padding. With a stride only
// some taps meet a given h, always those with r in the same class: so destination pixels are taken in stride x stride
// phases, (h mod stride, w mod stride), in each of which the taps that count are the same for all pixels, and no others
// are visited. With the flag BLOCKS (d loss / d input of few channels, see src/ops/conv2d_blocks.rs) a destination pixel is a
// block of pixels of grad_input, each a vec4 of its channels, and the geometry is that of a convolution over grad_output that
// makes them all; `own_…` is that of the convolution whose gradient it is. With the flag SPLIT a workgroup adds a part of the
// reduction and stores bare sums; conv2d_sum_parts.wgsl adds the parts and does what a kernel does at its end. With the flag
// FOURS the end is that of conv2d_end.wgsl.
//#import shared/relu.wgsl
//#import shared/stored.wgsl
//#if BLOCKS
struct Conv2dBlocks {
//#else
struct Conv2d {
//#endif
    source_height: u32,
    source_width: u32,
    source_pitch4: u32,         // vec4s from one source pixel to the next
    group_source_channels: u32, // channels of one group, without padding
    height: u32,                // of the destination
    width: u32,
    pitch4: u32,                // vec4s from one destination pixel to the next
    group_channels4: u32,       // vec4s of one group
    images: u32,
    pixel_tiles: u32,           // of all phases; forward there is one phase
    channel_tiles: u32,         // of one group
    groups: u32,
    kernel: vec2u,              // height, width
    stride: vec2u,
    padding: vec2u,
    dilation: vec2u,
    biased: u32,
    relu: u32,                  // at the end, or with TRANSPOSED the gradient through one
    residual: u32,
    workgroup_tiles: u32,       // channel tiles that one workgroup makes in turn, where the kernel makes several
    parts: u32,                 // of the reduction, each with its own sums
    part_steps4: u32,           // vec4 steps of the reduction in a part, a multiple of 4
//#if BLOCKS
    block: vec2u,        // height, width of a block
    map: vec2u,          // of grad_input
    own_kernel: vec2u,
    own_stride: vec2u,
    own_padding: vec2u,
    weight_rows: u32,    // of the packed weight, with padding
    weight_side4: u32,   // vec4s of a tile of it
//#endif
}

//#if BLOCKS
@group(0) @binding(0) var<uniform> conv: Conv2dBlocks;
//#else
@group(0) @binding(0) var<uniform> conv: Conv2d;
//#endif
//#if PAIRED_WEIGHTS
@group(0) @binding(2) var<storage, read> weight: array<Stored8>;
//#else
@group(0) @binding(2) var<storage, read> weight: array<Stored4>;
//#endif
// Channels that are read or stored at once.
//#if PAIRED_MAPS
alias Run = Stored8;
//#else
alias Run = Stored4;
//#endif
//#if SPLIT
// [part][destination as it lies]
@group(0) @binding(5) var<storage, read_write> partials: array<vec4f>;
//#else
//#if TRANSPOSED
@group(0) @binding(3) var<storage, read> rectified: array<Run>; // the input, where it came out of a ReLU
//#else
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
//#endif
@group(0) @binding(4) var<storage, read> residual: array<Run>;
@group(0) @binding(5) var<storage, read_write> output: array<Run>;
//#endif

// What sums of these channels begin with: the bias, or that of the last channels past the end.
fn bias_at(group: u32, channel4: u32) -> vec4f {
    var value = vec4f();
//#if !TRANSPOSED !SPLIT
    if conv.biased != 0u {
        value = bias[group * conv.group_channels4 + min(channel4, conv.group_channels4 - 1u)];
    }
//#endif
    return value;
}

// vec4s of one group of the source.
fn group_source4() -> u32 {
    return (conv.group_source_channels + 3u) / 4u;
}

const NOWHERE: u32 = 0xffffffffu;

// A destination pixel: its image, the source row and column under a tap of offset 0 (two's complement), and where it is
// stored (NOWHERE for the surplus of a partial tile, which is computed and dropped).
struct Pixel {
    image: u32,
    row: u32,
    column: u32,
    at: u32,
}

// A tap: its place among the taps of the phase, its index in the kernel (r * width + s), and its offset in source rows and columns.
struct Tap {
    place: vec2u,
    index: u32,
    offset: vec2u,
}

//#if TRANSPOSED
// The taps of a phase: r = first.x + i * step.x for i < count.x, likewise s.
struct Phase {
    origin: vec2u, // h mod stride, w mod stride
    first: vec2u,
    step: vec2u,
    count: vec2u,
    size: vec2u,   // rows and columns of the destination that belong to it
    start: vec2u,  // source rows and columns under the first tap for origin (two's complement), and how many less under the next
    back: vec2u,
}

// The first tap r with (origin + padding - r * dilation) divisible by the stride, the distance to the next one, and their number.
fn taps_of(origin: u32, kernel: u32, stride: u32, padding: u32, dilation: u32) -> vec3u {
    var first = kernel;
    var second = kernel;
    for (var r = 0u; r < min(kernel, 2u * stride); r++) {
        // A multiple of the stride keeps the difference positive.
        let distance = origin + padding + r * dilation * (stride - 1u);
        if distance % stride == 0u {
            if first == kernel {
                first = r;
            } else if second == kernel {
                second = r;
            }
        }
    }
    let step = max(second - first, 1u);
    return vec3u(first, step, select(0u, (kernel - first + step - 1u) / step, first < kernel));
}

// Phases along each axis; those that start past the destination's end hold no pixel.
fn phase_counts() -> vec2u {
    return min(conv.stride, vec2u(conv.height, conv.width));
}

fn phase_of(index: u32) -> Phase {
    let count = phase_counts();
    let origin = vec2u(index / count.y, index % count.y);
    let rows = taps_of(origin.x, conv.kernel.x, conv.stride.x, conv.padding.x, conv.dilation.x);
    let columns = taps_of(origin.y, conv.kernel.y, conv.stride.y, conv.padding.y, conv.dilation.y);
    let size = (vec2u(conv.height, conv.width) + conv.stride - 1u - origin) / conv.stride;
    let first = vec2u(rows.x, columns.x);
    let step = vec2u(rows.y, columns.y);
    // Exact if the phase has taps, and negative if the first tap lies above the source: a signed division.
    let start = (vec2i(origin + conv.padding) - vec2i(first * conv.dilation)) / vec2i(conv.stride);
    let back = step * conv.dilation / conv.stride;
    return Phase(origin, first, step, vec2u(rows.z, columns.z), size, bitcast<vec2u>(start), back);
}

fn tap_of(phase: Phase, place: vec2u) -> Tap {
    let rs = phase.first + place * phase.step;
    return Tap(place, rs.x * conv.kernel.y + rs.y, phase.start - place * phase.back);
}

fn pixel_at(phase: Phase, index: u32) -> Pixel {
    let there = index < conv.images * phase.size.x * phase.size.y;
    let i = select(0u, index, there);
    let column = i % phase.size.y;
    let rest = i / phase.size.y;
    let row = rest % phase.size.x;
    let image = rest / phase.size.x;
    let h = row * conv.stride.x + phase.origin.x;
    let w = column * conv.stride.y + phase.origin.y;
    return Pixel(image, row, column, select(NOWHERE, (image * conv.height + h) * conv.width + w, there));
}
//#else
// Forward there is a single phase.
struct Phase {
    count: vec2u,
}

fn phase_of(index: u32) -> Phase {
    return Phase(conv.kernel);
}

fn tap_of(phase: Phase, place: vec2u) -> Tap {
    return Tap(place, place.x * conv.kernel.y + place.y, place * conv.dilation);
}

fn pixel_at(phase: Phase, index: u32) -> Pixel {
    let there = index < conv.images * conv.height * conv.width;
    let i = select(0u, index, there);
    let column = i % conv.width;
    let rest = i / conv.width;
    let row = rest % conv.height;
    let start = vec2u(row, column) * conv.stride - conv.padding;
    return Pixel(rest / conv.height, start.x, start.y, select(NOWHERE, i, there));
}
//#endif

fn tap_count(phase: Phase) -> u32 {
    return phase.count.x * phase.count.y;
}

fn tap_at(phase: Phase, i: u32) -> Tap {
    return tap_of(phase, vec2u(i / phase.count.y, i % phase.count.y));
}

// The tap after `tap`, without divisions, which software drivers compute lane by lane.
fn next_tap(phase: Phase, tap: Tap) -> Tap {
    let last = tap.place.y + 1u == phase.count.y;
    return tap_of(phase, select(tap.place + vec2u(0u, 1u), vec2u(tap.place.x + 1u, 0u), last));
}

// Tiles of destination pixels in one phase.
fn phase_tiles() -> u32 {
//#if TRANSPOSED
    let count = phase_counts();
    return conv.pixel_tiles / (count.x * count.y);
//#else
    return conv.pixel_tiles;
//#endif
}

// Whether the tap lies inside the source for this pixel. Rows above it wrap to large numbers, so that one unsigned
// comparison covers both edges.
fn inside(p: Pixel, tap: Tap) -> bool {
    return p.row + tap.offset.x < conv.source_height && p.column + tap.offset.y < conv.source_width;
}

// Index of the source pixel under the tap; only meaningful where `inside` holds.
fn source_pixel(p: Pixel, tap: Tap) -> u32 {
    return (p.image * conv.source_height + p.row + tap.offset.x) * conv.source_width + p.column + tap.offset.y;
}

//#if SPLIT
// The sum of one part, without an epilogue, for four channels of one pixel; `slot` is part * groups + group.
fn store(p: Pixel, slot: u32, channel4: u32, sum: vec4f) {
    if p.at == NOWHERE || channel4 >= conv.group_channels4 {
        return;
    }
    let part = (slot / conv.groups) * conv.images * conv.height * conv.width;
    partials[(part + p.at) * conv.pitch4 + (slot % conv.groups) * conv.group_channels4 + channel4] = sum;
}
//#elif PAIRED_MAPS
// `store_biased` for two vec4s of channels of one pixel; the number of the first one is even.
fn store_two(p: Pixel, group: u32, channel4: u32, first_sum: vec4f, last_sum: vec4f) {
    if p.at == NOWHERE || channel4 >= conv.group_channels4 {
        return;
    }
    let at = (p.at * conv.pitch4 + group * conv.group_channels4 + channel4) / 2u;
    var first = first_sum;
    var last = last_sum;
    if conv.residual != 0u {
        let more = residual[at];
        first += first4(more);
        last += last4(more);
    }
    if conv.relu != 0u {
//#if TRANSPOSED
        let through = rectified[at];
        first = rectify_backward(first4(through), first);
        last = rectify_backward(last4(through), last);
//#else
        first = rectify(first);
        last = rectify(last);
//#endif
    }
    output[at] = pack8(first, last);
}
//#elif !FOURS
// Four channels of one pixel. Forward: output = relu(sum + bias + residual); NaN stays NaN. TRANSPOSED: grad_input = sum + residual,
// through the ReLU whose output the input is. BLOCKS: grad_input = sum + residual, for pixel `channel4` of a block.
fn store(p: Pixel, group: u32, channel4: u32, sum: vec4f) {
    var value = sum;
//#if !TRANSPOSED !BLOCKS
    if conv.biased != 0u && channel4 < conv.group_channels4 {
        value += bias[group * conv.group_channels4 + channel4];
    }
//#endif
    store_biased(p, group, channel4, value);
}

// The same for a sum that includes the bias.
fn store_biased(p: Pixel, group: u32, channel4: u32, sum: vec4f) {
    if p.at == NOWHERE || channel4 >= conv.group_channels4 {
        return;
    }
//#if BLOCKS
    let corner = vec2u((p.at / conv.width) % conv.height, p.at % conv.width) * conv.block;
    let pixel = corner + vec2u(channel4 / conv.block.y, channel4 % conv.block.y);
    if any(pixel >= conv.map) {
        return;
    }
    let at = (p.image * conv.map.x + pixel.x) * conv.map.y + pixel.y;
//#else
    let channel = group * conv.group_channels4 + channel4;
    let at = p.at * conv.pitch4 + channel;
//#endif
    var value = sum;
    if conv.residual != 0u {
        value += unpack4(residual[at]);
    }
//#if TRANSPOSED
    if conv.relu != 0u {
        value = rectify_backward(unpack4(rectified[at]), value);
    }
//#elif !BLOCKS
    if conv.relu != 0u {
        value = rectify(value);
    }
//#endif
    output[at] = pack4(value);
}
//#endif
