//! Files of a RUN folder and of the cache: read with a limit, and written whole or not at all.

pub(super) use crate::files::{create_folder, read_limited};
