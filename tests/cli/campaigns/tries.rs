//! A campaign goes on after a try that fails, so that one run of it says all that is wrong.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Tries, and how many of them failed.
#[derive(Default)]
pub struct Tries {
    pub all: usize,
    failed: usize,
}

impl Tries {
    /// What `act` gives; nothing if it panics, whose message was printed then.
    pub fn attempt<T>(&mut self, act: impl FnOnce() -> T) -> Option<T> {
        self.all += 1;
        let result = catch_unwind(AssertUnwindSafe(act)).ok();
        self.failed += usize::from(result.is_none());
        result
    }

    /// Fails if a try did.
    pub fn end(self) {
        assert!(self.failed == 0, "{} of {} tries failed", self.failed, self.all);
    }
}
