//! Augmentation: drawn parameters against torchvision's pixels (`tests/golden/augment.py`), and how they are drawn.

use gpu_resnet::data::{Adjust, Augment, Crop, Drawn, Interpolation, Jitter, Preprocess, Rgb8, View};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use safetensors::SafeTensors;
use sha2::{Digest, Sha256};

use crate::{assert_error, golden_file, source};

fn numbers<T: std::str::FromStr>(parts: &[&str]) -> Vec<T> {
    parts.iter().map(|p| p.parse().unwrap_or_else(|_| panic!("{p} is not a number"))).collect()
}

fn image(kind: &str, size: &str) -> Rgb8 {
    let [w, h] = numbers(&size.split('x').collect::<Vec<_>>())[..] else { panic!("{size} is not WxH") };
    source(kind, w, h)
}

fn transform(resize: u32, crop: u32, filter: &str) -> Preprocess {
    let interpolation = match filter {
        "bilinear" => Interpolation::Bilinear,
        "bicubic" => Interpolation::Bicubic,
        other => panic!("no such filter: {other}"),
    };
    Preprocess { resize, crop, interpolation, ..Preprocess::default() }
}

/// `brightness=1.2,hue=0.1`, each factor changed by `error`.
fn adjustments(text: &str, error: f64) -> Vec<Adjust> {
    let parse = |item: &str| {
        let (name, factor) = item.split_once('=').expect("NAME=FACTOR");
        let factor = factor.parse::<f64>().expect("a number") + error;
        match name {
            "brightness" => Adjust::Brightness(factor),
            "contrast" => Adjust::Contrast(factor),
            "saturation" => Adjust::Saturation(factor),
            "hue" => Adjust::Hue(factor),
            other => panic!("no such change: {other}"),
        }
    };
    text.split(',').map(parse).collect()
}

fn only(view: View) -> Drawn {
    Drawn { view, flip: false, colors: Vec::new() }
}

fn adjusted(mut image: Rgb8, changes: Vec<Adjust>) -> Rgb8 {
    changes.into_iter().for_each(|change| change.apply(&mut image));
    image
}

/// What a case's name asks for, or with `wrong` something next to it.
fn make(parts: &[&str], wrong: bool) -> Rgb8 {
    let off = i64::from(wrong);
    match parts {
        ["window", kind, size, resize, crop, filter, rest @ ..] => {
            let [padding, left, top] = numbers::<i64>(rest)[..] else { panic!("{rest:?}") };
            let [resize, crop] = numbers::<u32>(&[resize, crop])[..] else { panic!("{resize} {crop}") };
            let view = View::Window { left: left - padding + off, top: top - padding };
            only(view).apply(&image(kind, size), &transform(resize, crop, filter)).expect("a valid window")
        }
        ["box", kind, size, crop, filter, rest @ ..] => {
            let [left, top, width, height] = numbers::<u32>(rest)[..] else { panic!("{rest:?}") };
            let crop = crop.parse().expect("a number");
            let height = if wrong && height > 1 { height - 1 } else { height };
            let view = View::Box { left, top, width, height };
            only(view).apply(&image(kind, size), &transform(1, crop, filter)).expect("a valid box")
        }
        ["flip", kind, size] => {
            // Without a crop, of an image as large as the crop, there is only the flip.
            let flip = Drawn { view: View::Center, flip: !wrong, colors: Vec::new() };
            let image = image(kind, size);
            let long = image.width.max(image.height);
            let all = Preprocess { resize: image.width.min(image.height), crop: long, ..Preprocess::default() };
            let seen = flip.apply(&image, &all).expect("a valid size");
            let (left, top) = ((long - image.width) / 2, (long - image.height) / 2);
            // The black bar on the left may be a pixel narrower than that on the right, and changes sides.
            let left = if wrong { left } else { long - image.width - left };
            let row =
                |y: u32| ((y + top) * long + left) as usize * 3..((y + top) * long + left + image.width) as usize * 3;
            let pixels = (0..image.height).flat_map(|y| seen.pixels[row(y)].to_vec()).collect();
            Rgb8 { pixels, ..image }
        }
        ["colors", kind, size, text] => adjusted(image(kind, size), adjustments(text, if wrong { 0.02 } else { 0.0 })),
        other => panic!("no such case: {other:?}"),
    }
}

