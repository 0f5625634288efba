//! Long loops, and loops that lanes leave at different times. Mesa 22's lavapipe silently leaves a loop after about 65,535 iterations.

use super::answer::probe;
use super::run::Asker;
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::gpu::shaders::files::fingerprint as shaders;
use crate::verify::report::Probe;

const COUNTS: [u32; 8] = [1, 1000, 65_534, 65_535, 65_536, 70_000, 200_000, 1_000_000];
/// Iterations of 64 lanes that each leave the loop, whose condition is at its end, after a different count.
const UNEVEN: [u32; 64] = {
    let mut counts = [0; 64];
    let mut lane = 0;
    while lane < 64 {
        counts[lane as usize] = 1 + lane * 29 % 64;
        lane += 1;
    }
    counts
};
const SEED: u32 = 12345;

pub(super) async fn ask(asker: &Asker<'_>) -> Result<Vec<Probe>> {
    let run = async |spec: KernelSpec, counts: &[u32]| {
        let operands: Vec<_> = counts.iter().map(|&count| [count, SEED, 0, 0]).collect();
        asker.ask(spec, &operands, [0; 3], 2 * counts.len()).await
    };
    let loops = KernelSpec::new(shaders::loops::FILE);
    Ok(vec![
        judge("loops.long", &COUNTS, &run(loops.clone(), &COUNTS).await?),
        judge("loops.condition_at_end", &UNEVEN, &run(loops.entry("condition_at_end"), &UNEVEN).await?),
    ])
}

/// The generator's state after `count` steps.
fn state_after(count: u32) -> u32 {
    (0..count).fold(SEED, |state, _| state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
}

fn judge(name: &str, counts: &[u32], results: &[u32]) -> Probe {
    let runs = || counts.iter().zip(results.chunks_exact(2));
    let short = runs().find(|(count, found)| found[0] != **count || found[1] != state_after(**count));
    let (value, detail) = match short {
        None => ("complete".to_owned(), format!("up to {} iterations", counts.iter().max().unwrap_or(&0))),
        Some((count, found)) if found[0] < *count => {
            (format!("left after {}", found[0]), format!("a loop of {count} iterations"))
        }
        Some((count, found)) => ("wrong".into(), format!("a loop of {count} iterations counted {}", found[0])),
    };
    probe(name, value, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_ends_early_is_noticed() {
        let long = |results: &[u32]| judge("loops.long", &COUNTS, results).value;
        let run = |f: fn(u32) -> u32| -> Vec<u32> { COUNTS.iter().flat_map(|&c| [f(c), state_after(f(c))]).collect() };
        assert_eq!(long(&run(|count| count)), "complete");
        assert_eq!(long(&run(|count| count.min(65_535))), "left after 65535");
        // A correct counter alone is not enough.
        let mut lying = run(|count| count.min(65_535));
        for (found, count) in lying.chunks_exact_mut(2).zip(COUNTS) {
            found[0] = count;
        }
        assert_eq!(long(&lying), "wrong");
    }

    #[test]
    fn a_lane_that_does_not_leave_is_noticed() {
        let run = |f: fn(u32) -> u32| -> Vec<u32> { UNEVEN.iter().flat_map(|&c| [f(c), state_after(f(c))]).collect() };
        let uneven = |results: &[u32]| judge("loops.condition_at_end", &UNEVEN, results).value;
        assert_eq!(uneven(&run(|count| count)), "complete");
        assert_eq!(uneven(&run(|count| count.max(2))), "wrong");
        // The count is right, but one iteration too many was computed.
        let mut late = run(|count| count);
        late[1] = state_after(UNEVEN[0] + 1);
        assert_eq!(uneven(&late), "wrong");
    }
}
