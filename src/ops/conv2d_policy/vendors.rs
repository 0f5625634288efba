//! What each vendor's GPUs run best: one table, with the reason for each line.
//!
//! A tile's rate is what is expected of it beside the best of the same GPU where there is work enough for all cores. No
//! line has been measured with these kernels: they follow what others published, and what the vendors' compilers make of the
//! kernels. `tune` measures.

use crate::gpu::AdapterReport;
use crate::ops::Conv2dVariant::{self, Gemm32x32, Gemm64x64, Gemm128x64, Register};

/// Who made a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Vendor {
    Amd,
    Nvidia,
    Intel,
    Apple,
    Adreno,
    Mali,
    Other,
}

/// How a vendor's GPUs are used.
pub struct Preferences {
    /// Tiles that they can be given, the one to take where nothing else decides first, and the rate of each.
    pub tiles: &'static [(Conv2dVariant, f64)],
    /// Another kernel that is worth timing there.
    pub also: Option<Conv2dVariant>,
    /// Whether cooperative matrices compute convolutions of f16 where the driver has them.
    pub matrices: bool,
}

impl Vendor {
    pub const ALL: [Self; 7] =
        [Self::Amd, Self::Nvidia, Self::Intel, Self::Apple, Self::Adreno, Self::Mali, Self::Other];

    /// The one whose number (PCI, or Khronos's) the driver gives, or whose name is in the adapter's: Metal and GL give no number.
    pub fn of(adapter: &AdapterReport) -> Self {
        match adapter.vendor {
            // Samsung's Xclipse is an RDNA.
            0x1002 | 0x1022 | 0x144d => return Self::Amd,
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
        named.into_iter().find(|(_, is)| *is).map_or(Self::Other, |(vendor, _)| vendor)
    }

    /// What its GPUs are given.
    pub fn preferences(self) -> Preferences {
        let (tiles, also, matrices): (&'static [(Conv2dVariant, f64)], _, _) = match self {
            // 8x4 sums an invocation leave 12 to 16 waves a SIMD (RADV 26.2.6: 72 to 96 registers). 128 pixels share each weight with twice as
            // many, as in llama.cpp's and CUTLASS's tiles. 4x4 sums read twice as much workgroup memory for a product. RDNA 3
            // and later have matrices (llama.cpp, 9070 XT: 14.3 to 30.3 TFLOP/s).
            Self::Amd => (&[(Gemm64x64, 1.0), (Gemm128x64, 1.0), (Gemm32x32, 0.9)], None, true),
            // 128x128 takes 120 registers, which leave 16 of 48 warps (NVK 26.2.6). Tensor cores are several times as fast as f32.
            Self::Nvidia => (&[(Gemm64x64, 1.0), (Gemm128x64, 1.0), (Gemm32x32, 0.9)], None, true),
            // In SIMD16 a lane of Xe has 64 floats: 32 sums and what is fetched ahead nearly spill. ONNX Runtime takes 32x64 and 16x64,
            // llama.cpp no larger ones. Its matrices are 8x16x16, which WGSL can't say yet.
            Self::Intel => (&[(Gemm32x32, 1.0), (Gemm64x64, 0.8)], None, false),
            // llama.cpp stays at 64x64, MLX at 64x64 and less; 128x128 spills (Honeykrisp 26.2.6). Matrices save registers.
            Self::Apple => (&[(Gemm64x64, 1.0), (Gemm32x32, 0.9)], None, true),
            // Large tiles crash or spill (llama.cpp PR 24877, 27640), cooperative matrices fail (ncnn switches them off).
            Self::Adreno => (&[(Gemm32x32, 1.0), (Gemm64x64, 0.8)], None, false),
            // Workgroup memory is ordinary memory there: register blocks may win (llama.cpp: 4x4 gave 1.4 to 2.3 times).
            Self::Mali => (&[(Gemm32x32, 1.0)], Some(Register), false),
            Self::Other => (&[(Gemm64x64, 1.0), (Gemm32x32, 0.9)], Some(Register), false),
        };
        Preferences { tiles, also, matrices }
    }
}
