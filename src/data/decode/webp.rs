//! WebP: its chunks, and files whose header promises missing chunks.

use std::borrow::Cow;
use std::ops::Range;

use image::ImageFormat;

use super::codec;
use super::decoded::Decoded;
use super::orientation::Metadata;

/// Bits of the extended header's first byte, each with the chunk that it promises.
const PROMISES: [(u8, &[u8; 4]); 4] = [(0x20, b"ICCP"), (0x10, b"ALPH"), (0x08, b"EXIF"), (0x04, b"XMP ")];

/// Where the extended header's flags are: behind `RIFF`, a length, `WEBP`, `VP8X` and a length.
const FLAGS: usize = 20;

/// Flag of an animation's frame that replaces what is below it, and the position of the flags in its chunk.
const NO_BLENDING: u8 = 2;
const FRAME_FLAGS: usize = 15;

/// Decodes the first frame, whose transparent pixels keep their colours.
pub(super) fn decode(bytes: &[u8]) -> Decoded {
    let mut mended = kept_promises(bytes);
    if let Some(at) = blended_first_frame(bytes) {
        mended.to_mut()[at] |= NO_BLENDING;
    }
    codec::decode(&mended, ImageFormat::WebP)
}

/// EXIF and XMP of a WebP, where its header says that there are such.
pub(super) fn metadata(bytes: &[u8]) -> Metadata<'_> {
    let flags = extended_flags(bytes).unwrap_or(0);
    let first = |promise: u8, name: &[u8; 4]| {
        let mut found = chunks(bytes).filter(|(kind, _)| *kind == name).map(|(_, data)| Cow::Borrowed(data));
        found.next().filter(|_| flags & promise != 0)
    };
    Metadata { exif: first(0x08, b"EXIF"), xmp: first(0x04, b"XMP ") }
}

/// The file without flags for missing chunks, which the decoder would reject. The pixels don't need those chunks.
fn kept_promises(bytes: &[u8]) -> Cow<'_, [u8]> {
    let Some(flags) = extended_flags(bytes) else { return Cow::Borrowed(bytes) };
    // Alpha of a lossless picture is in its own chunk, that of an animation in its frames.
    let inside = |kind: &[u8; 4]| matches!(kind, b"VP8L" | b"ANMF");
    let alpha_inside = chunks(bytes).any(|(kind, _)| inside(kind));
    let is_there = |name: &[u8; 4]| name == b"ALPH" && alpha_inside || chunks(bytes).any(|(kind, _)| kind == name);
    let broken: u8 =
        PROMISES.iter().filter(|(bit, name)| flags & bit != 0 && !is_there(name)).map(|(bit, _)| bit).sum();
    if broken == 0 {
        return Cow::Borrowed(bytes);
    }
    let mut mended = bytes.to_vec();
    mended[FLAGS] &= !broken;
    Cow::Owned(mended)
}

/// The position of the flags of an animation's first frame, if it is to be blended with what is below. There is nothing below it;
/// blending would only turn transparent pixels black.
fn blended_first_frame(bytes: &[u8]) -> Option<usize> {
    let (_, frame) = chunk_places(bytes).find(|(kind, _)| *kind == b"ANMF")?;
    frame.into_iter().nth(FRAME_FLAGS).filter(|&at| bytes[at] & NO_BLENDING == 0)
}

fn extended_flags(bytes: &[u8]) -> Option<u8> {
    (bytes.get(12..16)? == b"VP8X").then(|| bytes.get(FLAGS).copied())?
}

/// The complete chunks, in order.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    chunk_places(bytes).map(|(kind, place)| (kind, &bytes[place]))
}

/// The complete chunks, and where their data are.
fn chunk_places(bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], Range<usize>)> {
    let mut rest = bytes.get(12..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (kind, after) = rest.split_first_chunk::<4>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let start = bytes.len() - after.len();
        after.get(..length)?;
        rest = after.get(length + length % 2..).unwrap_or_default();
        Some((kind, start..start + length))
    })
}
