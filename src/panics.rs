//! Panics of other crates' readers on broken files.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// What a reader gives; nothing if it panics. It must not take the run with it, and the error that it leads to is all that is said.
pub(crate) fn caught<T>(read: impl FnOnce() -> T) -> Option<T> {
    let before = IS_CAUGHT.replace(true);
    let result = catch_unwind(AssertUnwindSafe(read)).ok();
    IS_CAUGHT.set(before);
    result
}

/// Whether a panic of this thread would be [`caught`].
#[cfg(any(feature = "cli", test))]
pub(crate) fn is_caught() -> bool {
    IS_CAUGHT.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_nothing_and_the_next_one_counts() {
        assert_eq!(caught(|| 7), Some(7));
        assert!(!is_caught());
        assert_eq!(caught(|| caught(|| assert!(is_caught()))), Some(Some(())));
        assert_eq!(caught(|| std::panic::resume_unwind(Box::new(()))), None::<()>);
        assert!(!is_caught());
    }
}
