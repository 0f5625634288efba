//! How many cores a GPU has, over which the workgroups of a dispatch are spread. wgpu does not report it, so it is looked up by the
//! adapter's name, and guessed from the kind of GPU if the name is unknown. It affects the speed of a plan, never what it
//! computes.

use serde::{Deserialize, Serialize};

/// Cores of an adapter: compute units (AMD), streaming multiprocessors (NVIDIA), Xe cores (Intel), GPU cores (Apple), shader
/// processors (Adreno), shader cores (Mali), threads of the processor (software drivers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cores {
    pub count: u32,
    /// Where the number comes from.
    pub by: CoreSource,
}

/// Where the number of cores comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CoreSource {
    /// The adapter's name is in the table.
    Name,
    /// The processor that a software driver runs on.
    Processor,
    /// A guess: a usual number for that kind of GPU.
    Guess,
}

impl CoreSource {
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Processor => "processor",
            Self::Guess => "guess",
        }
    }
}

impl Default for Cores {
    fn default() -> Self {
        Self { count: DISCRETE, by: CoreSource::Guess }
    }
}

/// Guesses: a mid-range card, and a laptop's or a phone's chip.
const DISCRETE: u32 = 32;
const INTEGRATED: u32 = 8;

impl Cores {
    /// Those of the adapter `name` of that `kind` (`discrete`, `integrated`, `virtual`, `cpu` or `other`).
    pub fn of(name: &str, kind: &str) -> Self {
        if kind == "cpu" {
            let count = std::thread::available_parallelism().map_or(1, |n| n.get().min(u32::MAX as usize) as u32);
            return Self { count, by: CoreSource::Processor };
        }
        if let Some(count) = by_name(name) {
            return Self { count, by: CoreSource::Name };
        }
        let count = if matches!(kind, "discrete" | "virtual") { DISCRETE } else { INTEGRATED };
        Self { count, by: CoreSource::Guess }
    }
}

/// The number that belongs to the longest entry of [`TABLE`] that is in `name` as whole words, or that a Mali's name says.
fn by_name(name: &str) -> Option<u32> {
    // `Arc(TM) A770` and `Adreno (TM) 750` are `arc a770` and `adreno 750`.
    let lower = name.to_lowercase().replace("(tm)", " ").replace("(r)", " ");
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let text = format!(" {} ", words.join(" "));
    let found = TABLE.iter().filter(|(entry, _)| text.contains(&format!(" {entry} ")));
    let longest = found.max_by_key(|(entry, _)| entry.len()).map(|(_, count)| *count);
    // `Mali-G610 MC4`: the cores are a part of the name.
    let counted = || {
        let mali = words.contains(&"mali") || words.contains(&"immortalis");
        let count = words.iter().find_map(|w| w.strip_prefix("mc").or_else(|| w.strip_prefix("mp"))?.parse().ok());
        count.filter(|count| mali && (1..=64).contains(count))
    };
    counted().or(longest)
}

