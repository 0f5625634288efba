//! The kernels that suit each vendor's GPUs: one table, with the reason for each line.
//!
//! A tile's rate is its expected speed relative to the best tile of the same GPU, with enough work for all cores. It is the share of
//! multiply-adds in the tile's loop as the vendor's compiler emits it (Mesa 26.2.6, 2026-11-28, `gpu-resnet kernels`), if that compiler is
//! available. Tiles that spill, or that leave a core too few subgroups to hide memory latency (8 of 32 or 4 of 64 per SIMD on AMD, 16 per SM
//! on NVIDIA), are left out. No line has been timed on a GPU: `tune` does that, and so does the first use of an adapter.

use crate::gpu::AdapterReport;
use crate::ops::Conv2dVariant as V;

/// A GPU's vendor, with the family where it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Vendor {
    /// RDNA 1 and 2.
    Amd,
    /// GCN, including Vega: subgroups of 64 only, and 64 registers per lane for four of them.
    AmdGcn,
    /// RDNA 3 and 4: half as many registers again.
    AmdRdna3,
    Nvidia,
    Intel,
    Apple,
    Adreno,
    Mali,
    Other,
}

/// What a vendor's GPUs run.
pub struct Preferences {
    /// Usable tiles with their rates. The first is the default.
    pub tiles: Tiles,
    /// Another kernel that is worth timing.
    pub also: Option<V>,
    /// Whether cooperative matrices compute f16 convolutions if the driver has them.
    pub matrices: bool,
    /// Whether Winograd's larger tile is worth its registers.
    pub winograd: bool,
}

/// Tiles with their rates.
type Tiles = &'static [(V, f64)];

const RDNA3_TILES: Tiles = &[
    (V::GEMM_128X128_BY_16X8, 1.0),
    (V::GEMM_128X128, 0.97),
    (V::GEMM_128X64, 0.93),
    (V::GEMM_64X64, 0.92),
    (V::GEMM_64X32, 0.79),
    (V::GEMM_32X32, 0.78),
    (V::GEMM_16X64, 0.78),
];

const RDNA_TILES: Tiles = &[
    (V::GEMM_128X128, 1.0),
    (V::GEMM_128X64, 0.96),
    (V::GEMM_64X64, 0.95),
    (V::GEMM_16X64, 0.81),
    (V::GEMM_32X32, 0.8),
    (V::GEMM_64X32, 0.78),
];

const NVIDIA_TILES: Tiles = &[
    (V::GEMM_128X128, 1.0),
    (V::GEMM_128X64, 0.92),
    (V::GEMM_64X64, 0.92),
    (V::GEMM_64X32, 0.79),
    (V::GEMM_16X64, 0.71),
    (V::GEMM_32X32, 0.7),
];

impl Vendor {
    pub const ALL: [Self; 9] = [
        Self::Amd,
        Self::AmdGcn,
        Self::AmdRdna3,
        Self::Nvidia,
        Self::Intel,
        Self::Apple,
        Self::Adreno,
        Self::Mali,
        Self::Other,
    ];

    /// The vendor of `adapter`, by its PCI or Khronos number, or by its name: Metal and GL report no number.
    pub fn of(adapter: &AdapterReport) -> Self {
        match adapter.vendor {
            // Samsung's Xclipse is an RDNA.
            0x1002 | 0x1022 | 0x144d => return Self::of_amd(adapter),
            0x10de => return Self::Nvidia,
            0x8086 => return Self::Intel,
            0x106b => return Self::Apple,
            0x5143 | 0x4d4f4351 => return Self::Adreno,
            0x13b5 => return Self::Mali,
            _ => {}
        }
        let name = adapter.name.to_lowercase();
        let has = |word: &str| name.contains(word);
        let named = [
            (Self::Amd, has("radeon") || has("radv") || has("amd ")),
            (Self::Nvidia, has("nvidia") || has("geforce") || has("quadro") || has("tesla ")),
            (Self::Intel, has("intel")),
            (Self::Apple, has("apple")),
            (Self::Adreno, has("adreno")),
            (Self::Mali, has("mali") || has("immortalis")),
        ];
        match named.into_iter().find(|(_, is)| *is) {
            Some((Self::Amd, _)) => Self::of_amd(adapter),
            found => found.map_or(Self::Other, |(vendor, _)| vendor),
        }
    }

