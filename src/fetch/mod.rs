//! Fetching a file: once, resumed after an interruption, by one process at a time, and checked before it is used.
//!
//! [`weights`](crate::weights) and [`data`](crate::data) decide what is fetched and how it is used.

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
