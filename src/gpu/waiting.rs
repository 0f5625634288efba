//! How the host waits for the device. Where threads may block, a future does so itself and is ready at once; in a browser, where nothing
//! may block, it is ready once the browser has called back. This file alone tells the two apart.

use std::future::Future;

use super::device::Device;
use super::ended::Ended;
use crate::error::{Error, Result};
pub(super) use kind::{Submission, Waiting};

/// Runs `future` to its end on this thread, which waits meanwhile. For programs, which may block; a page in a browser awaits.
///
/// # Panics
/// In a browser, if the future is not ready at once.
pub fn block_on<F: Future>(future: F) -> F::Output {
    kind::block_on(future)
}

/// Has `buffer` mapped for reading; true once that is done.
pub(super) fn map(buffer: &wgpu::Buffer) -> Ended {
    let (ender, ended) = Ended::new();
    buffer.map_async(wgpu::MapMode::Read, .., move |result| ender.end(result.is_ok()));
    ended
}

/// The bytes of a mapped buffer.
///
/// # Errors
/// What the driver reported, if `mapped` says that it failed.
pub(super) fn mapped_bytes(device: &Device, buffer: &wgpu::Buffer, mapped: bool) -> Result<wgpu::BufferView> {
    // What failed on the way here may be known only now, in a browser.
    device.check()?;
    if !mapped {
        return Err(Error::Gpu("a read-back could not be mapped".into()));
    }
    buffer.get_mapped_range(..).map_err(|e| Error::Gpu(format!("a read-back could not be mapped: {e}")))
}

#[cfg(not(target_arch = "wasm32"))]
mod kind {
    use std::sync::RwLock;
    use std::time::{Duration, Instant};

    use super::{Device, Error, Future, Result};

    pub fn block_on<F: Future>(future: F) -> F::Output {
        pollster::block_on(future)
    }

    /// A submit, as it is waited for.
    #[derive(Clone)]
    pub struct Submission(wgpu::SubmissionIndex);

    /// The waits of one device.
    #[derive(Default)]
    pub struct Waiting {
        /// Held for reading while submitting or waiting, for writing while polling whether a submit is done: wgpu 30 panics
        /// if a wait that times out meets another thread's wait.
        polling: RwLock<()>,
    }

    impl Waiting {
        pub fn submit(&self, device: &Device, commands: wgpu::CommandBuffer) -> Submission {
            let (_turn, _polling) = (device.turns.take(), self.polling.read());
            Submission(device.queue.submit([commands]))
        }

        /// Also false while another thread waits or has the turn, since finding out would mean waiting for it.
        pub fn is_done(&self, device: &Device, submission: &Submission) -> bool {
            let (Some(_turn), Ok(_alone)) = (device.turns.try_take(), self.polling.try_write()) else { return false };
            let submission_index = Some(submission.0.clone());
            device.raw.poll(wgpu::PollType::Wait { submission_index, timeout: Some(Duration::ZERO) }).is_ok()
        }

        pub async fn wait_for(&self, device: &Device, submission: &Submission) -> Result<()> {
            self.poll(device, Some(submission.0.clone()))
        }

        /// Waits for all submitted work.
        pub async fn wait_for_all(&self, device: &Device) -> Result<()> {
            self.poll(device, None)
        }

        /// Waits for a submit, or for all, as long as a driver may take. A device that takes longer is given up: nothing is asked of it
        /// any more, and it stays open until the process ends, since closing it would wait as well.
        fn poll(&self, device: &Device, submission_index: Option<wgpu::SubmissionIndex>) -> Result<()> {
            let (_turn, _polling) = (device.turns.take(), self.polling.read());
            device.check()?;
            let (limit, hangs) = device.injected.wait();
            let started = Instant::now();
            let polled = loop {
                let left = limit.saturating_sub(started.elapsed());
                let polled = if hangs {
                    std::thread::sleep(left);
                    Err(wgpu::PollError::Timeout)
                } else {
                    let submission_index = submission_index.clone();
                    device.raw.poll(wgpu::PollType::Wait { submission_index, timeout: Some(left) })
                };
                // GL's own waits end after two seconds.
                if !matches!(polled, Err(wgpu::PollError::Timeout)) || left.is_zero() {
                    break polled;
                }
            };
            if matches!(polled, Err(wgpu::PollError::Timeout)) {
                let seconds = limit.as_secs_f64();
                device.note_lost(format!(
                    "it did not finish a submit within {seconds} s; update its driver, or use a smaller --batch-size"
                ));
                std::mem::forget((device.raw.clone(), device.queue.clone()));
            }
            device.check()?;
            polled.map(drop).map_err(|e| Error::Gpu(format!("waiting for the device failed: {e}")))
        }
    }
}

#[cfg(target_arch = "wasm32")]
mod kind {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::{Device, Ended, Future, Result};

    pub fn block_on<F: Future>(future: F) -> F::Output {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("nothing may block in a browser: await the form of the function that is async"),
        }
    }

    /// A submit, as it is waited for.
    #[derive(Clone)]
    pub struct Submission(Ended);

    /// The waits of one device.
    #[derive(Default)]
    pub struct Waiting {}

    impl Waiting {
        pub fn submit(&self, device: &Device, commands: wgpu::CommandBuffer) -> Submission {
            device.queue.submit([commands]);
            Submission(ended(device))
        }

        pub fn is_done(&self, _: &Device, submission: &Submission) -> bool {
            let mut submission = pin!(submission.0.clone());
            submission.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
        }

        pub async fn wait_for(&self, device: &Device, submission: &Submission) -> Result<()> {
            submission.0.clone().await;
            device.check()
        }

        /// Waits for all submitted work.
        pub async fn wait_for_all(&self, device: &Device) -> Result<()> {
            ended(device).await;
            device.check()
        }
    }

    /// The end of all that has been submitted so far.
    fn ended(device: &Device) -> Ended {
        let (ender, ended) = Ended::new();
        device.queue.on_submitted_work_done(move || ender.end(true));
        ended
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::gpu::{AdapterChoice, Gpu};

    #[test]
    fn a_read_back_is_ready_when_first_polled() {
        let gpu = block_on(Gpu::open(&AdapterChoice::default())).expect("an adapter; scripts/setup.sh installs one");
        let buffer = gpu.upload("numbers", &[1u32, 2, 3, 4]).unwrap();
        let mut read = pin!(gpu.read::<u32>(&buffer, 3));
        let Poll::Ready(found) = read.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("nobody would wake it: the poll of wgpu is the wait");
        };
        assert_eq!(found.unwrap(), [1, 2, 3]);
    }

    #[test]
    fn a_wait_may_stand_inside_another() {
        assert_eq!(block_on(async { block_on(async { 1 }) + block_on(std::future::ready(2)) }), 3);
    }
}
