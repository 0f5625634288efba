//! The library's errors as Python's exceptions, with the same sentence.

use gpu_resnet::Error;
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;

/// The exception that stands for `error`: a class of `gpu_resnet.errors`.
pub fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error {
        Error::Interrupted => return PyKeyboardInterrupt::new_err(error.to_string()),
        Error::File { .. } => "FileError",
        Error::Shape { .. } | Error::Usage(_) => "UsageError",
        Error::NoAdapter(_) => "NoAdapterError",
        Error::OutOfMemory(_) => "OutOfMemoryError",
        Error::DeviceLost(_) => "DeviceLostError",
        Error::Mismatch(_) => "MismatchError",
        _ => "Error",
    };
    let sentence = error.to_string();
    let made = py.import("gpu_resnet.errors").and_then(|module| module.getattr(class)?.call1((&sentence,)));
    made.map_or_else(|_| PyRuntimeError::new_err(sentence), PyErr::from_value)
}

/// A wrong argument.
pub fn usage(py: Python<'_>, sentence: impl Into<String>) -> PyErr {
    raised(py, &Error::Usage(sentence.into()))
}
