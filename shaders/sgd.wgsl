//#axis - | _scaled SCALED
//#form _wide WIDE
//
// sgd with momentum, as torch.optim.SGD computes it:
//
//   g += weight_decay * p
//   b = g at the first step, momentum * b + (1 - dampening) * g later
//   p -= lr * (g + momentum * b if nesterov, b otherwise)
//
// Without momentum b is g itself. The learning rate comes from a table with one row per step, indexed by the step counter on
// the device. With the flag SCALED a step whose gradients were not finite changes nothing (loss_scale.wgsl). One vec4 per invocation,
// 64 to a workgroup.
//#import shared/floats.wgsl
//#import shared/item.wgsl
struct Sgd {
    size4: u32,
    momentum: f32,
    one_minus_dampening: f32,
    weight_decay: f32,
    nesterov: u32,
}
@group(0) @binding(0) var<uniform> sgd: Sgd;
@group(0) @binding(1) var<storage, read> grad: array<Float4>;
@group(0) @binding(2) var<storage, read> schedule: array<vec4f>; // lr, 1 at the very first step, 0, 0
@group(0) @binding(3) var<storage, read> cursor: array<u32>;     // x: the step, from 0
@group(0) @binding(4) var<storage, read_write> param: array<Float4>;
@group(0) @binding(5) var<storage, read_write> momentum_buffer: array<Float4>;
//#if SCALED
@group(0) @binding(6) var<storage, read> loss_scale: array<vec4u>; // z: 1 if a gradient was not finite
//#endif

fn make(i: u32) {
    if i >= sgd.size4 {
        return;
    }
//#if SCALED
    if loss_scale[0].z != 0u {
        return;
    }
//#endif
    let now = schedule[cursor[0]];
    let p = unpack_floats(param[i]);
    var g = unpack_floats(grad[i]) + sgd.weight_decay * p;
    var b = g;
    if now.y == 0.0 {
        b = sgd.momentum * unpack_floats(momentum_buffer[i]) + sgd.one_minus_dampening * g;
    }
    momentum_buffer[i] = pack_floats(b);
    if sgd.nesterov != 0u {
        g += sgd.momentum * b;
    } else if sgd.momentum != 0.0 {
        g = b;
    }
    param[i] = pack_floats(p - now.x * g);
}
