//! Every operation on every usable adapter of the machine, against its f64 twin (`ops/list.rs`: the cases of `verify`), and
//! that wrong attributes are caught and impossible shapes refused.
//!
//! `VK_DRIVER_FILES` chooses other Vulkan drivers (`scripts/drivers.sh` lists them). Outputs are filled with NaN before
//! each run and have guard words after their end, which `ops::host` checks.

#[path = "common/adapters.rs"]
mod adapters;
#[path = "common/classes.rs"]
mod classes;

#[path = "ops/adam.rs"]
mod adam;
#[path = "ops/batch_norm.rs"]
mod batch_norm;
#[path = "ops/batch_norm_backward.rs"]
mod batch_norm_backward;
#[path = "ops/clip_grad_norm.rs"]
mod clip_grad_norm;
#[path = "ops/conv2d.rs"]
mod conv2d;
#[path = "ops/conv2d_backward.rs"]
mod conv2d_backward;
#[path = "ops/conv2d_hardware.rs"]
mod conv2d_hardware;
#[path = "ops/conv2d_plan.rs"]
mod conv2d_plan;
#[path = "ops/conv2d_split.rs"]
mod conv2d_split;
#[path = "ops/conv2d_tiles.rs"]
mod conv2d_tiles;
#[path = "ops/cooperative.rs"]
mod cooperative;
#[path = "ops/cross_entropy.rs"]
mod cross_entropy;
#[path = "ops/dispatch_lists.rs"]
mod dispatch_lists;
#[path = "ops/elementwise.rs"]
mod elementwise;
#[path = "ops/elementwise_backward.rs"]
mod elementwise_backward;
#[path = "ops/ema.rs"]
mod ema;
#[path = "ops/global_avg_pool.rs"]
mod global_avg_pool;
#[path = "ops/gradients.rs"]
mod gradients;
#[path = "ops/linear.rs"]
mod linear;
#[path = "ops/list.rs"]
mod list;
#[path = "ops/network_lists.rs"]
mod network_lists;
#[path = "ops/pack_weight.rs"]
mod pack_weight;
#[path = "ops/peak.rs"]
mod peak;
#[path = "ops/pool2d.rs"]
mod pool2d;
#[path = "ops/pool2d_backward.rs"]
mod pool2d_backward;
#[path = "ops/preprocess.rs"]
mod preprocess;
#[path = "ops/sgd.rs"]
mod sgd;
#[path = "ops/shortcut_pad.rs"]
mod shortcut_pad;
#[path = "ops/space_to_depth.rs"]
mod space_to_depth;
#[path = "ops/support.rs"]
mod support;
