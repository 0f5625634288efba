//! A DIB: a BMP without the file header in front of it.

use std::borrow::Cow;

/// Bytes of a BMP's file header.
pub(super) const FILE_HEADER: u32 = 14;
/// Lengths of the known DIB headers; the first has 16-bit sizes and palettes of three bytes per colour.
const LENGTHS: [u32; 7] = [OLD, PLAIN, 52, 56, OS2, 108, 124];
const OLD: u32 = 12;
const PLAIN: u32 = 40;
/// OS/2's second header: a plain one and 24 bytes about printing, which the decoder does not know.
const OS2: u32 = 64;
/// OS/2 numbers its own compressions from here: Huffman codes and runs of 24 bits.
const OS2_COMPRESSIONS: u32 = 3;
/// The compression of samples whose masks follow a plain header.
const BIT_FIELDS: u32 = 3;

/// True if the file begins with a DIB header: a known length, one plane, a known number of bits.
pub(super) fn is_dib(bytes: &[u8]) -> bool {
    pixels_at(bytes).is_some()
}

/// The DIB as a BMP that the decoder knows. Its pixels begin at `pixels`, or else right after the palette.
///
/// # Errors
/// The end of a sentence that begins with the file's name.
pub(super) fn to_bmp(bytes: &[u8], pixels: Option<u32>) -> Result<Vec<u8>, String> {
    let (bytes, cut) = if is_os2(bytes) { (with_plain_header(bytes)?, OS2 - PLAIN) } else { (bytes.into(), 0) };
    let pixels = pixels.map(|at| at.saturating_sub(cut)).or(pixels_at(&bytes)).unwrap_or(0);
    let offset = FILE_HEADER.saturating_add(pixels);
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).saturating_add(FILE_HEADER);
    Ok([b"BM", &length.to_le_bytes()[..], &[0; 4], &offset.to_le_bytes(), &bytes].concat())
}

/// True if the DIB has OS/2's second header.
pub(super) fn is_os2(bytes: &[u8]) -> bool {
    bytes.starts_with(&OS2.to_le_bytes())
}

/// The DIB of OS/2 without what its header says of printing.
fn with_plain_header(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let (Some(header), Some(rest)) = (bytes.get(4..PLAIN as usize), bytes.get(OS2 as usize..)) else {
        return Err("is a truncated BMP; copy or download it again".into());
    };
    if header[12..].first_chunk().is_some_and(|kind| u32::from_le_bytes(*kind) >= OS2_COMPRESSIONS) {
        return Err("is a BMP with a compression of OS/2, which is not read; save it as PNG".into());
    }
    Ok([&PLAIN.to_le_bytes(), header, rest].concat().into())
}

/// Where pixels begin: after the header, its masks, and the palette.
fn pixels_at(bytes: &[u8]) -> Option<u32> {
    let short = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let long = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let length = long(0).filter(|length| LENGTHS.contains(length))?;
    let old = length == OLD;
    let (planes, bits) = if old { (short(8)?, short(10)?) } else { (short(12)?, short(14)?) };
    if planes != 1 || !matches!(bits, 1 | 4 | 8 | 16 | 24 | 32) {
        return None;
    }
    let masks = if length == PLAIN && long(16)? == BIT_FIELDS { 12 } else { 0 };
    let colors = match bits {
        16.. => 0,
        _ if old => 1 << bits,
        _ => Some(long(32)?).filter(|&used| used > 0).unwrap_or(1 << bits),
    };
    Some(length.saturating_add(masks).saturating_add(colors.saturating_mul(if old { 3 } else { 4 })))
}
