// What do conversions give, in range and out of it?
//
// results of an item (float, integer, half, …): i32(float); u32(float); f32(integer), signed; f32(integer), unsigned;
// the float rounded to a half by pack2x16float; the half as a float by unpack2x16float.
// dispatch: a workgroup for 64 items.
//#import shared/probe.wgsl

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let item = id.x;
    if item >= size.x {
        return;
    }
    let x = operands[item];
    let float = bitcast<f32>(x.x);
    let at = item * 6u;
    results[at] = bitcast<u32>(i32(float));
    results[at + 1u] = u32(float);
    put(at + 2u, f32(bitcast<i32>(x.y)));
    put(at + 3u, f32(x.y));
    results[at + 4u] = pack2x16float(vec2f(float, 0.0));
    put(at + 5u, unpack2x16float(x.z).x);
}
