// Does a loop run as often as it says: with its condition at its head (main), or at its end (condition_at_end; counts from 1)?
//
// results of an item (count, seed, …): iterations; the state of a linear congruential generator that many steps after
// seed, which no compiler has a closed form for.
// dispatch: a workgroup for 64 items.
//#import shared/probe.wgsl

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let item = id.x;
    if item >= size.x {
        return;
    }
    let count = operands[item].x;
    var state = operands[item].y;
    var iterations = 0u;
    for (var i = 0u; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        iterations++;
    }
    results[item * 2u] = iterations;
    results[item * 2u + 1u] = state;
}

@compute @workgroup_size(64)
fn condition_at_end(@builtin(global_invocation_id) id: vec3u) {
    let item = id.x;
    if item >= size.x {
        return;
    }
    let count = operands[item].x;
    var state = operands[item].y;
    var iterations = 0u;
    loop {
        state = state * 1664525u + 1013904223u;
        iterations++;
        continuing {
            break if iterations == count;
        }
    }
    results[item * 2u] = iterations;
    results[item * 2u + 1u] = state;
}
