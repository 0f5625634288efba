use super::*;
use crate::gpu::{CoreSource, Cores};
use crate::ops::attributes::Conv2dAttributes;

fn adapter(kind: &str, vendor: u32, name: &str, cores: u32) -> AdapterReport {
    let cores = Cores { count: cores, by: CoreSource::Name };
    AdapterReport { name: name.into(), kind: kind.into(), vendor, cores, ..AdapterReport::example() }
}

/// A square convolution: channels, outputs, kernel and stride.
fn conv(in_channels: usize, out_channels: usize, kernel: usize, stride: usize) -> Conv2d {
    let attributes = Conv2dAttributes { stride: [stride; 2], padding: [kernel / 2; 2], ..Default::default() };
    Conv2d { attributes, in_channels, out_channels, kernel: [kernel; 2] }
}

fn at(conv: Conv2d, images: usize, side: usize) -> Convolution {
    Convolution { conv, map: [images, side, side], precision: Precision::F32 }
}

fn forward(adapter: &AdapterReport, convolution: &Convolution) -> String {
    choose(adapter, Conv2dPass::Forward, convolution).name()
}

/// Software drivers take what they took before hardware had a policy.
#[test]
fn software_drivers_keep_their_choices() {
    let of = |lanes: [u32; 2], subgroups: bool| {
        let mut adapter = adapter("cpu", 0x10005, "llvmpipe", 2);
        (adapter.subgroup_size, adapter.features.subgroups) = (lanes, subgroups);
        adapter
    };
    let lavapipe = of([8, 8], true);
    let swiftshader = of([4, 4], true);
    let llvmpipe_gl = of([0, 0], false);
    for (conv, side, expected) in [
        (conv(3, 64, 7, 2), 224, ["subgroup", "space-to-depth-subgroup4", "space-to-depth-register"]),
        (conv(64, 64, 1, 1), 56, ["subgroup", "subgroup4", "register"]),
        (conv(64, 64, 3, 1), 56, ["winograd4-subgroup", "winograd4-subgroup4", "winograd4-register"]),
        (conv(128, 128, 3, 2), 56, ["subgroup", "subgroup4", "register"]),
        (conv(128, 128, 3, 1), 28, ["winograd4-subgroup", "winograd4-subgroup4", "winograd4-register"]),
        (conv(256, 256, 3, 1), 14, ["winograd4-subgroup", "winograd4-subgroup4", "winograd4-register"]),
        (conv(512, 512, 3, 1), 7, ["winograd2-subgroup", "winograd2-subgroup4", "winograd4-register"]),
        (conv(512, 2048, 1, 1), 7, ["subgroup", "subgroup4", "register"]),
        (conv(3, 16, 3, 1), 32, ["subgroup", "subgroup4", "register"]),
        (conv(16, 16, 3, 1), 32, ["subgroup", "subgroup4", "register"]),
    ] {
        for images in [1, 8] {
            let found =
                [&lavapipe, &swiftshader, &llvmpipe_gl].map(|adapter| forward(adapter, &at(conv, images, side)));
            assert_eq!(found, expected, "{conv:?} on {side}x{side}");
        }
    }
    // With 64-bit integers lavapipe has a kernel for each kind of processor.
    let mut wide = lavapipe;
    wide.features.int64 = true;
    assert!(variants(&wide)[0].is_wide());
    assert_eq!(variants(&swiftshader), [Conv2dVariant::SUBGROUP4]);
}

#[test]
fn parts_belong_to_small_maps_of_long_reductions_on_many_cores() {
    let (large, small) = (adapter("discrete", 0x1002, "", 96), adapter("integrated", 0x1002, "", 12));
    let parts = |adapter: &AdapterReport, pass, conv, side| parts::parts(adapter, pass, &at(conv, 1, side));
    let forward = |conv, side| parts(&large, Conv2dPass::Forward, conv, side);
    assert_eq!([forward(conv(256, 256, 3, 1), 14), forward(conv(1024, 256, 1, 1), 14)], [3, 3]);
    assert_eq!([forward(conv(512, 512, 3, 1), 7), forward(conv(2048, 512, 1, 1), 7)], [4, 4]);
    // Large maps, and a reduction that is too short to be cut.
    assert_eq!([forward(conv(64, 64, 3, 1), 56), forward(conv(256, 256, 1, 1), 14)], [1, 1]);
    assert_eq!(parts(&large, Conv2dPass::ByInput, conv(512, 512, 3, 1), 7), 4);
    assert_eq!(parts(&large, Conv2dPass::ByInput, conv(512, 512, 3, 2), 14), 1);
    assert_eq!(parts(&small, Conv2dPass::Forward, conv(512, 512, 3, 1), 7), 1);
    // A tiny map has no end of parts.
    assert_eq!(forward(conv(4096, 32, 3, 1), 1), MOST_PARTS);
}

#[test]
fn tiles_follow_the_cores_and_the_batch() {
    let (few, many) = (adapter("discrete", 0x10de, "", 20), adapter("discrete", 0x10de, "", 132));
    let layer = |images| at(conv(256, 64, 1, 1), images, 56);
    assert_eq!(forward(&many, &layer(1)), "gemm-16x64");
    assert_eq!(forward(&many, &layer(64)), "gemm-128x64");
    assert_eq!(forward(&few, &layer(8)), "gemm-128x64");
    // Intel's are given the small tile whatever there is to do.
    let intel = adapter("discrete", 0x8086, "", 32);
    assert_eq!(forward(&intel, &layer(64)), "gemm-64x32");
    // And one that can run no tile takes registers.
    let mut tiny = many;
    tiny.max_workgroup_memory_bytes = 0;
    assert_eq!(forward(&tiny, &layer(1)), "register");
    assert_eq!(variants(&tiny), [Conv2dVariant::Register]);
}