/// Parts of adapters' names, lower case, words apart by one space, and their cores; from the makers' public data sheets.
/// If chips of one name were sold with different numbers, the most common one.
#[rustfmt::skip]
const TABLE: &[(&str, u32)] = &[
    // NVIDIA, streaming multiprocessors: Maxwell, Pascal, Volta.
    ("gtx 750 ti", 5), ("gtx 950", 6), ("gtx 960", 8), ("gtx 970", 13), ("gtx 980", 16), ("gtx 980 ti", 22),
    ("gtx 1050", 5), ("gtx 1050 ti", 6), ("gtx 1060", 10), ("gtx 1070", 15), ("gtx 1070 ti", 19), ("gtx 1080", 20),
    ("gtx 1080 ti", 28), ("titan xp", 30), ("titan v", 80), ("tesla p4", 20), ("tesla p40", 30), ("tesla p100", 56), ("v100", 80),
    // Turing.
    ("gtx 1630", 8), ("gtx 1650", 14), ("gtx 1650 super", 20), ("gtx 1660", 22), ("gtx 1660 super", 22), ("gtx 1660 ti", 24),
    ("rtx 2060", 30), ("rtx 2060 super", 34), ("rtx 2070", 36), ("rtx 2070 super", 40), ("rtx 2080", 46),
    ("rtx 2080 super", 48), ("rtx 2080 ti", 68), ("titan rtx", 72), ("tesla t4", 40), ("t4", 40),
    ("quadro rtx 4000", 36), ("quadro rtx 5000", 48), ("quadro rtx 6000", 72), ("quadro rtx 8000", 72),
    // Ampere.
    ("rtx 3050", 20), ("rtx 3050 laptop", 16), ("rtx 3060", 28), ("rtx 3060 laptop", 30), ("rtx 3060 ti", 38), ("rtx 3070", 46),
    ("rtx 3070 laptop", 40), ("rtx 3070 ti", 48), ("rtx 3070 ti laptop", 46), ("rtx 3080", 68), ("rtx 3080 laptop", 48),
    ("rtx 3080 ti", 80), ("rtx 3080 ti laptop", 58), ("rtx 3090", 82), ("rtx 3090 ti", 84), ("rtx a2000", 26), ("rtx a4000", 48),
    ("rtx a5000", 64), ("rtx a6000", 84), ("nvidia a2", 10), ("nvidia a10", 72), ("nvidia a30", 56), ("nvidia a40", 84), ("a100", 108),
    ("orin", 16), ("xavier", 8),
    // Ada, Hopper.
    ("rtx 4050 laptop", 20), ("rtx 4060", 24), ("rtx 4060 ti", 34), ("rtx 4070", 46), ("rtx 4070 laptop", 36),
    ("rtx 4070 super", 56), ("rtx 4070 ti", 60), ("rtx 4070 ti super", 66), ("rtx 4080", 76), ("rtx 4080 laptop", 58),
    ("rtx 4080 super", 80), ("rtx 4090", 128), ("rtx 4090 laptop", 76), ("rtx 6000 ada", 142), ("l4", 58), ("l40", 142),
    ("l40s", 142), ("h100", 132), ("h100 pcie", 114), ("h200", 132), ("gh200", 132),
    // Blackwell.
    ("rtx 5050", 20), ("rtx 5060", 30), ("rtx 5060 laptop", 26), ("rtx 5060 ti", 36), ("rtx 5070", 48), ("rtx 5070 laptop", 36),
    ("rtx 5070 ti", 70), ("rtx 5070 ti laptop", 46), ("rtx 5080", 84), ("rtx 5080 laptop", 60), ("rtx 5090", 170),
    ("rtx 5090 laptop", 82), ("b200", 148),
    // AMD, compute units: GCN.
    ("r9 290", 40), ("r9 290x", 44), ("r9 390", 40), ("r9 390x", 44), ("r9 fury", 56), ("rx 460", 14), ("rx 470", 32),
    ("rx 480", 36), ("rx 550", 8), ("rx 560", 16), ("rx 570", 32), ("rx 580", 36), ("rx 590", 36), ("rx vega", 64),
    ("rx vega 56", 56), ("vega 64", 64), ("radeon vii", 60), ("pro vii", 60), ("mi25", 64), ("mi50", 60), ("mi60", 64),
    ("mi100", 120), ("mi210", 104), ("mi250x", 110), ("mi300x", 304), ("vega 3", 3), ("vega 8", 8), ("vega 11", 11),
    // RDNA 1 and 2.
    ("rx 5500", 22), ("rx 5500 xt", 22), ("rx 5600 xt", 36), ("rx 5700", 36), ("rx 5700 xt", 40), ("rx 6400", 12),
    ("rx 6500 xt", 16), ("rx 6600", 28), ("rx 6600 xt", 32), ("rx 6650 xt", 32), ("rx 6700", 36), ("rx 6700 xt", 40),
    ("rx 6750 xt", 40), ("rx 6800", 60), ("rx 6800 xt", 72), ("rx 6900 xt", 80), ("rx 6950 xt", 80), ("pro w6800", 60),
    ("610m", 2), ("660m", 6), ("680m", 12),
    // RDNA 3 and 4.
    ("rx 7600", 32), ("rx 7600 xt", 32), ("rx 7700 xt", 54), ("rx 7800 xt", 60), ("rx 7900 gre", 80), ("rx 7900 xt", 84),
    ("rx 7900 xtx", 96), ("pro w7800", 70), ("pro w7900", 96), ("740m", 4), ("760m", 8), ("780m", 12), ("880m", 12),
    ("890m", 16), ("8050s", 32), ("8060s", 40), ("rx 9060 xt", 32), ("rx 9070", 56), ("rx 9070 xt", 64),
    // AMD's chips, as RADV names them after the card or instead of it; a card's own name is longer.
    ("polaris10", 36), ("polaris11", 16), ("vega10", 64), ("vega20", 60), ("navi10", 40), ("navi12", 40), ("navi14", 24),
    ("navi21", 80), ("navi22", 40), ("navi23", 32), ("navi24", 16), ("navi31", 96), ("navi32", 60), ("navi33", 32),
    ("gfx1200", 32), ("gfx1201", 64), ("raven", 11), ("renoir", 8), ("vangogh", 8), ("rembrandt", 12), ("raphael", 2),
    // Intel, Xe cores; before Xe dual subslices of 16 or subslices of 8 execution units.
    ("uhd graphics 630", 3), ("uhd graphics 730", 2), ("uhd graphics 750", 2), ("uhd graphics 770", 2), ("iris xe", 6),
    ("arc a310", 6), ("arc a370m", 8), ("arc a380", 8), ("arc a550m", 16), ("arc a580", 24), ("arc a730m", 24),
    ("arc a750", 28), ("arc a770", 32), ("arc a770m", 32), ("arc b570", 18), ("arc b580", 20), ("arc 130v", 7), ("arc 140v", 8),
    ("arc 140t", 8), ("arc graphics", 8),
    // Apple, GPU cores.
    ("apple m1", 8), ("apple m1 pro", 16), ("apple m1 max", 32), ("apple m1 ultra", 64), ("apple m2", 10), ("apple m2 pro", 19),
    ("apple m2 max", 38), ("apple m2 ultra", 76), ("apple m3", 10), ("apple m3 pro", 18), ("apple m3 max", 40),
    ("apple m3 ultra", 80), ("apple m4", 10), ("apple m4 pro", 20), ("apple m4 max", 40), ("apple m5", 10), ("apple a14", 4),
    ("apple a15", 5), ("apple a16", 5), ("apple a17 pro", 6),
    // Adreno, shader processors.
    ("adreno 630", 2), ("adreno 640", 2), ("adreno 650", 3), ("adreno 660", 3), ("adreno 730", 4), ("adreno 740", 6),
    ("adreno 750", 6), ("adreno x1 85", 6),
    // Mali whose names don't say it, shader cores.
    ("mali g52", 2), ("mali g57", 4), ("mali g68", 4), ("mali g76", 10), ("mali g77", 9), ("mali g78", 14), ("mali g610", 4),
    ("mali g710", 10), ("mali g715", 7), ("mali g720", 12), ("videocore vii", 12), ("v3d 7 1", 12),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_drivers_print_are_found() {
        for (name, count) in [
            ("AMD Radeon RX 7900 XTX (RADV NAVI31)", 96),
            ("AMD Radeon RX 7900 XT", 84),
            ("AMD Radeon RX 6800 (RADV NAVI21)", 60),
            ("AMD Radeon RX 6800 XT (RADV NAVI21)", 72),
            ("AMD Unknown (RADV NAVI21)", 80),
            ("AMD Radeon Graphics (RADV RENOIR)", 8),
            ("NVIDIA GeForce RTX 4070 Ti SUPER", 66),
            ("NVIDIA GeForce RTX 4070", 46),
            ("NVIDIA GeForce RTX 3080 Ti Laptop GPU", 58),
            ("NVIDIA GeForce RTX 4090 (NVK AD102)", 128),
            ("NVIDIA H100 80GB HBM3", 132),
            ("NVIDIA H100 PCIe", 114),
            ("NVIDIA A100-SXM4-40GB", 108),
            ("Tesla T4", 40),
            ("Intel(R) Arc(tm) A770 Graphics (DG2)", 32),
            ("Intel(R) Arc(TM) B580 Graphics", 20),
            ("Intel(R) UHD Graphics 770 (ADL-S GT1)", 2),
            ("Intel(R) Iris(R) Xe Graphics (TGL GT2)", 6),
            ("Apple M1", 8),
            ("Apple M1 Max", 32),
            ("Apple M1 Pro (G13S C0)", 16),
            ("Turnip Adreno (TM) 750", 6),
            ("Mali-G610 MC4", 4),
            ("Mali-G720-Immortalis MC12", 12),
        ] {
            assert_eq!(Cores::of(name, "discrete"), Cores { count, by: CoreSource::Name }, "{name}");
        }
    }

    #[test]
    fn other_names_are_guessed_by_their_kind() {
        for (name, kind, count) in [
            ("NVIDIA GeForce RTX 9999", "discrete", DISCRETE),
            ("RX 580X2", "discrete", DISCRETE),
            ("Intel(R) Graphics", "integrated", INTEGRATED),
            ("MC12", "other", INTEGRATED),
            ("Mali MC0", "integrated", INTEGRATED),
            ("", "virtual", DISCRETE),
        ] {
            assert_eq!(Cores::of(name, kind), Cores { count, by: CoreSource::Guess }, "{name}");
        }
        let software = Cores::of("llvmpipe (LLVM 15.0.6, 256 bits)", "cpu");
        assert!(software.count > 0 && software.by == CoreSource::Processor);
    }

    #[test]
    fn the_table_is_written_as_names_are_looked_up() {
        for (entry, count) in TABLE {
            assert_eq!(by_name(entry), Some(*count), "{entry}");
            assert_eq!(*entry, entry.to_lowercase());
        }
        let mut entries: Vec<&str> = TABLE.iter().map(|(entry, _)| *entry).collect();
        entries.sort_unstable();
        entries.dedup();
        assert_eq!(entries.len(), TABLE.len(), "an entry is there twice");
    }
}
