//! Turns at a device whose driver serves one thread at a time.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::adapter::BackendName;

/// The turns at one device. All calls of GL go through one context, for which wgpu waits six seconds and then panics, since it takes that for a
/// deadlock. Drivers take longer to compile what a submit runs for the first time, so threads wait for their turn here, without an end.
/// Devices of other backends need no turns.
#[derive(Debug, Clone)]
pub(super) struct Turns(Option<Arc<Mutex<()>>>);

/// A turn, which ends when this is dropped. A thread that has one must not take another.
pub(super) struct Turn<'a>(#[allow(dead_code, reason = "it is held, not read")] Option<MutexGuard<'a, ()>>);

impl Turns {
    /// Those at a device of `backend`.
    pub fn new(backend: BackendName) -> Self {
        Self((backend == BackendName::Gl).then(Arc::default))
    }

    /// Waits for a turn.
    pub fn take(&self) -> Turn<'_> {
        Turn(self.0.as_ref().map(|turns| turns.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// A turn, unless another thread has one.
    #[cfg_attr(target_arch = "wasm32", allow(dead_code))] // a browser is never polled
    pub fn try_take(&self) -> Option<Turn<'_>> {
        match self.0.as_ref().map(|turns| turns.try_lock()) {
            None => Some(Turn(None)),
            Some(Ok(guard)) => Some(Turn(Some(guard))),
            Some(Err(TryLockError::Poisoned(guard))) => Some(Turn(Some(guard.into_inner()))),
            Some(Err(TryLockError::WouldBlock)) => None,
        }
    }

    /// What `make` makes in a turn.
    pub fn make<T>(&self, make: impl FnOnce() -> T) -> Turned<T> {
        let _turn = self.take();
        Turned { raw: Some(make()), turns: self.clone() }
    }
}

/// A thing of the driver's, made in a turn and given back in one.
#[derive(Debug)]
pub(super) struct Turned<T> {
    /// There until it is dropped.
    raw: Option<T>,
    turns: Turns,
}

impl<T> Deref for Turned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.raw.as_ref().expect("it is there until it is dropped")
    }
}

impl<T> Drop for Turned<T> {
    fn drop(&mut self) {
        let _turn = self.turns.take();
        self.raw = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::gpu::shaders::files::relu;
    use crate::gpu::{AdapterChoice, Gpu, block_on};

    /// Each kind of call while another thread has the turn: it waits, and goes on.
    #[test]
    fn calls_to_gl_wait_for_their_turn() {
        let choice = AdapterChoice { adapter: None, backend: Some(BackendName::Gl) };
        // scripts/setup.sh installs one with Mesa.
        let Ok(gpu) = block_on(Gpu::open(&choice)) else { return };
        let kept = Arc::new(gpu.upload("kept", &[1u32; 4]).unwrap());
        type Call = Box<dyn FnOnce(&Gpu) + Send>;
        let mut calls: Vec<(&str, Call)> = Vec::new();
        let (dropped, written) = (gpu.upload("dropped", &[1u32; 4]).unwrap(), kept.clone());
        calls.push(("a new buffer", Box::new(|gpu| drop(gpu.buffer("new", 16).unwrap()))));
        calls.push(("a buffer given back", Box::new(|_| drop(dropped))));
        calls.push(("a write", Box::new(move |gpu| gpu.write(&written, &[2u32; 4]).unwrap())));
        calls.push(("a kernel that is compiled", Box::new(|gpu| drop(gpu.kernel(&relu::FILE.into()).unwrap()))));
        let commands = gpu.device.raw.create_command_encoder(&Default::default()).finish();
        calls.push(("a submit", Box::new(|gpu| _ = gpu.scheduler.submit_now(&gpu.device, commands))));
        calls.push(("a wait", Box::new(|gpu| block_on(gpu.wait()).unwrap())));
        calls.push(("a read", Box::new(move |gpu| assert_eq!(block_on(gpu.read::<u32>(&kept, 4)).unwrap(), [2; 4]))));
        for (name, call) in calls {
            let (sender, ended) = mpsc::channel();
            let other = gpu.clone();
            let turn = gpu.device.turns.take();
            let thread = std::thread::spawn(move || {
                call(&other);
                sender.send(()).unwrap();
            });
            assert!(ended.recv_timeout(Duration::from_millis(50)).is_err(), "{name} did not wait");
            drop(turn);
            thread.join().unwrap();
            ended.recv().unwrap();
        }
    }
}
