//! What a server has to say.

use std::io::Read;

/// An answer, or none.
#[cfg_attr(not(feature = "fetch"), allow(dead_code))]
pub(super) enum Reply {
    Body(Body),
    /// There is nothing after the byte that was asked for.
    Complete,
    /// No answer, and why.
    Unreachable(String),
}

/// A file's bytes from `start` on.
pub(super) struct Body {
    pub start: u64,
    /// How many the server says there are.
    pub length: Option<u64>,
    pub reader: Box<dyn Read>,
}
