//! What the program wrote itself, damaged. The first byte of an input says which: a feature cache, a checkpoint of a head, compiled
//! pipelines, an archive of a data set (a `.tar.gz`, or one file as `.gz`), and the first and third with a digest that fits whatever else is
//! wrong. None is used unless it is whole.
#![no_main]

use gpu_resnet::data::{Archive, Member};
use gpu_resnet::fuzzing::{read_pipelines, unpack};
use gpu_resnet::train::{Checkpoint, Examples, FeatureCache, HeadOptions, HeadShape};
use gpu_resnet_fuzz as fuzz;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use sha2::{Digest, Sha256};

const FOLDER: &str = "gpu-resnet-fuzz-";

fn features(folder: &fuzz::Folder, bytes: &[u8]) {
    // The name follows from the key and the width.
    let mut cache = FeatureCache::open_in(folder.path(), "key", 2);
    cache.insert([1; 32], &[1.0, 2.0]);
    cache.save().expect("a cache");
    let name = std::fs::read_dir(folder.path()).expect("a folder").next().expect("a file").expect("a file").file_name();
    folder.put(name.to_str().expect("a name"), bytes);
    let cache = FeatureCache::open_in(folder.path(), "key", 2);
    match cache.warning() {
        Some(warning) => {
            assert!(cache.is_empty(), "{warning}");
            fuzz::line(warning, FOLDER);
        }
        None => assert!(cache.get(&[1; 32]).is_none_or(|row| row.len() == 2 && row.iter().all(|x| x.is_finite()))),
    }
}

/// A feature cache whose checksum fits its tensors, if it has a checksum.
fn sealed_features(bytes: &[u8]) -> Option<Vec<u8>> {
    const KEY: &[u8] = b"\"sha256\":\"";
    let range = fuzz::repair::header(bytes)?;
    let header: serde_json::Value = serde_json::from_slice(&bytes[range.clone()]).ok()?;
    let place = |name: &str| {
        let offsets = header.get(name)?.get("data_offsets")?;
        let at = |i: usize| range.end.checked_add(offsets.get(i)?.as_u64()? as usize);
        bytes.get(at(0)?..at(1)?)
    };
    let digest = Sha256::new().chain_update(place("images")?).chain_update(place("features")?).finalize();
    let start = bytes[range.clone()].windows(KEY.len()).position(|window| window == KEY)? + range.start + KEY.len();
    let mut bytes = bytes.to_vec();
    bytes.get_mut(start..start + 64)?.copy_from_slice(format!("{digest:x}").as_bytes());
    Some(bytes)
}

fn pipelines(folder: &fuzz::Folder, bytes: &[u8]) {
    if let Err(why) = read_pipelines(&folder.put("pipelines", bytes), &[7; 32]) {
        assert!(!why.contains(char::is_control), "{why:?}");
    }
}

/// What was written comes back, and nothing else.
fn sealed_pipelines(folder: &fuzz::Folder, bytes: &[u8]) {
    let digest = Sha256::new().chain_update([7; 32]).chain_update(bytes).finalize();
    let path = folder.put("pipelines", &[&digest[..], &[7; 32], bytes].concat());
    assert_eq!(read_pipelines(&path, &[7; 32]), Ok(Some(bytes.to_vec())));
    assert_eq!(read_pipelines(&path, &[8; 32]), Ok(None));
}

fn checkpoint(folder: &fuzz::Folder, bytes: &[u8]) {
    let path = folder.put("checkpoint.safetensors", bytes);
    let train = Examples { features: &[0.0, 1.0, 1.0, 0.0], labels: &[0, 1] };
    let shape = HeadShape { features: 2, classes: 2 };
    if let Some(Some(found)) = fuzz::check(Checkpoint::read(&path, shape, &HeadOptions::default(), train), FOLDER) {
        assert!(found.state.head.weight.len() == 4 && found.state.head.bias.len() == 2);
    }
}

fn archive(folder: &fuzz::Folder, bytes: &[u8], url: &str) {
    let member = |name: &str| Member { name: name.into(), bytes: 4, sha256: "0".repeat(64) };
    let files = if url.ends_with(".tar.gz") { vec![member("a.bin"), member("b.bin")] } else { vec![member("a.bin")] };
    let archive = Archive { url: url.into(), bytes: bytes.len() as u64, sha256: String::new(), files };
    let packed = std::fs::File::open(folder.put("packed", bytes)).expect("a file");
    std::fs::create_dir_all(folder.path().join("set")).expect("a folder");
    fuzz::check(unpack("some set", &archive, &packed, "set", &folder.path().join("set")), "some set");
    // Nothing has a name before all of it is known to be right, and nothing is anywhere else.
    assert_eq!(std::fs::read_dir(folder.path().join("set")).expect("a folder").count(), 0);
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2);
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let folder = fuzz::Folder::new();
    fuzz::bounded(fuzz::some(bytes.len()), || match kind % 7 {
        0 => features(&folder, bytes),
        1 => checkpoint(&folder, bytes),
        2 => pipelines(&folder, bytes),
        3 => archive(&folder, bytes, "https://example.org/a.tar.gz"),
        4 => archive(&folder, bytes, "https://example.org/a.gz"),
        5 => features(&folder, sealed_features(bytes).as_deref().unwrap_or(bytes)),
        _ => sealed_pipelines(&folder, bytes),
    });
});

// As in `weights`, behind the first byte.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let size = fuzzer_mutate(data, size, max_size);
    let is_tensors = size > 9 && [0, 1, 5].contains(&(data[0] % 7)) && seed % 4 > 0;
    if is_tensors { 1 + fuzz::repair::safetensors(&mut data[1..], size - 1) } else { size }
});
