//! Images as they come: each decoder as the program calls it, with orientation, recognised by content.
#![no_main]

use std::path::Path;
use std::sync::Once;

use gpu_resnet::data::{MAX_PIXELS, decode_bytes};
use gpu_resnet_fuzz as fuzz;
use libfuzzer_sys::fuzz_target;

/// The largest image, its decoder's own copy, and a third for turning it.
const MOST: usize = 4 * 3 * MAX_PIXELS as usize;

fuzz_target!(|bytes: &[u8]| {
    // A panic of another crate's decoder is caught, which is what the program does too; libFuzzer's hook would end the process before.
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let file = panic.location().map_or("", |at| at.file());
            if !file.contains("/registry/src/") && !file.contains("/rustc/") {
                eprintln!("{panic}");
                std::process::abort();
            }
        }));
    });
    let decoded = fuzz::bounded(MOST, || decode_bytes(bytes, Path::new("some/image")));
    if let Some(image) = fuzz::check(decoded, "some/image") {
        assert_eq!(image.pixels.len(), image.width as usize * image.height as usize * 3);
        assert!(!image.pixels.is_empty());
    }
});
