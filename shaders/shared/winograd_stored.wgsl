// How a tile's points lie in memory: four channels of f32, with the flag WIDE as integers of 64 bits, as in stored.wgsl.
//#if WIDE
alias Point4 = vec2<u64>;

fn pair_of(v: u64) -> vec2f {
    return vec2f(bitcast<f32>(u32(v)), bitcast<f32>(u32(v >> 32u)));
}

fn of_pair(v: vec2f) -> u64 {
    return u64(bitcast<u32>(v.x)) | (u64(bitcast<u32>(v.y)) << 32u);
}

fn unpack_point(v: Point4) -> vec4f {
    return vec4f(pair_of(v.x), pair_of(v.y));
}

fn pack_point(v: vec4f) -> Point4 {
    return Point4(of_pair(v.xy), of_pair(v.zw));
}
//#else
alias Point4 = vec4f;

fn unpack_point(v: Point4) -> vec4f {
    return v;
}

fn pack_point(v: vec4f) -> Point4 {
    return v;
}
//#endif
