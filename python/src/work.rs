//! Long work from Python: on a thread of its own, so that the caller's lets go of the interpreter and hears Ctrl-C.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use gpu_resnet::train::Interrupt;
use gpu_resnet::{Error, Result};
use pyo3::prelude::*;

use crate::{errors, process};

/// How often it is looked for signals.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Runs `job` while other threads of Python run. A signal whose handler raises (Ctrl-C) raises `stop`; once the job has heard of
/// that and ended, the exception is handed on.
pub fn run<T: Send>(py: Python<'_>, stop: &Interrupt, job: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    process::check().map_err(|error| errors::raised(py, &error))?;
    std::thread::scope(|scope| {
        let (sender, mut receiver) = channel();
        scope.spawn(move || drop(sender.send(job())));
        let mut exception = None;
        loop {
            let receiver = &mut receiver;
            match py.detach(move || receiver.recv_timeout(LOOK_EVERY)) {
                Ok(result) => {
                    return match exception {
                        Some(exception) => Err(exception),
                        None => result.map_err(|error| errors::raised(py, &error)),
                    };
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(raised) = py.check_signals() {
                        stop.raise();
                        exception.get_or_insert(raised);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let gone = Error::Gpu("the thread that did the work ended early; please report it".into());
                    return Err(errors::raised(py, &gone));
                }
            }
        }
    })
}
