// ema, an exponential moving average of a parameter: average += (1 - decay) * (value - average)
//
// The host writes 1 - decay before each step, since the decay grows while the average warms up. One vec4 an
// invocation, 64 to a workgroup.
//#import shared/item.wgsl
@group(0) @binding(0) var<uniform> size: vec4u; // vec4s
@group(0) @binding(1) var<storage, read> value: array<vec4f>;
@group(0) @binding(2) var<storage, read> rate: array<vec4f>; // 1 - decay, 0, 0, 0
@group(0) @binding(3) var<storage, read_write> average: array<vec4f>;

fn make(i: u32) {
    if i < size.x {
        average[i] += rate[0].x * (value[i] - average[i]);
    }
}