#[test]
fn crops_flips_and_colors_match_torchvision_in_every_bit() {
    let file = golden_file("augment.safetensors");
    let golden = SafeTensors::deserialize(&file).expect("a safetensors file");
    let (mut cases, mut caught) = (std::collections::BTreeMap::<String, usize>::new(), 0);
    for (name, expected) in golden.tensors() {
        let parts: Vec<&str> = name.split('/').collect();
        if ["palette", "fallback"].contains(&parts[0]) {
            continue;
        }
        let found = make(&parts, false);
        assert_eq!([found.height as usize, found.width as usize, 3], expected.shape(), "{name}");
        let worst = found.pixels.iter().zip(expected.data()).map(|(a, b)| a.abs_diff(*b)).max();
        assert_eq!(worst, Some(0), "{name}");
        *cases.entry(parts[0].to_owned()).or_default() += 1;
        caught += usize::from(make(&parts, true).pixels != expected.data());
    }
    println!("{cases:?}, of which {caught} differ with parameters next to the right ones");
    assert_eq!(cases.values().copied().collect::<Vec<_>>(), [32, 62, 6, 52], "{cases:?}");
    // The rest are flips of one column, boxes of one row, and black whatever its contrast.
    assert!(caught >= 145, "only {caught} wrong parameters were caught");
}

#[test]
fn colors_match_pillow_on_a_palette_of_all_colours() {
    let file = golden_file("augment.safetensors");
    let golden = SafeTensors::deserialize(&file).expect("a safetensors file");
    let levels = || (0..=255u8).step_by(3);
    let pixels: Vec<u8> =
        levels().flat_map(|r| levels().flat_map(move |g| levels().flat_map(move |b| [r, g, b]))).collect();
    let palette = Rgb8 { width: 86, height: 86 * 86, pixels };
    let digest = |text: &str, error| Sha256::digest(&adjusted(palette.clone(), adjustments(text, error)).pixels);
    let mut cases = 0;
    for (name, expected) in golden.tensors() {
        if let Some(text) = name.strip_prefix("palette/") {
            assert_eq!(digest(text, 0.0)[..], *expected.data(), "{name}");
            assert_ne!(digest(text, 0.008)[..], *expected.data(), "{name}");
            cases += 1;
        }
    }
    assert_eq!(cases, 27);
}

#[test]
fn a_box_that_never_fits_falls_back_to_torchvisions() {
    let file = golden_file("augment.safetensors");
    let golden = SafeTensors::deserialize(&file).expect("a safetensors file");
    let mut cases = 0;
    for (name, expected) in golden.tensors() {
        let Some(("fallback", rest)) = name.split_once('/') else { continue };
        let parts: Vec<&str> = rest.split('/').collect();
        let image = image("noise", parts[0]);
        let [least, greatest] = numbers::<f64>(&parts[1..])[..] else { panic!("{name}") };
        let draw = |scale, index| {
            let augment = Augment { crop: Crop::Resized { scale, ratio: [least, greatest] }, ..Augment::default() };
            let mut rng = Augment::rng(0, 1, index);
            augment.draw(image.width, image.height, &Preprocess::default(), &mut rng).expect("valid").view
        };
        let expected: Vec<u32> = expected.data().chunks_exact(8).map(|b| u32::from(b[0])).collect();
        let [left, top, width, height] = expected[..] else { panic!("{name} has {expected:?}") };
        // Whole images that are longer than the ratio allows never fit; the one that is not is all that is left of it.
        let view = View::Box { left, top, width, height };
        assert_eq!(draw([1.0, 1.0], 0), view, "{name}");
        assert!((0..20).any(|i| draw([0.05, 0.1], i) != view), "{name}: a small box fits");
        cases += 1;
    }
    assert_eq!(cases, 7);
}

