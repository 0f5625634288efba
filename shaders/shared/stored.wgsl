//#enable f16 if HALF
// The type of activations and weights in memory: f32, or with the flag HALF f16. Sums are f32 either way. With HALF and GRADIENT, stored
// values are gradients; those beyond f16 become infinite on every driver.
//#if HALF GRADIENT
//#import shared/half_gradient.wgsl
//#endif
//#if HALF
alias Stored = f16;
//#else
alias Stored = f32;
//#endif

// Four values at once: a vector, or with the flag WIDE 64-bit integers (for two f16 values 32-bit ones), because software drivers move a
// vector component by component.
//#if WIDE
//#if HALF
alias Stored2 = u32;
alias Stored4 = u64;

fn unpack2(v: Stored2) -> vec2f {
    return unpack2x16float(v);
}

fn unpack4(v: Stored4) -> vec4f {
    return vec4f(unpack2(u32(v)), unpack2(u32(v >> 32u)));
}

fn pack4(v: vec4f) -> Stored4 {
//#if GRADIENT
    // Rounded first: pack2x16float may truncate.
    let halves = vec4f(half_gradient(v));
//#else
    let halves = v;
//#endif
    return u64(pack2x16float(halves.xy)) | (u64(pack2x16float(halves.zw)) << 32u);
}

alias Stored8 = vec2<u64>;

fn first4(v: Stored8) -> vec4f {
    return unpack4(v.x);
}

fn last4(v: Stored8) -> vec4f {
    return unpack4(v.y);
}
//#else
//#import shared/floats.wgsl
alias Stored2 = u64;
alias Stored4 = Float4;

fn unpack2(v: Stored2) -> vec2f {
    return pair_of(v);
}

fn unpack4(v: Stored4) -> vec4f {
    return unpack_floats(v);
}

fn pack4(v: vec4f) -> Stored4 {
    return pack_floats(v);
}

alias Stored8 = vec4<u64>;

fn first4(v: Stored8) -> vec4f {
    return unpack4(v.xy);
}

fn last4(v: Stored8) -> vec4f {
    return unpack4(v.zw);
}
//#endif

fn pack8(first: vec4f, last: vec4f) -> Stored8 {
    return Stored8(pack4(first), pack4(last));
}
//#else
//#if HALF
alias Stored4 = vec4<f16>;
//#else
alias Stored4 = vec4f;
//#endif

fn unpack4(v: Stored4) -> vec4f {
    return vec4f(v);
}

fn pack4(v: vec4f) -> Stored4 {
//#if HALF GRADIENT
    return half_gradient(v);
//#else
    return Stored4(v);
//#endif
}
//#endif
