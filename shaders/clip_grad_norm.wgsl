//#axis - | _f16 HALF
//
// clip_grad_norm, as torch.nn.utils.clip_grad_norm_ computes it over several gradients g:
//
//   norm = sqrt(sum of g^2),   g *= min(1, max_norm / (norm + 1e-6))
//
// sum_squares: one gradient to `count` partial sums, one per invocation, which adds every count-th vec4.
// group:       the partial sums of one group of gradients (a residual block's) to one number; one workgroup.
// total:       all groups to the norm and the factor; one workgroup.
// scale:       one gradient times the factor, one vec4 per invocation.
//
// Every sum has a fixed order, so the same gradients give the same bits. With the flag HALF the summed gradients are f16.
//#import shared/fold.wgsl
//#import shared/stored.wgsl
struct Norm {
    size4: u32,    // vec4s of the gradient
    first: u32,    // first partial sum; in `group`, of the group
    count: u32,    // partial sums; in `total`, groups
    slot: u32,     // number of the group
    max_norm: f32,
}
@group(0) @binding(0) var<uniform> norm: Norm;
@group(0) @binding(1) var<storage, read> grad: array<Stored4>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
@group(0) @binding(3) var<storage, read_write> groups: array<f32>;     // sums of squares
@group(0) @binding(4) var<storage, read_write> result: array<vec4f>;   // norm, factor, 0, 0
@group(0) @binding(5) var<storage, read_write> scaled: array<vec4f>;   // the gradient, in place

@compute @workgroup_size(64)
fn sum_squares(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    if i >= norm.count {
        return;
    }
    var sum = vec4f();
    for (var at = i; at < norm.size4; at += norm.count) {
        let g = unpack4(grad[at]);
        sum += g * g;
    }
    partials[norm.first + i] = (sum.x + sum.y) + (sum.z + sum.w);
}

var<workgroup> lanes: array<f32, 64>;

// The sum of the 64 invocations' values, for the first of them.
fn gather(value: f32, invocation: u32) -> f32 {
    lanes[invocation] = value;
    workgroupBarrier();
    var sum = 0.0;
    if invocation == 0u {
        for (var i = 0u; i < 64u; i++) {
            sum += lanes[i];
        }
    }
    return sum;
}

@compute @workgroup_size(64)
fn group(@builtin(local_invocation_index) invocation: u32) {
    var value = 0.0;
    for (var at = invocation; at < norm.count; at += 64u) {
        value += partials[norm.first + at];
    }
    let sum = gather(value, invocation);
    if invocation == 0u {
        groups[norm.slot] = sum;
    }
}

@compute @workgroup_size(64)
fn total(@builtin(local_invocation_index) invocation: u32) {
    var value = 0.0;
    for (var at = invocation; at < norm.count; at += 64u) {
        value += groups[at];
    }
    let length = sqrt(gather(value, invocation));
    if invocation == 0u {
        result[0] = vec4f(length, min(1.0, norm.max_norm / (length + 1e-6)), 0.0, 0.0);
    }
}

@compute @workgroup_size(64)
fn scale(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) count: vec3u,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = unfold(workgroup, count) * 64u + invocation;
    if i < norm.size4 {
        scaled[i] *= result[0].y;
    }
}