#[test]
fn winograd_is_for_large_maps_of_many_channels() {
    let adapter = adapter("discrete", 0x1002, "", 96);
    let by_points = |conv, side| forward(&adapter, &at(conv, 1, side)).starts_with("winograd4-");
    assert!(by_points(conv(128, 128, 3, 1), 28) && by_points(conv(256, 256, 3, 1), 56));
    assert!(!by_points(conv(64, 64, 3, 1), 56), "too few channels");
    assert!(!by_points(conv(256, 256, 3, 1), 14), "too small a map");
    assert!(!by_points(conv(128, 128, 3, 2), 56), "a stride");
    assert!(!by_points(conv(140, 140, 3, 1), 28), "channels that are no multiple of 32");
    let half = Convolution { precision: Precision::F16, ..at(conv(128, 128, 3, 1), 1, 28) };
    assert!(!forward(&adapter, &half).starts_with("winograd"), "points are f32");
}

#[test]
fn matrices_compute_f16_where_they_are_fast() {
    let half = |conv, side| Convolution { precision: Precision::F16, ..at(conv, 1, side) };
    for (vendor, fast) in [(0x1002, true), (0x10de, true), (0x106b, true), (0x8086, false), (0x5143, false)] {
        let mut adapter = adapter("discrete", vendor, "", 40);
        let plain = forward(&adapter, &half(conv(256, 256, 3, 1), 14));
        assert!(plain.starts_with("gemm-"), "without the feature: {plain}");
        adapter.features.matrices_f16 = true;
        let chosen = forward(&adapter, &half(conv(256, 256, 3, 1), 14));
        assert_eq!(chosen == "cooperative", fast, "{vendor:#x}: {chosen}");
        assert_eq!(variants(&adapter).contains(&Conv2dVariant::COOPERATIVE_64X64), fast, "{vendor:#x}");
        assert_ne!(variants(&adapter)[0], Conv2dVariant::COOPERATIVE_64X64);
        // Neither f32, nor a stem, nor gradients.
        assert_ne!(forward(&adapter, &at(conv(256, 256, 3, 1), 1, 14)), "cooperative");
        assert_ne!(forward(&adapter, &half(conv(3, 64, 7, 2), 224)), "cooperative");
    }
}

#[test]
fn candidates_begin_with_the_choice_and_are_few() {
    for vendor in [0x1002, 0x10de, 0x8086, 0x106b, 0x5143, 0x13b5, 0] {
        let adapter = adapter("discrete", vendor, "", 60);
        for (conv, side) in [(conv(128, 128, 3, 1), 28), (conv(512, 512, 3, 1), 7), (conv(3, 64, 7, 2), 224)] {
            for pass in Conv2dPass::ALL {
                let found = candidates(&adapter, pass, &at(conv, 8, side));
                assert_eq!(found[0], choose(&adapter, pass, &at(conv, 8, side)));
                let most = if pass == Conv2dPass::ByWeight { 1..=1 } else { 2..=3 };
                assert!(most.contains(&found.len()), "{vendor:#x} {pass:?}: {found:?}");
                let mut names: Vec<String> = found.iter().map(|algorithm| algorithm.name()).collect();
                names.sort_unstable();
                names.dedup();
                assert_eq!(names.len(), found.len(), "one is there twice");
            }
        }
    }
}

#[test]
fn vendors_are_told_by_number_or_name() {
    for (vendor, name, expected) in [
        (0x1002, "AMD Radeon RX 7900 XTX (RADV NAVI31)", Vendor::AmdRdna3),
        (0x1002, "AMD Radeon RX 9070 XT", Vendor::AmdRdna3),
        (0x1002, "AMD Radeon Graphics (RADV GFX1201)", Vendor::AmdRdna3),
        (0x1002, "AMD Radeon 780M Graphics (RADV PHOENIX)", Vendor::AmdRdna3),
        (0x1002, "AMD Radeon PRO W7900", Vendor::AmdRdna3),
        (0x1002, "AMD Radeon RX 6800 (RADV NAVI21)", Vendor::Amd),
        (0x1002, "AMD Radeon Pro VII (RADV VEGA20)", Vendor::AmdGcn),
        (0x1002, "AMD Radeon RX 590 Series (RADV POLARIS10)", Vendor::AmdGcn),
        (0x10de, "NVIDIA GeForce RTX 4090", Vendor::Nvidia),
        (0x8086, "Intel(R) Arc(tm) A770 Graphics (DG2)", Vendor::Intel),
        (0x5143, "Turnip Adreno (TM) 750", Vendor::Adreno),
        (0x13b5, "Mali-G610 MC4", Vendor::Mali),
        // Metal and GL give no number.
        (0, "Apple M1 Pro", Vendor::Apple),
        (0, "Mali-G78", Vendor::Mali),
        (0, "AMD Radeon Pro 5500M", Vendor::Amd),
        (0x1010, "PowerVR Rogue", Vendor::Other),
    ] {
        assert_eq!(Vendor::of(&adapter("discrete", vendor, name, 8)), expected, "{name}");
    }
}