/// Pearson's statistic of `counts` against all alike, less its expectation, in standard deviations.
fn unevenness(counts: &[usize]) -> f64 {
    let expected = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
    let chi2: f64 = counts.iter().map(|&c| (c as f64 - expected).powi(2) / expected).sum();
    let freedom = (counts.len() - 1) as f64;
    (chi2 - freedom) / (2.0 * freedom).sqrt()
}

/// How often each of `bins` equal parts of 0..1 has a value.
fn histogram(values: impl Iterator<Item = f64>, bins: usize) -> Vec<usize> {
    let mut counts = vec![0; bins];
    for value in values {
        assert!((-1e-3..1.001).contains(&value), "{value} is out of range");
        counts[((value * bins as f64) as usize).min(bins - 1)] += 1;
    }
    counts
}

fn draws(text: &str, width: u32, height: u32, preprocess: &Preprocess, n: usize) -> Vec<Drawn> {
    let augment: Augment = text.parse().expect(text);
    let draw = |i| augment.draw(width, height, preprocess, &mut Augment::rng(7, 3, i)).expect("valid");
    (0..n).map(draw).collect()
}

#[test]
fn crops_and_flips_are_drawn_evenly() {
    let cifar = transform(32, 32, "bilinear");
    for (text, side, places) in [("cifar", 32, 9), ("crop=0", 32, 1), ("crop=2", 20, 9)] {
        // An image that stays smaller with its padding is shown whole with it, in any place.
        let transform = Preprocess { resize: side, ..cifar.clone() };
        let mut counts = vec![0; places * places];
        for drawn in draws(text, side, side, &transform, 8000) {
            let View::Window { left, top } = drawn.view else { panic!("{:?}", drawn.view) };
            let least = if side == 32 { -(places as i64) / 2 } else { -10 };
            counts[(top - least) as usize * places + (left - least) as usize] += 1;
        }
        assert!(counts.len() == 1 || unevenness(&counts) < 4.0, "{text}: {counts:?}");
    }
    // A sum of two draws is not even.
    let two = |i: usize| (Augment::rng(7, 3, i).next_u32() % 5 + Augment::rng(8, 3, i).next_u32() % 5) as usize;
    let mut counts = vec![0; 9];
    (0..8000).for_each(|i| counts[two(i)] += 1);
    assert!(unevenness(&counts) > 100.0);

    for (text, rate) in [("flip", 0.5), ("cifar", 0.5), ("flip=0.1", 0.1), ("flip=0", 0.0), ("flip=1", 1.0)] {
        let flips = draws(text, 40, 30, &cifar, 10_000).iter().filter(|d| d.flip).count();
        let deviation = (10_000f64 * rate * (1.0 - rate)).sqrt();
        assert!((flips as f64 - 10_000.0 * rate).abs() <= 4.0 * deviation, "{text}: {flips} of 10000");
    }
}

#[test]
fn boxes_have_even_areas_ratios_and_places() {
    // Small enough that every try fits, which would otherwise favour small boxes.
    let (w, h) = (4000, 3000);
    let drawn = draws("resized-crop=0.05:0.3:0.75:1.3333333333333333", w, h, &Preprocess::default(), 8000);
    let boxes: Vec<[f64; 4]> = drawn
        .iter()
        .map(|d| match d.view {
            View::Box { left, top, width, height } => [left, top, width, height].map(f64::from),
            other => panic!("{other:?}"),
        })
        .collect();
    let (w, h) = (f64::from(w), f64::from(h));
    let ratio = Crop::RATIO.map(f64::ln);
    type Share = fn(&[f64; 4], f64, f64, [f64; 2]) -> f64;
    let even: [(&str, Share); 4] = [
        ("area", |b, w, h, _| (b[2] * b[3] / (w * h) - 0.05) / 0.25),
        ("log ratio", |b, _, _, ratio| ((b[2] / b[3]).ln() - ratio[0]) / (ratio[1] - ratio[0])),
        ("left", |b, w, _, _| b[0] / (w - b[2] + 1.0)),
        ("top", |b, _, h, _| b[1] / (h - b[3] + 1.0)),
    ];
    for (name, share) in even {
        let counts = histogram(boxes.iter().map(|b| share(b, w, h, ratio)), 20);
        assert!(unevenness(&counts) < 4.0, "{name}: {counts:?}");
    }
    // The ratio itself is not even: half of them are below 1, in three sevenths of its range.
    let counts = histogram(boxes.iter().map(|b| (b[2] / b[3] - 0.75) / (4.0 / 3.0 - 0.75)), 20);
    assert!(unevenness(&counts) > 10.0, "{counts:?}");
}

