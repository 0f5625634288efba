// Four f32 in memory: a vector, or with the flag WIDE 64-bit integers.
//#if WIDE
alias Float4 = vec2<u64>;

fn pair_of(v: u64) -> vec2f {
    return vec2f(bitcast<f32>(u32(v)), bitcast<f32>(u32(v >> 32u)));
}

fn of_pair(v: vec2f) -> u64 {
    return u64(bitcast<u32>(v.x)) | (u64(bitcast<u32>(v.y)) << 32u);
}

fn unpack_floats(v: Float4) -> vec4f {
    return vec4f(pair_of(v.x), pair_of(v.y));
}

fn pack_floats(v: vec4f) -> Float4 {
    return Float4(of_pair(v.xy), of_pair(v.zw));
}
//#else
alias Float4 = vec4f;

fn unpack_floats(v: Float4) -> vec4f {
    return v;
}

fn pack_floats(v: vec4f) -> Float4 {
    return v;
}
//#endif
