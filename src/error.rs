//! The one error type of the crate. Every message is one sentence that names the file or operation, says what is
//! wrong, and what to do about it.

use std::path::{Path, PathBuf};

/// What can go wrong, and the exit status that the command line gives it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder from outside could not be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file or folder, or another name of the input.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// An operation was given tensors or attributes that do not fit together.
    #[error("{op}: {problem}")]
    Shape {
        /// The operation.
        op: String,
        /// What was expected, and what was found.
        problem: String,
    },
    /// The options contradict each other or name something that does not exist.
    #[error("{0}")]
    Usage(String),
    /// No adapter fits, or the chosen one can't run compute shaders.
    #[error("{0}")]
    NoAdapter(String),
    /// The adapter refused an allocation.
    #[error("out of GPU memory: {0}")]
    OutOfMemory(String),
    /// The driver reset or removed the device.
    #[error("the GPU device was lost: {0}")]
    DeviceLost(String),
    /// The device reported an error that is neither of the two above.
    #[error("the GPU reported an error: {0}")]
    Gpu(String),
    /// A comparison with a reference found a difference.
    #[error("{0}")]
    Mismatch(String),
    /// Some of many inputs failed; each was reported when it happened.
    #[error("{0}")]
    Partial(String),
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error about `path`; `problem` says what is wrong and what to do.
    pub fn file(path: impl AsRef<Path>, problem: impl std::fmt::Display) -> Self {
        Error::File { path: path.as_ref().to_path_buf(), problem: problem.to_string() }
    }

    /// An error about the shapes or attributes of the operation `op`.
    pub fn shape(op: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Error::Shape { op: op.into(), problem: problem.to_string() }
    }

    /// The process exit status that the command line documents.
    pub fn exit_status(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Mismatch(_) => 3,
            Error::NoAdapter(_) => 4,
            Error::Interrupted => 130,
            _ => 1,
        }
    }
}
