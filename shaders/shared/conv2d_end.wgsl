// The epilogue of the tiled convolution kernels. It handles the same channels of four pixels at once, so that all its loads are in flight
// before the first is needed. Used with conv2d.wgsl.

//#import shared/four.wgsl

//#if FOURS
// The index at which four channels of a pixel are stored; NOWHERE for the surplus of a partial tile.
fn stored_at(p: Pixel, channel: u32, there: bool) -> u32 {
    let at = p.at * conv.pitch4 + channel;
    return select(NOWHERE, at, there && p.at != NOWHERE);
}

// The residual there; the surplus reads the first one, so that loads need no branch.
fn residual_at(at: u32) -> vec4f {
    return unpack4(residual[select(at, 0u, at == NOWHERE)]);
}

//#if TRANSPOSED
fn rectified_at(at: u32) -> vec4f {
    return unpack4(rectified[select(at, 0u, at == NOWHERE)]);
}
//#endif

fn put(at: u32, value: vec4f) {
    if at != NOWHERE {
        output[at] = pack4(value);
    }
}

// Forward: output = relu(sum + residual); the sum includes the bias, and NaN stays NaN. TRANSPOSED: grad_input = sum + residual, through
// the ReLU whose output the input is.
fn end(pixels: array<Pixel, 4>, group: u32, channel4: u32, sums: array<vec4f, 4>) {
    let there = channel4 < conv.group_channels4;
    let channel = group * conv.group_channels4 + channel4;
    let at = array({i in 0..4: stored_at(pixels[{i}], channel, there)});
    var all = sums;
    if conv.residual != 0u {
        let more = array({i in 0..4: residual_at(at[{i}])});
        all = array({i in 0..4: all[{i}] + more[{i}]});
    }
    if conv.relu != 0u {
//#if TRANSPOSED
        let through = array({i in 0..4: rectified_at(at[{i}])});
        all = array({i in 0..4: rectify_backward(through[{i}], all[{i}])});
//#else
        all = array({i in 0..4: rectify(all[{i}])});
//#endif
    }
//#for i in 0..4
    put(at[{i}], all[{i}]);
//#endfor
}
//#else
fn end(pixels: array<Pixel, 4>, slot: u32, channel4: u32, sums: array<vec4f, 4>) {
//#for i in 0..4
    store(pixels[{i}], slot, channel4, sums[{i}]);
//#endfor
}
//#endif
