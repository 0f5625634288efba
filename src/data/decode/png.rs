//! Finds the orientation metadata of a PNG.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::ZlibDecoder;

use super::orientation::Metadata;

/// The longest compressed text that is unpacked: Pillow's limit.
const MAX_TEXT: u64 = 1 << 20;

/// EXIF and XMP of a PNG, wherever they are among its chunks; of several the last, as in Pillow. A truncated chunk ends the search.
pub(super) fn metadata(bytes: &[u8]) -> Metadata<'_> {
    let mut found = Metadata::default();
    let mut profile = None;
    let (mut at, mut pixels) = (8, false);
    while let Some((kind, data)) = chunk(bytes, at) {
        at += 12 + data.len();
        match kind {
            b"IDAT" => pixels = true,
            // The next frame of an animation: nothing after this belongs to the first.
            b"fcTL" if pixels => break,
            b"IEND" => break,
            b"eXIf" => found.exif = Some(data.into()),
            b"tEXt" | b"zTXt" | b"iTXt" => match text(kind, data) {
                Some((b"XML:com.adobe.xmp", xmp)) => found.xmp = Some(xmp),
                Some((b"Raw profile type exif", hex)) => profile = raw_profile(&hex),
                _ => {}
            },
            _ => {}
        }
    }
    found.exif = found.exif.or(profile.map(Cow::Owned));
    found
}

fn chunk(bytes: &[u8], at: usize) -> Option<(&[u8; 4], &[u8])> {
    let (length, rest) = bytes.get(at..)?.split_first_chunk::<4>()?;
    let (kind, rest) = rest.split_first_chunk::<4>()?;
    Some((kind, rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?))
}

/// Keyword and text of a text chunk.
fn text<'a>(kind: &[u8; 4], data: &'a [u8]) -> Option<(&'a [u8], Cow<'a, [u8]>)> {
    let (keyword, rest) = split_at_zero(data)?;
    match kind {
        b"tEXt" => Some((keyword, rest.into())),
        b"zTXt" => Some((keyword, inflate(rest.strip_prefix(&[0])?)?.into())),
        _ => {
            let (&[compressed, method], rest) = rest.split_first_chunk::<2>()?;
            let (_language, rest) = split_at_zero(rest)?;
            let (_translated, text) = split_at_zero(rest)?;
            match (compressed, method) {
                (0, _) => Some((keyword, text.into())),
                (_, 0) => Some((keyword, inflate(text)?.into())),
                _ => None,
            }
        }
    }
}

fn split_at_zero(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let zero = data.iter().position(|&b| b == 0)?;
    Some((&data[..zero], &data[zero + 1..]))
}

fn inflate(data: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    ZlibDecoder::new(data).take(MAX_TEXT + 1).read_to_end(&mut text).ok()?;
    (text.len() as u64 <= MAX_TEXT).then_some(text)
}

/// ImageMagick's form: a name and a length on separate lines, then hexadecimal digits.
fn raw_profile(text: &[u8]) -> Option<Vec<u8>> {
    let lines = text.split(|&b| b == b'\n').skip(3);
    let digits: Vec<u8> = lines.flatten().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}
