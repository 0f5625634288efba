// Four values of a map in memory where gradients are computed: f32, or with the flag HALF f16.
//#if HALF
//#import shared/stored.wgsl
alias Float4 = Stored4;

fn unpack_floats(v: Float4) -> vec4f {
    return unpack4(v);
}

fn pack_floats(v: vec4f) -> Float4 {
    return pack4(v);
}
//#else
//#import shared/floats.wgsl
//#endif
