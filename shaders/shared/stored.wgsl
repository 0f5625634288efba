// How activations and weights lie in memory: f32, or with the flag HALF f16. Sums are made in f32 either way.
//#if HALF
alias Stored = f16;
alias Stored4 = vec4<f16>;
//#else
alias Stored = f32;
alias Stored4 = vec4f;
//#endif
