//! A server's reply.

use std::io::Read;

/// The reply, if any.
#[cfg_attr(not(feature = "fetch"), allow(dead_code))]
pub(super) enum Reply {
    Body(Body),
    /// There is nothing from the requested byte on.
    Complete,
    /// No reply, with the reason.
    Unreachable(String),
}

/// A file's bytes from `start` on.
pub(super) struct Body {
    pub start: u64,
    /// The total number of bytes, according to the server.
    pub length: Option<u64>,
    pub reader: Box<dyn Read>,
}
