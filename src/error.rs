//! The one error type of the crate. Every message is one sentence that names the file or operation, says what is
//! wrong, and what to do about it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// What can go wrong, and the exit status that the command line gives it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder from outside could not be used.
    #[error("{}: {}", in_one_line(&path.to_string_lossy()), in_one_line(problem))]
    File {
        /// The file or folder, or another name of the input.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// An operation was given tensors or attributes that do not fit together.
    #[error("{op}: {}", in_one_line(problem))]
    Shape {
        /// The operation.
        op: String,
        /// What was expected, and what was found.
        problem: String,
    },
    /// The options contradict each other or name something that does not exist.
    #[error("{}", in_one_line(.0))]
    Usage(String),
    /// No adapter fits, or the chosen one can't run compute shaders.
    #[error("{}", in_one_line(.0))]
    NoAdapter(String),
    /// The adapter refused an allocation.
    #[error("out of GPU memory: {0}")]
    OutOfMemory(String),
    /// The driver reset or removed the device.
    #[error("the GPU device was lost: {}", in_one_line(.0))]
    DeviceLost(String),
    /// The device reported an error that is neither of the two above.
    #[error("the GPU reported an error: {}", in_one_line(.0))]
    Gpu(String),
    /// A comparison with a reference found a difference.
    #[error("{}", in_one_line(.0))]
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

/// The longest part of a message that is shown: a name in a file can be as long as the file.
const MOST: usize = 1500;

/// `text` as a part of one line. Files are quoted in messages, and what they contain may be commands to a terminal: control characters are
/// escaped. Line ends become spaces, and what is too long is cut.
pub(crate) fn in_one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) && text.len() <= MOST {
        return Cow::Borrowed(text);
    }
    let (mut line, mut shown, mut rest) = (String::new(), 0, text.trim().chars());
    // What counts is what is shown: an escaped character is several.
    while shown < MOST
        && let Some(c) = rest.next()
    {
        match c {
            '\n' | '\r' | '\t' if line.ends_with(' ') => continue,
            '\n' | '\r' | '\t' => line.push(' '),
            c if c.is_control() => {
                let escaped = c.escape_default();
                shown += escaped.len() - 1;
                line.extend(escaped);
            }
            c => line.push(c),
        }
        shown += 1;
    }
    if rest.next().is_some() {
        line.push('…');
    }
    Cow::Owned(line)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_without_commands_to_a_terminal() {
        assert!(matches!(in_one_line("plain: `é` 日本"), Cow::Borrowed(_)));
        assert_eq!(in_one_line("a\n  |\r\n\tb\n"), "a   | b");
        assert_eq!(in_one_line("label `\u{1b}]0;owned\u{7}\u{9b}2J`"), "label `\\u{1b}]0;owned\\u{7}\\u{9b}2J`");
        let long = in_one_line(&"é".repeat(5000)).chars().count();
        assert_eq!(long, MOST + 1);
        // An escaped character takes six and more.
        let escaped = in_one_line(&"\u{0}".repeat(5000)).chars().count();
        assert!((MOST..MOST + 12).contains(&escaped), "{escaped}");
        assert_eq!(in_one_line(&format!("{}\n", "x".repeat(MOST))).chars().count(), MOST);
        for error in [
            Error::file("a\x1b[2Jb", "has the label `\x1b[2J`\nand more"),
            Error::Usage("\x1b".into()),
            Error::shape("op", "\x1b"),
            Error::Gpu("\x1b\n".into()),
            Error::Mismatch("\x07".into()),
        ] {
            let said = error.to_string();
            assert!(!said.contains(char::is_control), "{said:?}");
        }
    }
}