#[test]
fn colours_are_drawn_evenly_and_in_any_order() {
    let mut orders = std::collections::BTreeMap::<String, usize>::new();
    let mut factors = vec![Vec::new(); 4];
    for drawn in draws("jitter=0.4:1.5:0.2:0.1", 10, 10, &Preprocess::default(), 8000) {
        let mut order = String::new();
        for color in drawn.colors {
            let (name, place, share) = match color {
                Adjust::Brightness(f) => ('b', 0, (f - 0.6) / 0.8),
                Adjust::Contrast(f) => ('c', 1, f / 2.5),
                Adjust::Saturation(f) => ('s', 2, (f - 0.8) / 0.4),
                Adjust::Hue(f) => ('h', 3, (f + 0.1) / 0.2),
            };
            order.push(name);
            factors[place].push(share);
        }
        *orders.entry(order).or_default() += 1;
    }
    assert_eq!(orders.len(), 24, "{orders:?}");
    assert!(unevenness(&orders.values().copied().collect::<Vec<_>>()) < 4.0, "{orders:?}");
    for factors in factors {
        let counts = histogram(factors.into_iter(), 20);
        assert!(unevenness(&counts) < 4.0, "{counts:?}");
    }
    let some = draws("jitter=0:0:0.5:0", 10, 10, &Preprocess::default(), 50);
    assert!(some.iter().all(|d| matches!(d.colors[..], [Adjust::Saturation(_)])));
}

#[test]
fn no_augmentation_is_the_evaluation_transform() {
    let transform = transform(36, 32, "bilinear");
    for (w, h) in [(50, 40), (7, 9), (1, 1), (1, 90)] {
        let image = source("noise", w, h);
        let none = Augment::default().apply(&image, &transform, &mut Augment::rng(1, 1, 1)).expect("valid");
        assert_eq!(none, transform.apply(&image).expect("valid"));
        let some = "crop,flip".parse::<Augment>().expect("valid");
        let differ = |i| some.apply(&image, &transform, &mut Augment::rng(1, 1, i)).expect("valid") != none;
        assert!((0..20).any(differ), "{w}x{h}");
    }
}

#[test]
fn an_image_has_numbers_of_its_own() {
    let mut seen = std::collections::BTreeSet::new();
    let mut total = 0;
    for seed in [0, 1, u64::MAX] {
        for epoch in [0, 1, 2, u64::MAX] {
            for index in 0..50 {
                seen.insert(Augment::rng(seed, epoch, index).next_u64());
                assert_eq!(Augment::rng(seed, epoch, index), Augment::rng(seed, epoch, index));
                total += 1;
            }
        }
        // The orders, splits and initial weights.
        for stream in (0..100).chain([u64::MAX]) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(stream);
            seen.insert(rng.next_u64());
            total += 1;
        }
    }
    assert_eq!(seen.len(), total);
}

