//#unchecked
// peak_arithmetic: result[i] = the sum over chains j of x[j] after 8 * rounds steps of x = x * scale + offset,
//
// x[j] = (i mod 64) / 64 + j at first. Only registers are used, so the rate of multiply-adds is the device's own. The steps
// of a chain depend on each other; `wide2` to `wide8` run that many vec4s side by side, and the best number to hide the latency depends
// on the device. One invocation per bundle of chains, 64 to a workgroup, folded.
//#import shared/fold.wgsl
struct Chain {
    rounds: u32,
    invocations: u32,
    scale: f32, // from outside, so that no compiler knows the result
    offset: f32,
}
@group(0) @binding(0) var<uniform> chain: Chain;
@group(0) @binding(1) var<storage, read_write> result: array<vec4f>;

fn four(x: vec4f) -> vec4f {
    let a = x * chain.scale + chain.offset;
    let b = a * chain.scale + chain.offset;
    let c = b * chain.scale + chain.offset;
    return c * chain.scale + chain.offset;
}

fn eight(x: vec4f) -> vec4f {
    return four(four(x));
}

fn start(i: u32) -> vec4f {
    return vec4f(f32(i % 64u) / 64.0);
}

@compute @workgroup_size(64)
fn wide2(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    var x0 = start(i);
    var x1 = start(i) + 1.0;
    for (var round = 0u; round < chain.rounds; round++) {
        x0 = eight(x0);
        x1 = eight(x1);
    }
    if i < chain.invocations {
        result[i] = x0 + x1;
    }
}

@compute @workgroup_size(64)
fn wide4(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    var x0 = start(i);
    var x1 = start(i) + 1.0;
    var x2 = start(i) + 2.0;
    var x3 = start(i) + 3.0;
    for (var round = 0u; round < chain.rounds; round++) {
        x0 = eight(x0);
        x1 = eight(x1);
        x2 = eight(x2);
        x3 = eight(x3);
    }
    if i < chain.invocations {
        result[i] = (x0 + x1) + (x2 + x3);
    }
}

@compute @workgroup_size(64)
fn wide8(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    var x0 = start(i);
    var x1 = start(i) + 1.0;
    var x2 = start(i) + 2.0;
    var x3 = start(i) + 3.0;
    var x4 = start(i) + 4.0;
    var x5 = start(i) + 5.0;
    var x6 = start(i) + 6.0;
    var x7 = start(i) + 7.0;
    for (var round = 0u; round < chain.rounds; round++) {
        x0 = eight(x0);
        x1 = eight(x1);
        x2 = eight(x2);
        x3 = eight(x3);
        x4 = eight(x4);
        x5 = eight(x5);
        x6 = eight(x6);
        x7 = eight(x7);
    }
    if i < chain.invocations {
        result[i] = (x0 + x1) + (x2 + x3) + ((x4 + x5) + (x6 + x7));
    }
}
