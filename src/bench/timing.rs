//! Repeated timing of steps.

use web_time::Instant;

use crate::error::Result;

/// Seconds of each repetition of `step`, after one that does not count because it compiles shaders and first touches memory.
pub(super) fn time(iterations: Option<usize>, mut step: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    let [times] = time_in_turn(iterations, [&mut step])?;
    Ok(times)
}

/// The same for several steps that run in turn, so that a machine that slows down affects all of them.
pub(super) fn time_in_turn<const N: usize>(
    iterations: Option<usize>,
    mut steps: [&mut dyn FnMut() -> Result<()>; N],
) -> Result<[Vec<f64>; N]> {
    const SECONDS: f64 = 3.0;
    steps.iter_mut().try_for_each(|step| step())?;
    let started = Instant::now();
    let mut times = [(); N].map(|()| Vec::new());
    let enough = |rounds: usize| match iterations {
        Some(count) => rounds >= count.max(1),
        None => rounds >= 100 || (rounds >= 3 && started.elapsed().as_secs_f64() > SECONDS),
    };
    while !enough(times[0].len()) {
        for (step, times) in steps.iter_mut().zip(&mut times) {
            let began = Instant::now();
            step()?;
            times.push(began.elapsed().as_secs_f64());
        }
    }
    Ok(times)
}

/// The median: the middle value, or the mean of the middle two.
pub(super) fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn the_first_repetition_is_not_counted() {
        let mut runs = 0;
        let times = time(Some(4), || {
            runs += 1;
            Ok(())
        });
        assert_eq!((times.unwrap().len(), runs), (4, 5));
    }

    #[test]
    fn steps_run_in_turn() {
        let order = std::cell::RefCell::new(String::new());
        let step = |name| {
            order.borrow_mut().push(name);
            Ok(())
        };
        let times = time_in_turn(Some(2), [&mut || step('a'), &mut || step('b')]).unwrap();
        assert_eq!((times.map(|times| times.len()), order.borrow().as_str()), ([2, 2], "ababab"));
    }
}
