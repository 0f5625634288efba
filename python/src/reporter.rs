//! What the library has to say, handed to Python.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use gpu_resnet::runtime::Reporter;
use gpu_resnet::train::{EpochResult, Interrupt};
use pyo3::prelude::*;

/// Hands sentences to `said(level, text)` and epochs, as JSON, to `epoch(text)`. What either raises stops the work.
pub struct Told {
    said: Py<PyAny>,
    epoch: Option<Py<PyAny>>,
    stop: Interrupt,
    raised: Mutex<Option<PyErr>>,
}

impl Told {
    pub fn new(said: Py<PyAny>, epoch: Option<Py<PyAny>>, stop: Interrupt) -> Self {
        Self { said, epoch, stop, raised: Mutex::default() }
    }

    /// What a callback raised.
    pub fn take(&self) -> Option<PyErr> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn say(&self, level: &str, text: &dyn Display) {
        Python::attach(|py| self.keep(self.said.call1(py, (level, text.to_string()))));
    }

    fn keep(&self, result: PyResult<Py<PyAny>>) {
        if let Err(error) = result {
            self.stop.raise();
            self.keep_raised(error);
        }
    }

    /// Has `error` raised once the work has ended, unless another one came first.
    pub fn keep_raised(&self, error: PyErr) {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

impl Reporter for Told {
    fn note(&self, text: &dyn Display) {
        self.say("info", text);
    }

    fn detail(&self, text: &dyn Display) {
        self.say("debug", text);
    }

    fn complain(&self, text: &dyn Display) {
        self.say("warning", text);
    }

    fn epoch(&self, result: &EpochResult) {
        let (Some(epoch), Ok(text)) = (&self.epoch, serde_json::to_string(result)) else { return };
        Python::attach(|py| self.keep(epoch.call1(py, (text,))));
    }
}
