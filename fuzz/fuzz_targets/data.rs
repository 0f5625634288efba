//! Data sets of strangers. The first byte of an input says which: a CSV list, IDX (plain and gzipped), CIFAR-10 and -100, the names of class
//! folders, safetensors of images, Parquet of features.
#![no_main]

use std::path::{Path, PathBuf};

use gpu_resnet::data::{FeatureTable, open_splits};
use gpu_resnet_fuzz as fuzz;
use libfuzzer_sys::fuzz_target;

/// Opens a data set and reads what training would.
fn read(path: &Path) {
    let Some(splits) = fuzz::check(open_splits(path), "gpu-resnet-fuzz-") else { return };
    for part in [Some(splits.train), splits.val].into_iter().flatten() {
        for i in 0..part.len().min(4) {
            assert!(
                part.label(i) < part.classes().len(),
                "label {} of {} classes",
                part.label(i),
                part.classes().len()
            );
            if let Ok(image) = part.image(i) {
                assert_eq!(image.pixels.len(), image.width as usize * image.height as usize * 3);
            }
            let _ = (part.name(i), part.content_key(i));
        }
        part.remarks();
    }
}

/// Files in folders with these names.
fn folders(folder: &fuzz::Folder, names: &[u8]) -> PathBuf {
    for (i, name) in names.split(|&byte| byte == b'\n').take(32).enumerate() {
        let name = String::from_utf8_lossy(name);
        let plain = !name.is_empty() && name.len() < 200 && !name.contains(['/', '\0']) && name != "." && name != "..";
        if plain {
            folder.put(&format!("data/{name}/{i}.png"), b"");
        }
    }
    folder.path().join("data")
}

/// Opens a table of features and reads all of them.
fn features(path: &Path) {
    let Some(table) = fuzz::check(FeatureTable::open(&[path.to_owned()], 4), "gpu-resnet-fuzz-") else { return };
    let all: Vec<usize> = (0..table.rows()).filter(|&i| !table.has_failed(i)).collect();
    let read = table.read(&all, |_, features| {
        assert_eq!(features.len(), 4);
        Ok(())
    });
    fuzz::check(read, "gpu-resnet-fuzz-");
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let folder = fuzz::Folder::new();
    let (first, second) = fuzz::two(bytes);
    let path = match kind % 8 {
        0 => {
            folder.put("a.png", b"");
            folder.put("list.csv", bytes)
        }
        1 => {
            folder.put("train-labels-idx1-ubyte", first);
            folder.put("train-images-idx3-ubyte", second)
        }
        2 => {
            folder.put("train-labels-idx1-ubyte.gz", first);
            folder.put("train-images-idx3-ubyte.gz", second)
        }
        3 => {
            folder.put("batches.meta.txt", first);
            folder.put("data_batch_1.bin", second);
            folder.path().to_owned()
        }
        4 => {
            folder.put("fine_label_names.txt", first);
            folder.put("train.bin", second);
            folder.path().to_owned()
        }
        5 => folders(&folder, bytes),
        6 => folder.put("images.safetensors", bytes),
        _ => {
            let path = folder.put("f.parquet", bytes);
            fuzz::bounded(fuzz::some(bytes.len()), || features(&path));
            return;
        }
    };
    fuzz::bounded(fuzz::some(bytes.len()), || read(&path));
});
