//! What the targets share: a bound on memory, a folder for files, and what an error must look like.

pub mod repair;
pub mod weights;

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what is allocated, and ends the process where that is more than it may be: before the machine is out of memory, and with a
/// backtrace of who asked.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

impl Counting {
    fn add(&self, bytes: usize) {
        let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let limit = LIMIT.load(Ordering::Relaxed);
        if live > limit {
            // Room for the message.
            LIMIT.store(usize::MAX, Ordering::Relaxed);
            eprintln!("{bytes} more bytes make {live}, above the limit of {limit}");
            eprintln!("{}", std::backtrace::Backtrace::force_capture());
            std::process::abort();
        }
    }
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.add(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.add(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.add(size);
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Runs `act`, which may take `bytes` more than there is now.
pub fn bounded<T>(bytes: usize, act: impl FnOnce() -> T) -> T {
    LIMIT.store(LIVE.load(Ordering::Relaxed).saturating_add(bytes), Ordering::Relaxed);
    let result = act();
    LIMIT.store(usize::MAX, Ordering::Relaxed);
    result
}

/// Bytes that reading an input of `bytes` may take, beside what its own limits allow.
pub fn some(bytes: usize) -> usize {
    (64 << 20) + 64 * bytes
}

/// A folder in memory, emptied after each input.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static PATH: LazyLock<PathBuf> = LazyLock::new(|| {
            let base =
                Some(Path::new("/dev/shm")).filter(|path| path.is_dir()).map_or(std::env::temp_dir(), Path::to_owned);
            let path = base.join(format!("gpu-resnet-fuzz-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).expect("a folder");
            path
        });
        Self(PATH.clone())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        if name.contains('/') {
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        }
        std::fs::write(&path, bytes).expect("a file");
        path
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The folder itself stays: most of the time would go into making it.
        for entry in std::fs::read_dir(&self.0).expect("the folder").flatten() {
            let path = entry.path();
            let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
    }
}

/// Checks that an error names the file and is a line that a terminal can show.
pub fn check<T>(result: gpu_resnet::Result<T>, name: &str) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            line(&error.to_string(), name);
            None
        }
    }
}

/// Checks that `said` names the file and is a line that a terminal can show.
pub fn line(said: &str, name: &str) {
    let plain = said.contains(name) && !said.contains(char::is_control) && said.chars().count() < 4000;
    if !plain {
        // A backtrace takes memory of its own.
        LIMIT.store(usize::MAX, Ordering::Relaxed);
    }
    assert!(said.contains(name), "the error does not name the file: {said:?}");
    assert!(!said.contains(char::is_control), "the error has control characters: {said:?}");
    assert!(said.chars().count() < 4000, "the error has {} characters: {said:.300?}", said.chars().count());
}

/// Cuts an input in two: its first two bytes are the length of the first part.
pub fn two(bytes: &[u8]) -> (&[u8], &[u8]) {
    let Some((head, rest)) = bytes.split_first_chunk::<2>() else { return (bytes, &[]) };
    rest.split_at(rest.len().min(usize::from(u16::from_le_bytes(*head))))
}
