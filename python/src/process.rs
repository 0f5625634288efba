//! Which process uses the library. A driver's threads and the pool of this library are not there in a forked child, where a
//! call would wait for them for ever; so it is refused in words.

use std::sync::atomic::{AtomicU32, Ordering};

use gpu_resnet::{Error, Result};

/// The process that used the library first; 0 before.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// Called before anything that opens or uses an adapter.
///
/// # Errors
/// [`Error::Usage`] in a process that was forked from one that uses the library.
pub fn check() -> Result<()> {
    let this = std::process::id();
    match OWNER.compare_exchange(0, this, Ordering::SeqCst, Ordering::SeqCst) {
        Ok(_) => Ok(()),
        Err(owner) if owner == this => Ok(()),
        Err(_) => Err(Error::Usage(
            "this process was forked from one that uses gpu_resnet already, and a GPU's driver does not survive a fork; \
             start workers by multiprocessing.get_context(\"spawn\"), or use gpu_resnet in the workers alone"
                .into(),
        )),
    }
}
