//! Which way up a picture is, by its EXIF or XMP metadata, as Pillow's `ImageOps.exif_transpose` finds and applies it.

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

use super::tiff_directory::Reader;
use crate::data::Rgb8;

/// EXIF tag 0x0112.
const TAG: u16 = 0x0112;

/// Metadata that may hold a picture's orientation, as found by a container's reader.
#[derive(Default)]
pub(super) struct Metadata<'a> {
    /// A TIFF structure, with or without `Exif\0\0` in front.
    pub exif: Option<std::borrow::Cow<'a, [u8]>>,
    /// An XMP packet, which counts only where EXIF has no orientation.
    pub xmp: Option<std::borrow::Cow<'a, [u8]>>,
}

impl Metadata<'_> {
    /// EXIF's orientation, 1 to 8; 1, as stored, if there is none. Broken metadata is no reason to refuse a picture.
    pub(super) fn orientation(&self) -> u8 {
        let exif = self.exif.as_deref().map_or(Found::Absent, |exif| exif_orientation(strip(exif)));
        let value = match exif {
            Found::Value(value) => Some(value),
            Found::Unusable => None,
            Found::Absent => self.xmp.as_deref().and_then(xmp_orientation),
        };
        value.filter(|v| (1..=8).contains(v)).unwrap_or(1)
    }
}

/// Turns and mirrors `image` so that it stands upright.
pub(super) fn upright(image: Rgb8, orientation: u8) -> Rgb8 {
    let Some(turn) = Orientation::from_exif(orientation).filter(|o| *o != Orientation::NoTransforms) else {
        return image;
    };
    let pixels = RgbImage::from_raw(image.width, image.height, image.pixels).expect("three bytes a pixel");
    let mut turned = DynamicImage::ImageRgb8(pixels);
    turned.apply_orientation(turn);
    Rgb8 { width: turned.width(), height: turned.height(), pixels: turned.into_bytes() }
}

#[derive(Debug, PartialEq)]
enum Found {
    Absent,
    /// There is a tag, but its type is not a number: it rotates nothing, and XMP is ignored.
    Unusable,
    Value(u8),
}

/// Removes the marker, which some writers put twice.
fn strip(exif: &[u8]) -> &[u8] {
    const MARKER: &[u8] = b"Exif\0\0";
    let once = exif.strip_prefix(MARKER).unwrap_or(exif);
    once.strip_prefix(MARKER).unwrap_or(once)
}

/// The tag in the first directory of a TIFF structure. Truncated values, or values outside the file, count as absent.
fn exif_orientation(tiff: &[u8]) -> Found {
    let Some(reader) = Reader::new(tiff) else { return Found::Absent };
    match reader.find(TAG) {
        None => Found::Absent,
        Some(entry) => match reader.number(&entry) {
            Some(value) if value.fract() == 0.0 && (0.0..=255.0).contains(&value) => Found::Value(value as u8),
            _ => Found::Unusable,
        },
    }
}

/// `tiff:Orientation="6"` or `<tiff:Orientation>6`.
fn xmp_orientation(xmp: &[u8]) -> Option<u8> {
    const NAME: &[u8] = b"tiff:Orientation";
    xmp.windows(NAME.len()).enumerate().filter(|(_, window)| *window == NAME).find_map(|(at, _)| {
        let rest = &xmp[at + NAME.len()..];
        let value = rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"))?;
        value.first().filter(|digit| digit.is_ascii_digit()).map(|digit| digit - b'0')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A big-endian TIFF structure with one entry.
    fn tiff(kind: u16, count: u32, value: [u8; 4], tail: &[u8]) -> Vec<u8> {
        let entry = [&TAG.to_be_bytes()[..], &kind.to_be_bytes(), &count.to_be_bytes(), &value].concat();
        [b"MM\0\x2a\0\0\0\x08\0\x01", &entry[..], &[0; 4], tail].concat()
    }

    #[test]
    fn the_number_counts_whatever_its_type() {
        assert_eq!(exif_orientation(&tiff(3, 1, [0, 6, 0, 0], &[])), Found::Value(6));
        assert_eq!(exif_orientation(&tiff(3, 2, [0, 6, 0, 1], &[])), Found::Value(6));
        assert_eq!(exif_orientation(&tiff(4, 1, [0, 0, 0, 6], &[])), Found::Value(6));
        assert_eq!(exif_orientation(&tiff(6, 1, [6, 0, 0, 0], &[])), Found::Value(6));
        assert_eq!(exif_orientation(&tiff(9, 1, [0xff; 4], &[])), Found::Unusable);
        assert_eq!(exif_orientation(&tiff(11, 1, 6f32.to_be_bytes(), &[])), Found::Value(6));
        assert_eq!(exif_orientation(&tiff(5, 1, [0, 0, 0, 26], &[0, 0, 0, 12, 0, 0, 0, 2])), Found::Value(6));
        assert_eq!(exif_orientation(&tiff(1, 1, [6, 0, 0, 0], &[])), Found::Unusable);
        assert_eq!(exif_orientation(&tiff(99, 1, [6, 0, 0, 0], &[])), Found::Absent);
        assert_eq!(exif_orientation(&tiff(3, 0, [0, 6, 0, 0], &[])), Found::Absent);
    }

    #[test]
    fn broken_metadata_turns_nothing() {
        let whole = tiff(5, 1, [0, 0, 0, 26], &[0, 0, 0, 12, 0, 0, 0, 2]);
        for cut in 0..whole.len() {
            assert_ne!(exif_orientation(&whole[..cut]), Found::Value(6), "cut at {cut}");
        }
        assert_eq!(exif_orientation(&tiff(5, u32::MAX, [0xff; 4], &[])), Found::Absent);
        // A value outside the file ends the search, one larger than the file is skipped.
        let behind = |count: u32| {
            let maker = [&[0x01, 0x0f, 0, 2][..], &count.to_be_bytes(), &[0, 1, 0, 0]].concat();
            let whole = tiff(3, 1, [0, 6, 0, 0], &[]);
            [b"MM\0\x2a\0\0\0\x08\0\x02", &maker[..], &whole[10..]].concat()
        };
        assert_eq!(exif_orientation(&behind(9)), Found::Absent);
        assert_eq!(exif_orientation(&behind(9999)), Found::Value(6));
        assert_eq!(exif_orientation(b"II\x2b\0\x08\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"), Found::Absent);
    }

    #[test]
    fn xmp_counts_only_without_a_tag() {
        let xmp = || Some(b"<a tiff:Orientation=\"x\"/><tiff:Orientation>8</tiff:Orientation>"[..].into());
        let with = |exif: Vec<u8>| Metadata { exif: Some(exif.into()), xmp: xmp() }.orientation();
        assert_eq!(Metadata { exif: None, xmp: xmp() }.orientation(), 8);
        assert_eq!(with(b"Exif\0\0no TIFF".to_vec()), 8);
        assert_eq!(with(tiff(3, 1, [0, 3, 0, 0], &[])), 3);
        assert_eq!(with(tiff(3, 1, [0, 9, 0, 0], &[])), 1);
        assert_eq!(with(tiff(1, 1, [6, 0, 0, 0], &[])), 1);
        assert_eq!(with([&b"Exif\0\0Exif\0\0"[..], &tiff(3, 1, [0, 3, 0, 0], &[])].concat()), 3);
    }
}
