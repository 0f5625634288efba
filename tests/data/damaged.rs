//! Damaged pictures, which Pillow may read or refuse: what is read here has its pixels.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gpu_resnet::data::decode_bytes;
use sha2::{Digest, Sha256};

const KINDS: [&str; 7] = ["jpeg", "png", "webp", "gif", "tiff", "bmp", "pnm"];

/// How the files of a kind came out.
fn outcomes(folder: &Path, kind: &str) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for line in std::fs::read_to_string(folder.join(format!("{kind}.txt"))).expect("Pillow's results").lines() {
        let [number, pillow, plain] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let path = folder.join(kind).join(number);
        let ours = match decode_bytes(&std::fs::read(&path).expect("a file"), &path) {
            Ok(image) => format!("{:x}", Sha256::digest(&image.pixels)),
            Err(_) => "refused".into(),
        };
        let outcome = match (&*ours, pillow) {
            ("refused", "refused") => "both refuse",
            ("refused", _) => "only this refuses",
            (_, "refused") => "only Pillow refuses",
            (ours, _) if ours == pillow => "equal",
            _ if pillow != plain => "libjpeg overflows",
            _ => {
                println!("{} differs", path.display());
                "differ"
            }
        };
        *counts.entry(outcome).or_default() += 1;
    }
    counts
}

#[test]
#[ignore = "needs the files of tests/golden/decode/damaged.py, in the folder that GPU_RESNET_DAMAGED names"]
fn damaged_pictures_are_pillows_or_refused() {
    let folder = PathBuf::from(std::env::var_os("GPU_RESNET_DAMAGED").expect("GPU_RESNET_DAMAGED names the folder"));
    for kind in KINDS {
        let counts = outcomes(&folder, kind);
        println!("{kind}: {counts:?}");
        let [equal, differ] = ["equal", "differ"].map(|outcome| counts.get(outcome).copied().unwrap_or(0));
        assert!(equal > 0 && differ <= equal / 100, "{kind}: {differ} differ");
    }
}