    /// The family of an AMD GPU, by its subgroup sizes and its name as Mesa, AMD and Apple print it.
    fn of_amd(adapter: &AdapterReport) -> Self {
        let name = adapter.name.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if adapter.subgroup_size == [64, 64] || has(&["vega", "radeon vii", "pro vii", "polaris", "gfx9", "gfx8"]) {
            return Self::AmdGcn;
        }
        // A series of four digits: RX 7900 and W7900, but not RX 590.
        let series = |start: &str| {
            name.split([' ', '(']).any(|word| {
                word.len() >= 4 && word.starts_with(start) && word.as_bytes()[1..4].iter().all(u8::is_ascii_digit)
            })
        };
        let mobile = has(&["740m", "760m", "780m", "840m", "860m", "880m", "890m", "8040s", "8050s", "8060s"]);
        let code = has(&["navi3", "navi4", "gfx11", "gfx12", "phoenix", "strix", "hawk point"]);
        if code || mobile || series("7") || series("9") || name.contains("w7") { Self::AmdRdna3 } else { Self::Amd }
    }

    /// What its GPUs run.
    pub fn preferences(self) -> Preferences {
        let (tiles, also, [matrices, winograd]): (Tiles, _, _) = match self {
            // 16x8 sums per invocation take 192 of 1,536 registers per lane: 8 subgroups. Its matrices are worth more (llama.cpp, 9070 XT: 14.3
            // to 30.3 TFLOP/s).
            Self::AmdRdna3 => (RDNA3_TILES, None, [true, true]),
            // 1,024 registers per lane: 8x8 sums take 128, which leaves 8 subgroups.
            Self::Amd => (RDNA_TILES, None, [true, true]),
            // 64 registers hold 8x4 sums.
            Self::AmdGcn => (&[(V::GEMM, 1.0), (V::GEMM_64X32, 0.9), (V::GEMM_32X32, 0.87)], None, [false, true]),
            // 8x8 sums take 112 to 120 registers, which leave 16 warps. Tensor cores are several times as fast as f32.
            Self::Nvidia => (NVIDIA_TILES, None, [true, true]),
            // In SIMD16 a lane of Xe has 64 floats. 32 sums and the prefetched values nearly spill, and Winograd's 36 points do. ONNX
            // Runtime uses 32x64 and 16x64, llama.cpp nothing larger. Intel's matrices are 8x16x16, which WGSL cannot express yet.
            Self::Intel => (
                &[(V::GEMM_64X32, 1.0), (V::GEMM_32X32, 1.0), (V::GEMM_16X64, 0.95), (V::GEMM, 0.8)],
                None,
                [false, false],
            ),
            // 8x8 sums spill, and so do Winograd's points. llama.cpp stays at 64x64, MLX at 64x64 and less. Matrices save registers.
            Self::Apple => (
                &[(V::GEMM, 1.0), (V::GEMM_64X32, 0.9), (V::GEMM_32X32, 0.87), (V::GEMM_16X64, 0.87)],
                None,
                [true, false],
            ),
            // Large tiles crash or spill (llama.cpp PR 24877, 27640), Winograd's points spill, cooperative matrices fail (ncnn switches
            // them off).
            Self::Adreno => (
                &[(V::GEMM_64X64, 1.0), (V::GEMM, 0.92), (V::GEMM_32X32, 0.85), (V::GEMM_64X32, 0.84)],
                None,
                [false, false],
            ),
            // Workgroup memory is ordinary memory there: register blocks may win (llama.cpp: 4x4 gave 1.4 to 2.3 times).
            Self::Mali => (&[(V::GEMM_32X32, 1.0), (V::GEMM_16X64, 0.95)], Some(V::Register), [false, false]),
            Self::Other => (&[(V::GEMM, 1.0), (V::GEMM_32X32, 0.9)], Some(V::Register), [false, false]),
        };
        Preferences { tiles, also, matrices, winograd }
    }
}
