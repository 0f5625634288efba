//! Subgroups: their size, whether an invocation's index determines its subgroup and lane, and whether lanes get each other's values.

use super::answer::probe;
use super::run::Asker;
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::gpu::shaders::files::fingerprint as shaders;
use crate::verify::report::Probe;

const WIDTH: usize = 8;
const ITEMS: usize = 256;

pub(super) async fn ask(asker: &Asker<'_>) -> Result<Vec<Probe>> {
    let kernel = KernelSpec::new(shaders::subgroups::FILE);
    Ok(judge(&asker.ask(kernel, &[[1; 4]; ITEMS], [0; 3], ITEMS * WIDTH).await?))
}

fn judge(results: &[u32]) -> Vec<Probe> {
    let items = || results.chunks_exact(WIDTH).enumerate();
    let sizes = || items().map(|(_, found)| found[0]);
    let (least, most) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
    let size = if least == most { least.to_string() } else { format!("{least} to {most}") };
    let consecutive = |(item, found): (usize, &[u32])| {
        let item = item as u32;
        found[1] == item % found[0].max(1) && found[3] == item - found[1]
    };
    let layout = if items().all(consecutive) { "consecutive" } else { "other" };
    // By lanes and the index of the first, as `consecutive` finds them.
    let broadcast = items().all(|(_, found)| found[4] == found[3] + 3);
    let swaps = items().all(|(_, found)| (1..4).all(|k| found[4 + k as usize] == found[3] + (found[1] ^ k)));
    let right = |all: bool| if all { "right" } else { "other" };
    let active = items().all(|(_, found)| found[2] == found[0]);
    vec![
        probe("subgroups.size", size, format!("in workgroups of 64, {ITEMS} invocations")),
        probe("subgroups.layout", layout, "whether invocation i is lane i mod size"),
        probe("subgroups.add", if active { "size" } else { "other" }, "the sum of ones over a subgroup"),
        probe("subgroups.broadcast", right(broadcast), "what lane 3 hands to all"),
        probe("subgroups.quad_swaps", right(swaps), "what lanes of a quad swap, three ways"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An invocation's subgroup size, lane, sum and index of the first lane, for a subgroup whose lanes exchange values correctly.
    fn values(f: impl Fn(u32) -> [u32; 4]) -> Vec<String> {
        values_of(|i| {
            let [size, lane, ones, first] = f(i);
            [size, lane, ones, first, first + 3, first + (lane ^ 1), first + (lane ^ 2), first + (lane ^ 3)]
        })
    }

    fn values_of(f: impl Fn(u32) -> [u32; WIDTH]) -> Vec<String> {
        let results: Vec<u32> = (0..ITEMS as u32).flat_map(f).collect();
        judge(&results).into_iter().map(|probe| probe.value).collect()
    }

    #[test]
    fn layouts_are_told_apart() {
        assert_eq!(values(|i| [8, i % 8, 8, i / 8 * 8]), ["8", "consecutive", "size", "right", "right"]);
        let scattered = values(|i| [8, i / 8 % 8, 7, i / 64 * 64 + i % 8]);
        assert_eq!(scattered[..3], ["8", "other", "other"]);
        assert_eq!(
            values(|i| if i < 64 { [16, i % 16, 16, i / 16 * 16] } else { [32, i % 32, 32, i / 32 * 32] })[0],
            "16 to 32"
        );
    }

    #[test]
    fn wrong_lanes_are_told() {
        let found = values_of(|i| [4, i % 4, 4, i / 4 * 4, i / 4 * 4 + 2, i ^ 1, i ^ 3, i ^ 2]);
        assert_eq!(found[3..], ["other", "other"]);
        let found = values_of(|i| [4, i % 4, 4, i / 4 * 4, i / 4 * 4 + 3, i ^ 1, i ^ 2, i]);
        assert_eq!(found[3..], ["right", "other"]);
    }
}