#[test]
fn any_size_of_image_and_crop_works() {
    let texts = ["crop", "crop=4096", "crop=0,flip", "imagenet", "resized-crop=1:1:0.001:0.002", "cifar,jitter=2"];
    for (resize, crop) in [(1, 1), (5, 9), (9, 5), (3, 64), (33, 32)] {
        for (w, h) in [(1, 1), (1, 2), (2, 1), (1, 301), (301, 1), (3, 3), (17, 13), (64, 65)] {
            let image = source("noise", w, h);
            for (i, text) in texts.into_iter().enumerate() {
                let augment: Augment = text.parse().expect(text);
                for epoch in 0..4 {
                    let transform = transform(resize, crop, "bicubic");
                    let seen = augment.apply(&image, &transform, &mut Augment::rng(9, epoch, i)).expect(text);
                    seen_is_square(&seen, crop);
                }
            }
        }
    }
    let wrong = Rgb8 { width: 10, height: 10, pixels: vec![0; 299] };
    for text in ["none", "crop", "imagenet", "flip"] {
        let augment: Augment = text.parse().expect(text);
        assert_error(augment.apply(&wrong, &Preprocess::default(), &mut Augment::rng(0, 0, 0)), &["needs 300 bytes"]);
    }
    let outside = only(View::Box { left: 1, top: 0, width: 10, height: u32::MAX });
    assert_error(outside.apply(&source("noise", 10, 10), &Preprocess::default()), &["not within", "10 x 10"]);
}

fn seen_is_square(seen: &Rgb8, crop: u32) {
    assert_eq!((seen.width, seen.height, seen.pixels.len()), (crop, crop, (crop * crop * 3) as usize));
}

#[test]
fn augmentation_as_words_and_in_a_run() {
    let same = [
        ("none", "none"),
        ("cifar", "crop=4,flip=0.5"),
        ("imagenet", "resized-crop=0.08,flip=0.5"),
        ("crop", "crop=4"),
        ("flip=0.25, crop=7", "crop=7,flip=0.25"),
        ("resized-crop=0.5,jitter", "resized-crop=0.5,jitter=0.4"),
        ("imagenet,jitter=0.8", "resized-crop=0.08,flip=0.5,jitter=0.8"),
        ("resized-crop=0.1:0.9:0.5:2,jitter=0.1:0:1:0.5", "resized-crop=0.1:0.9:0.5:2,jitter=0.1:0:1:0.5"),
    ];
    for (text, written) in same {
        let read: Augment = text.parse().expect(text);
        assert_eq!(read.to_string(), written);
        assert_eq!(written.parse::<Augment>().expect(written), read);
        let toml = toml::to_string(&read).expect("it serialises");
        assert_eq!(toml::from_str::<Augment>(&toml).expect(&toml), read, "{toml}");
        assert_eq!(read.is_none(), text == "none");
    }
    assert!("flip=0".parse::<Augment>().is_ok_and(|a| !a.is_none()));
    assert_eq!(toml::from_str::<Augment>("").expect("nothing is the default"), Augment::default());
    assert!(toml::from_str::<Augment>("flop = 1").is_err());
    assert!(toml::from_str::<Augment>("[crop.random]\npadding = 4\nfill = 3").is_err());
    assert_eq!(Jitter::of_strength(0.4).hue, 0.1);

    let possible = "possible are none, cifar";
    for (text, words) in [
        ("", &["``", possible][..]),
        ("mixup", &["`mixup`", possible]),
        ("crop,", &["``", possible]),
        ("none,flip", &["`none` can't be joined"]),
        ("crop,resized-crop", &["only one of `crop` and `resized-crop`"]),
        ("imagenet,crop=4", &["only one of"]),
        ("cifar,flip", &["`flip` is given twice"]),
        ("crop=-1", &["`crop=-1` needs a whole number"]),
        ("crop=4097", &["0 to 4096"]),
        ("flip=half", &["`flip=half` needs a number"]),
        ("flip=1.5", &["flip=1.5", "0 to 1"]),
        ("flip=nan", &["`flip=nan` needs a number"]),
        ("resized-crop=0", &["0 < 0 <= 1 <= 1"]),
        ("resized-crop=1.1", &["0 < 1.1 <= 1 <= 1"]),
        ("resized-crop=0.1:1", &["needs a number"]),
        ("resized-crop=0.1:1:2:1", &["0 < 2 <= 1 as ratios"]),
        ("jitter=-1", &["must be 0 or more", "-1"]),
        ("jitter=3", &["the hue", "0.75"]),
        ("jitter=1:1:1:inf", &["needs a number"]),
    ] {
        assert_error(text.parse::<Augment>(), words);
    }
}
