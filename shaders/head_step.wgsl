// The end of a training step of a head on cached features, on the device, so that an epoch needs no read-back: the mean of the rows'
// losses is noted and the counter moves on.
//
//   history[step] = (sum of losses / rows counted, rows correct, rows counted, 0)
//
// One invocation, which adds the rows in order, so that the bits never change.
@group(0) @binding(0) var<uniform> rows: vec4u; // x: of a batch
@group(0) @binding(1) var<storage, read> row_results: array<vec4f>;   // loss, correct, counted, 0
@group(0) @binding(2) var<storage, read_write> history: array<vec4f>; // for each step of the epoch
@group(0) @binding(3) var<storage, read_write> cursor: array<u32>;    // steps since the start, steps of this epoch

@compute @workgroup_size(1)
fn main() {
    var sum = vec4f();
    for (var row = 0u; row < rows.x; row++) {
        sum += row_results[row];
    }
    history[cursor[1]] = vec4f(sum.x / sum.z, sum.y, sum.z, 0.0);
    cursor[0] += 1u;
    cursor[1] += 1u;
}
