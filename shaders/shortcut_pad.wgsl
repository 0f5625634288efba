//#axis - | _f16 HALF
//
// shortcut_pad: output[n,p,q,c] = input[n, p*stride, q*stride, c - before], and 0 for channels that the input lacks
//
// The parameter-free shortcut of He et al. 2015, option A: if a stage halves the map and adds channels, the identity is
// subsampled and the new channels are zero.
// One vec4 of channels per invocation, 64 to a workgroup, folded.
//#import shared/item.wgsl
//#import shared/stored.wgsl
struct Shortcut {
    in_height: u32,
    in_width: u32,
    in_pitch4: u32, // vec4s from one pixel to the next
    out_height: u32,
    out_width: u32,
    out_pitch4: u32,
    outputs: u32, // vec4s
    stride: u32,
    in_channels4: u32, // vec4s of the channels of a pixel
    before4: u32, // vec4s of zeros before them
}
@group(0) @binding(0) var<uniform> shortcut: Shortcut;
@group(0) @binding(1) var<storage, read> input: array<Stored4>;
@group(0) @binding(2) var<storage, read_write> output: array<Stored4>;

fn make(i: u32) {
    if i >= shortcut.outputs {
        return;
    }
    // Before the first channel this wraps to a large number.
    let channel4 = i % shortcut.out_pitch4 - shortcut.before4;
    let pixel = i / shortcut.out_pitch4;
    let column = pixel % shortcut.out_width;
    let rest = pixel / shortcut.out_width;
    let row = rest % shortcut.out_height;
    let image = rest / shortcut.out_height;
    var value = Stored4();
    if channel4 < shortcut.in_channels4 {
        let source = (image * shortcut.in_height + row * shortcut.stride) * shortcut.in_width + column * shortcut.stride;
        value = input[source * shortcut.in_pitch4 + channel4];
    }
    output[i] = value;
}
