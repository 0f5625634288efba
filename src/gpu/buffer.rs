//! Memory on the device.

use super::turns::Turned;

/// A GPU buffer of 4-byte elements, padded to 16 bytes.
#[derive(Debug)]
pub struct Buffer {
    pub(super) raw: Turned<wgpu::Buffer>,
    pub(super) bytes: u64,
}

impl Buffer {
    /// Size in bytes, padding included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Rounds a size in bytes up to 16, as every buffer of the crate is.
pub fn pad16(bytes: u64) -> u64 {
    bytes.next_multiple_of(16)
}
