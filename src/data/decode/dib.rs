//! A DIB: a BMP without the file header in front of it.

/// Bytes of a BMP's file header.
const FILE_HEADER: u32 = 14;
/// Lengths of the known DIB headers; the first has 16-bit sizes and palettes of three bytes per colour.
const LENGTHS: [u32; 7] = [OLD, PLAIN, 52, 56, 64, 108, 124];
const OLD: u32 = 12;
const PLAIN: u32 = 40;
/// The compression of samples whose masks follow a plain header.
const BIT_FIELDS: u32 = 3;

/// True if the file begins with a DIB header: a known length, one plane, a known number of bits.
pub(super) fn is_dib(bytes: &[u8]) -> bool {
    pixels_at(bytes).is_some()
}

/// The file as a BMP.
pub(super) fn to_bmp(bytes: &[u8]) -> Vec<u8> {
    let offset = FILE_HEADER.saturating_add(pixels_at(bytes).unwrap_or(0));
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).saturating_add(FILE_HEADER);
    [b"BM", &length.to_le_bytes()[..], &[0; 4], &offset.to_le_bytes(), bytes].concat()
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
