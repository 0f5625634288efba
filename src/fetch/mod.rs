//! Fetching a file: once, resumed after a cut, by one process at a time, and checked before it is used.
//!
//! What is fetched, and what becomes of it, is told by [`weights`](crate::weights) and [`data`](crate::data).

mod digest;
#[cfg(feature = "fetch")]
mod http;
#[cfg(not(feature = "fetch"))]
#[path = "no_http.rs"]
mod http;
mod part;
mod remote;
mod reply;

pub(crate) use digest::sha256_of;
pub(crate) use part::Part;
pub use remote::FetchOptions;
pub(crate) use remote::{Remote, mirrored, offline};
