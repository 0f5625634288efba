//#axis - | _gathered ROWS_BY_ORDER ADVANCES_CURSOR
//
// cross_entropy over rows of logits x[n,k] with target t[n] and label smoothing e, mean over the rows:
//
//   q[n,k]    = (1 - e) * [k = t[n]] + e / K
//   loss[n]   = log(sum over k of exp(x[n,k])) - (1 - e) * x[n,t] - e / K * sum over k of x[n,k]
//   grad[n,k] = (softmax(x[n])[k] - q[n,k]) / rows
//
// The exponent is relative to the row's maximum. A row with the target IGNORE does not count in the mean and gets a zero
// gradient (PyTorch's ignore_index); such rows fill up a short last batch. `rows` computes one row per invocation and
// also counts correct answers (the first maximum); `total` adds the rows in order, so that the bits never change.
// A NaN among a row's logits makes its loss and gradient NaN. It is detected in the sum, since a driver's exp() may lose NaN
// (SwiftShader's clamps its argument).
//
// ROWS_BY_ORDER (head training): targets are labels of examples in the epoch's order (shared/gathered.wgsl). `step` does everything
// between the slices of linear.wgsl's sums and the weight gradient in one workgroup, since on a software driver a dispatch costs more
// than this work. It adds the slices in order, computes the rows, records
//
//   history[step] = (sum of losses / rows counted, rows correct, rows counted, 0)
//
// and advances the counter.
//#import shared/fold.wgsl
//#import shared/nan.wgsl
//#if ROWS_BY_ORDER
struct CrossEntropyStep {
//#else
struct CrossEntropy {
//#endif
    rows: u32,
    classes: u32,
    classes4: u32, // vec4s from one row to the next
    smoothing: f32,
//#if ROWS_BY_ORDER
    slices: u32,
//#endif
}
//#if ROWS_BY_ORDER
//#import shared/gathered.wgsl
//#else
const IGNORE: u32 = 0xffffffffu;
//#endif

//#if ROWS_BY_ORDER
@group(0) @binding(0) var<uniform> size: CrossEntropyStep;
//#else
@group(0) @binding(0) var<uniform> size: CrossEntropy;
//#endif
//#if ROWS_BY_ORDER
@group(0) @binding(1) var<storage, read> partials: array<f32>; // [slice][row][class]
//#else
@group(0) @binding(1) var<storage, read> logits: array<f32>;
//#endif
@group(0) @binding(2) var<storage, read> targets: array<u32>; // of the rows; ROWS_BY_ORDER, of all examples
@group(0) @binding(3) var<storage, read_write> grad: array<f32>; // ROWS_BY_ORDER, the logits before
@group(0) @binding(4) var<storage, read_write> row_results: array<vec4f>; // loss, correct, counted, 0
//#if ROWS_BY_ORDER
@group(0) @binding(5) var<storage, read_write> history: array<vec4f>; // for each step of the epoch
//#else
@group(0) @binding(5) var<storage, read_write> summary: array<vec4f>; // mean loss, correct, rows counted, 0
//#endif

fn logit(at: u32) -> f32 {
//#if ROWS_BY_ORDER
    return grad[at];
//#else
    return logits[at];
//#endif
}

fn target_of(row: u32) -> u32 {
//#if ROWS_BY_ORDER
    if order[place_of(row, size.rows)] == IGNORE {
        return IGNORE;
    }
    return targets[example_of(row, size.rows)];
//#else
    return targets[row];
//#endif
}

fn counted_rows() -> f32 {
    var counted = 0u;
    for (var row = 0u; row < size.rows; row++) {
        counted += select(0u, 1u, target_of(row) != IGNORE);
    }
    return f32(counted);
}

// The loss and the gradient of a row.
fn make_row(row: u32) {
    let stride = size.classes4 * 4u;
    let first = row * stride;
    let t = target_of(row);
    if t == IGNORE {
        for (var k = 0u; k < stride; k++) {
            grad[first + k] = 0.0;
        }
        row_results[row] = vec4f();
        return;
    }
    var best = logit(first);
    var best_class = 0u;
    for (var k = 1u; k < size.classes; k++) {
        let x = logit(first + k);
        if x > best {
            best = x;
            best_class = k;
        }
    }
    var sum_exp = 0.0;
    var sum = 0.0;
    for (var k = 0u; k < size.classes; k++) {
        let x = logit(first + k) - best;
        sum_exp += exp(x);
        sum += x;
    }
    let share = size.smoothing / f32(size.classes);
    let keep = 1.0 - size.smoothing;
    var loss = log(sum_exp) - keep * (logit(first + t) - best);
    // Without smoothing the other classes take no part, not even as 0 times an infinity (a masked class's logit).
    if share > 0.0 {
        loss -= share * sum;
    }
    let poisoned = is_nan_scalar(sum);
    if poisoned {
        loss = sum;
    }
    let scale = 1.0 / counted_rows();
    for (var k = 0u; k < stride; k++) {
        var g = 0.0;
        if k < size.classes {
            let q = share + select(0.0, keep, k == t);
            g = select((exp(logit(first + k) - best) / sum_exp - q) * scale, sum, poisoned);
        }
        grad[first + k] = g;
    }
    row_results[row] = vec4f(loss, select(0.0, 1.0, best_class == t), 1.0, 0.0);
}

// Mean loss, correct rows, counted rows, 0.
fn summed_rows() -> vec4f {
    var sum = vec4f();
    for (var row = 0u; row < size.rows; row++) {
        sum += row_results[row];
    }
    return vec4f(sum.x / sum.z, sum.y, sum.z, 0.0);
}

//#if ROWS_BY_ORDER
// Adds the slices of a row's logits.
fn add_slices(row: u32) {
    let stride = size.classes4 * 4u;
    for (var k = 0u; k < stride; k++) {
        var sum = 0.0;
        for (var slice = 0u; slice < size.slices; slice++) {
            sum += partials[(slice * size.rows + row) * stride + k];
        }
        grad[row * stride + k] = sum;
    }
}

@compute @workgroup_size(256)
fn step(@builtin(local_invocation_index) invocation: u32) {
    for (var row = invocation; row < size.rows; row += 256u) {
        add_slices(row);
        make_row(row);
    }
    storageBarrier();
    if invocation == 0u {
        history[cursor[1]] = summed_rows();
        cursor[0] += 1u;
        cursor[1] += 1u;
    }
}
//#else
@compute @workgroup_size(64)
fn rows(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let row = unfold(workgroup, count) * 64u + invocation;
    if row < size.rows {
        make_row(row);
    }
}

@compute @workgroup_size(1)
fn total() {
    summary[0] = summed_rows();
}
//#endif
