//! Long loops. Mesa 22's lavapipe leaves a loop after about 65,535 iterations, and says nothing.

use super::probe;
use super::run::Asker;
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::verify::report::Probe;

const COUNTS: [u32; 8] = [1, 1000, 65_534, 65_535, 65_536, 70_000, 200_000, 1_000_000];
const SEED: u32 = 12345;

pub(super) fn ask(asker: &Asker) -> Result<Vec<Probe>> {
    let operands = COUNTS.map(|count| [count, SEED, 0, 0]);
    Ok(judge(&asker.ask(KernelSpec::new("fingerprint/loops"), &operands, [0; 3], 2 * COUNTS.len())?))
}

/// The generator's state after `count` steps.
fn state_after(count: u32) -> u32 {
    (0..count).fold(SEED, |state, _| state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
}

fn judge(results: &[u32]) -> Vec<Probe> {
    let runs = || COUNTS.iter().zip(results.chunks_exact(2));
    let short = runs().find(|(count, found)| found[0] != **count || found[1] != state_after(**count));
    let (value, detail) = match short {
        None => ("complete".to_owned(), format!("up to {} iterations", COUNTS[COUNTS.len() - 1])),
        Some((count, found)) if found[0] < *count => {
            (format!("left after {}", found[0]), format!("a loop of {count} iterations"))
        }
        Some((count, found)) => ("wrong".into(), format!("a loop of {count} iterations counted {}", found[0])),
    };
    vec![probe("loops.long", value, detail)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_ends_early_is_noticed() {
        let run = |f: fn(u32) -> u32| -> Vec<u32> { COUNTS.iter().flat_map(|&c| [f(c), state_after(f(c))]).collect() };
        assert_eq!(judge(&run(|count| count))[0].value, "complete");
        assert_eq!(judge(&run(|count| count.min(65_535)))[0].value, "left after 65535");
        // The counter alone is not believed.
        let mut lying = run(|count| count.min(65_535));
        for (found, count) in lying.chunks_exact_mut(2).zip(COUNTS) {
            found[0] = count;
        }
        assert_eq!(judge(&lying)[0].value, "wrong");
    }
}
