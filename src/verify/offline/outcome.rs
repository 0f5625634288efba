//! What became of one kernel for one target.

use serde::Serialize;

/// The result of one translation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Outcome {
    /// Translated, and accepted by the tool.
    Compiled { tool: String },
    /// Translated, but no tool for it is installed.
    Translated,
    /// The backend does not offer what the kernel needs, so it never runs there.
    Skipped { reason: String },
    /// naga could not translate it, or the tool refused it.
    Failed { by: String, message: String },
    /// The tool did not end in time, or flooded its output, and was stopped.
    Timeout { by: String, message: String },
}

impl Outcome {
    /// The tool that failed, and its message.
    pub(super) fn problem(&self) -> Option<(&str, &str)> {
        match self {
            Self::Failed { by, message } | Self::Timeout { by, message } => Some((by, message)),
            Self::Compiled { .. } | Self::Translated | Self::Skipped { .. } => None,
        }
    }
}
