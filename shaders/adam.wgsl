//#name adam | adamw DECOUPLED
//#axis - | _scaled SCALED
//#form _wide WIDE
//
// adam, adamw (Kingma & Ba 2015; Loshchilov & Hutter 2019), as torch.optim computes them at step t:
//
//   adam:  g += weight_decay * p            adamw:  p -= lr * weight_decay * p
//   m += (1 - beta1) * (g - m)
//   v = beta2 * v + (1 - beta2) * g^2
//   p -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
//
// The host computes the values that depend on t (learning rate and bias corrections) in f64, one row per step. The step counter on the
// device indexes them, so that many steps fit in one submit. With the flag SCALED a step whose gradients were not
// finite changes nothing (loss_scale.wgsl). One vec4 per invocation, 64 to a workgroup.
//#import shared/floats.wgsl
//#import shared/item.wgsl
struct Adam {
    size4: u32,
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    eps: f32,
    weight_decay: f32,
}
@group(0) @binding(0) var<uniform> adam: Adam;
@group(0) @binding(1) var<storage, read> grad: array<Float4>;
@group(0) @binding(2) var<storage, read> schedule: array<vec4f>; // lr/(1-beta1^t), sqrt(1-beta2^t), lr*weight_decay, 0
@group(0) @binding(3) var<storage, read> cursor: array<u32>;     // x: the step, from 0
@group(0) @binding(4) var<storage, read_write> param: array<Float4>;
@group(0) @binding(5) var<storage, read_write> exp_avg: array<Float4>;
@group(0) @binding(6) var<storage, read_write> exp_avg_sq: array<Float4>;
//#if SCALED
@group(0) @binding(7) var<storage, read> loss_scale: array<vec4u>; // z: 1 if a gradient was not finite
//#endif

fn make(i: u32) {
    if i >= adam.size4 {
        return;
    }
//#if SCALED
    if loss_scale[0].z != 0u {
        return;
    }
//#endif
    let now = schedule[cursor[0]];
    var p = unpack_floats(param[i]);
    var g = unpack_floats(grad[i]);
//#if DECOUPLED
    p -= now.z * p;
//#else
    g += adam.weight_decay * p;
//#endif
    let before = unpack_floats(exp_avg[i]);
    let m = before + adam.one_minus_beta1 * (g - before);
    let v = adam.beta2 * unpack_floats(exp_avg_sq[i]) + adam.one_minus_beta2 * g * g;
    exp_avg[i] = pack_floats(m);
    exp_avg_sq[i] = pack_floats(v);
    param[i] = pack_floats(p - now.x * (m / (sqrt(v) / now.y + adam.eps)));
}
