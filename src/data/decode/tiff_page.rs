//! A page of a TIFF as its decoder sees it, and the decoder's errors.

use std::io::Cursor;

use tiff::TiffError;
use tiff::decoder::Decoder;

use super::decoded::too_large;

/// A TIFF whose first directory has been read.
pub(super) type Page<'a> = Decoder<Cursor<&'a [u8]>>;

/// The decoder's error as the end of a sentence.
pub(super) fn explain(error: TiffError) -> String {
    match error {
        TiffError::LimitsExceeded => too_large(),
        TiffError::UnsupportedError(e) => {
            format!("uses a TIFF feature that is not read ({e}); save it as RGB, uncompressed or with LZW or Deflate")
        }
        e => {
            let cause = e.to_string().replace('\n', " ");
            format!("is a truncated or corrupt TIFF image ({}); copy or download it again", cause.trim_end_matches('.'))
        }
    }
}
