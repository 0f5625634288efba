//! Finds the unreadable images of a data set. Training does so before its first epoch, so that every epoch, and every resumed run,
//! forms the same batches.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::Dataset;
use crate::error::Error;

/// The images of `data` that can't be read or decoded, in ascending order, each with the reason, which names the file. All
/// are decoded, on all cores, one at a time on each. `done` is called after each, from any thread; once it returns false, the search
/// stops without a result.
pub fn find_unreadable(data: &dyn Dataset, done: impl Fn() -> bool + Sync) -> Option<Vec<(usize, Error)>> {
    let stopped = AtomicBool::new(false);
    let found = (0..data.len()).into_par_iter().filter_map(|i| {
        if stopped.load(Ordering::Relaxed) {
            return None;
        }
        let error = data.image(i).err();
        if !done() {
            stopped.store(true, Ordering::Relaxed);
        }
        Some((i, error?))
    });
    let found = found.collect();
    (!stopped.into_inner()).then_some(found)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::data::FileList;

    #[test]
    fn all_are_found_in_order_and_the_search_can_be_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let good = crate::data::encode_png(&crate::data::Rgb8::black(3, 2)).unwrap();
        let paths: Vec<PathBuf> = (0..40).map(|i| folder.path().join(format!("{i:02}.png"))).collect();
        for (i, path) in paths.iter().enumerate() {
            // One is missing, some are truncated.
            match i {
                7 => {}
                i if i % 9 == 3 => std::fs::write(path, &good[..good.len() / 2]).unwrap(),
                _ => std::fs::write(path, &good).unwrap(),
            }
        }
        let list = FileList::new(paths);
        let read = AtomicUsize::new(0);
        let found = find_unreadable(&list, || read.fetch_add(1, Ordering::SeqCst) < 1000).unwrap();
        assert_eq!(found.iter().map(|(i, _)| *i).collect::<Vec<_>>(), [3, 7, 12, 21, 30, 39]);
        assert!(found.iter().all(|(i, error)| error.to_string().contains(&format!("{i:02}.png"))));
        assert_eq!(read.into_inner(), 40);
        assert!(find_unreadable(&list, || false).is_none());
    }
}
