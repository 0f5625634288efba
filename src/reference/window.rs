//! The pooling window, shared by maximum and average.

use std::ops::Range;

/// Where the window of output `index` lies on one axis: the input positions it covers, and its extent with padding,
/// which ends where the right padding ends even if the window hangs over (`ceil_mode`).
pub(super) fn window(
    index: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    input: usize,
) -> (Range<usize>, usize) {
    // Both in padded coordinates, so that they aren't negative.
    let start = index * stride;
    let end = (start + kernel).min(input + 2 * padding);
    (start.saturating_sub(padding)..(end - padding.min(end)).min(input), end - start)
}
