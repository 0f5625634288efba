//! The pickles in PyTorch's checkpoints, in a frame that is always whole. The first byte of an input says which: the pickle of a zip
//! archive, that of the older form, or the first of a file.
#![no_main]

use gpu_resnet_fuzz as fuzz;
use libfuzzer_sys::fuzz_target;

/// Storages that a pickle can name, `0` to `3`.
const STORAGES: usize = 4;
const STORAGE: [u8; 64] = [0; 64];

fn in_zip(pickle: &[u8]) -> Vec<u8> {
    let mut entries = vec![("a/data.pkl".to_owned(), pickle)];
    entries.extend((0..STORAGES).map(|i| (format!("a/data/{i}"), &STORAGE[..])));
    fuzz::repair::zip(&entries)
}

/// The older form: a number, the protocol, the machine, then the pickle, the keys of the storages, and the storages.
fn in_sequence(pickle: &[u8]) -> Vec<u8> {
    let mut out = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.".to_vec();
    out.extend(pickle);
    out.extend(b"\x80\x02](U\x010U\x011U\x012U\x013e.");
    for _ in 0..STORAGES {
        out.extend([&16u64.to_le_bytes()[..], &STORAGE[..]].concat());
    }
    out
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let file = match kind % 3 {
        0 => in_zip(bytes),
        1 => in_sequence(bytes),
        _ => bytes.to_vec(),
    };
    fuzz::weights::read(file, "some/weights");
});
