//! Why a file is not read.

use std::path::Path;

use crate::error::Error;

pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// What is wrong with a Parquet file.
#[derive(Debug)]
pub enum Problem {
    /// It does not say what it should.
    Broken(String),
    /// It is written in a way that is not read; and which is.
    Unread(String, &'static str),
    /// What its rows were told to failed.
    Passed(Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Passed(error)
    }
}

impl Problem {
    /// The error of the file `path`.
    pub fn of(self, path: &Path) -> Error {
        let problem = match self {
            Self::Broken(what) => format!("is no Parquet file that can be read ({what}); write its features again"),
            Self::Unread(what, instead) => format!("can't be read ({what}); write it {instead}"),
            Self::Passed(error) => return error,
        };
        Error::file(path, problem)
    }
}

pub fn broken(what: impl Into<String>) -> Problem {
    Problem::Broken(what.into())
}
