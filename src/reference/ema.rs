//! `ema`: `average = decay average + (1 - decay) value`.

use super::Tensor;

/// One update of an exponential moving average.
pub fn ema(average: &mut Tensor, value: &Tensor, decay: f64) {
    *average = average.zip(value, |average, value| decay * average + (1.0 - decay) * value);
}
