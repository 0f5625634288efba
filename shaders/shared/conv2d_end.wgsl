// The epilogue of the tiled convolution kernels. It handles the same channels of four pixels at once, so that all its loads are in flight
// before the first is needed. Used with conv2d.wgsl.

//#import shared/four.wgsl

//#if !SPLIT !BLOCKS
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
fn end(pixels: array<Pixel, 4>, group: u32, channel4: u32, sums: Four) {
    let there = channel4 < conv.group_channels4;
    let channel = group * conv.group_channels4 + channel4;
//#for i in 0..4
    let {abcd[i]} = stored_at(pixels[{i}], channel, there);
//#endfor
    var all = sums;
    if conv.residual != 0u {
        let more = Four(residual_at(a), residual_at(b), residual_at(c), residual_at(d));
        all = Four(all.a + more.a, all.b + more.b, all.c + more.c, all.d + more.d);
    }
    if conv.relu != 0u {
//#if TRANSPOSED
        let through = Four(rectified_at(a), rectified_at(b), rectified_at(c), rectified_at(d));
        all = rectify_four_backward(through, all);
//#else
        all = Four(rectify(all.a), rectify(all.b), rectify(all.c), rectify(all.d));
//#endif
    }
//#for i in 0..4
    put({abcd[i]}, all.{abcd[i]});
//#endfor
}

//#if TRANSPOSED
fn rectify_four_backward(x: Four, g: Four) -> Four {
    return Four(
//#for i in 0..4
        rectify_backward(x.{abcd[i]}, g.{abcd[i]}),
//#endfor
    );
}
//#endif
//#else
fn end(pixels: array<Pixel, 4>, slot: u32, channel4: u32, sums: Four) {
//#for i in 0..4
    store(pixels[{i}], slot, channel4, sums.{abcd[i]});
//#endfor
}
//#endif
