//! What there is to measure.

use crate::bench::Shape;
use crate::ops::Conv2dPass;

/// Shapes with their places and the passes over them, those that take most time first.
pub(super) fn jobs(shapes: &[Shape], train: bool) -> Vec<(usize, &Shape, Conv2dPass)> {
    let passes: &[Conv2dPass] = if train { &Conv2dPass::ALL } else { &[Conv2dPass::Forward] };
    let all = shapes.iter().enumerate().flat_map(|(place, shape)| passes.iter().map(move |&pass| (place, shape, pass)));
    // Nothing needs the gradient of the images.
    let mut jobs: Vec<_> = all.filter(|(place, _, pass)| (*place, *pass) != (0, Conv2dPass::ByInput)).collect();
    jobs.sort_by(|(_, a, _), (_, b, _)| (b.layers as f64 * b.flops()).total_cmp(&(a.layers as f64 * a.flops())));
    jobs
}
