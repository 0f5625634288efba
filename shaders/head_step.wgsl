// The bookkeeping around one training step of a head on cached features, all on the device, so that an epoch needs no
// read-back: `gather` collects the step's rows, `finish` notes its loss and moves the counter.
//
//   batch[i,:] = features[order[step * rows + i],:]     targets[i] = labels[order[step * rows + i]], IGNORE past the end
//
// gather: a row a workgroup of 64, folded. finish: one invocation.
//#import shared/fold.wgsl
struct HeadStep {
    rows: u32,      // of a batch
    features4: u32, // vec4s of one row
    examples: u32,  // length of the order
}
const IGNORE: u32 = 0xffffffffu;

@group(0) @binding(0) var<uniform> step: HeadStep;
@group(0) @binding(1) var<storage, read> features: array<vec4f>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> order: array<u32>;
@group(0) @binding(4) var<storage, read_write> cursor: array<u32>; // step since the start, step of this epoch
@group(0) @binding(5) var<storage, read_write> batch: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> targets: array<u32>;
@group(0) @binding(7) var<storage, read> summary: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> history: array<vec4f>; // a summary for each step of the epoch

@compute @workgroup_size(64)
fn gather(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let row = unfold(workgroup, count);
    if row >= step.rows {
        return;
    }
    let at = cursor[1] * step.rows + row;
    let there = at < step.examples;
    let example = order[select(0u, at, there)];
    for (var column = invocation; column < step.features4; column += 64u) {
        batch[row * step.features4 + column] = select(vec4f(), features[example * step.features4 + column], there);
    }
    if invocation == 0u {
        targets[row] = select(IGNORE, labels[example], there);
    }
}

@compute @workgroup_size(1)
fn finish() {
    history[cursor[1]] = summary[0];
    cursor[0] += 1u;
    cursor[1] += 1u;
}
