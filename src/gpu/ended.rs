//! Something that was asked of the device and that a callback reports the end of, as a future.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Becomes ready at the end, with whether all went well. Clones become ready together.
#[derive(Clone)]
pub(super) struct Ended(Arc<Mutex<State>>);

/// What the callback holds. Dropped without a call, it reports a failure, so that nobody waits for ever.
pub(super) struct Ender(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    well: Option<bool>,
    waiting: Vec<Waker>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ended {
    /// What has not ended yet, and what reports that it has.
    pub fn new() -> (Ender, Self) {
        let state = Arc::default();
        (Ender(Arc::clone(&state)), Self(state))
    }
}

impl Ender {
    /// Reports the end.
    pub fn end(self, well: bool) {
        self.set(well);
    }

    fn set(&self, well: bool) {
        let waiting = {
            let mut state = lock(&self.0);
            state.well.get_or_insert(well);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Ender {
    fn drop(&mut self) {
        self.set(false);
    }
}

impl Future for Ended {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        let mut state = lock(&self.0);
        if let Some(well) = state.well {
            return Poll::Ready(well);
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            state.waiting.push(context.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_clones_hear_of_the_first_end_alone() {
        let (ender, ended) = Ended::new();
        let other = ended.clone();
        let waiting = std::thread::spawn(move || pollster::block_on(other));
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(Pin::new(&mut ended.clone()).poll(&mut context), Poll::Pending);
        ender.end(true);
        assert!(waiting.join().unwrap() && pollster::block_on(ended));
    }

    #[test]
    fn a_callback_that_is_never_called_is_a_failure() {
        let (ender, ended) = Ended::new();
        let waiting = std::thread::spawn(move || pollster::block_on(ended));
        drop(ender);
        assert!(!waiting.join().unwrap());
    }
}
