//! A decoded image.

use crate::error::{Error, Result};

/// An RGB image of 8 bits a channel: row-major, `height * width * 3` bytes (HWC).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb8 {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `pixels[(y * width + x) * 3 + channel]`, channels red, green, blue.
    pub pixels: Vec<u8>,
}

impl Rgb8 {
    /// A black image. The caller bounds `width * height`.
    pub fn black(width: u32, height: u32) -> Self {
        Rgb8 { width, height, pixels: vec![0; width as usize * height as usize * 3] }
    }

    /// Checks that `pixels` has the length that width and height promise, and that neither is zero.
    pub(crate) fn check(&self, op: &str) -> Result<()> {
        let expected = u64::from(self.width) * u64::from(self.height) * 3;
        if expected == 0 || self.pixels.len() as u64 != expected {
            return Err(Error::shape(
                op,
                format!(
                    "an image of {} x {} needs {expected} bytes (more than none), but has {}",
                    self.width,
                    self.height,
                    self.pixels.len()
                ),
            ));
        }
        Ok(())
    }
}
