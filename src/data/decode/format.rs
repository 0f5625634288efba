//! The format of a file by its first bytes, and the extensions of known formats.

use super::dib;

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Png,
    WebP,
    Bmp,
    Dib,
    Gif,
    Tiff,
    Pnm,
}

/// The formats to convert an unsupported image to, or to use instead of something that is not an image.
const READ: &str = "JPEG, PNG, WebP, TIFF, BMP, GIF, PPM, PGM or PBM";

/// The extensions of files that are read, in lower case.
pub(crate) const READ_EXTENSIONS: [&str; 16] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "tif", "tiff", "bmp", "dib", "gif", "ppm", "pgm", "pbm", "pnm",
];

/// The format, or the end of an error sentence that says what the file is instead.
pub(super) fn recognise(bytes: &[u8]) -> Result<Format, String> {
    if bytes.is_empty() {
        return Err("is empty; copy or download it again".into());
    }
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Ok(Format::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Ok(Format::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Format::WebP),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Ok(Format::Gif),
        [b'I', b'I', 0x2a, 0, 0x10, 0, 0, 0, b'C', b'R', ..] => Err(unread("a Canon raw photograph (CR2)")),
        [b'I', b'I', 0x2a | 0x2b, 0, ..] | [b'M', b'M', 0, 0x2a | 0x2b, ..] => Ok(Format::Tiff),
        [b'P', b'1'..=b'6', b' ' | b'\t' | b'\r' | b'\n' | b'#', ..] => Ok(Format::Pnm),
        [b'B', b'M', ..] => Ok(Format::Bmp),
        _ if dib::is_dib(bytes) => Ok(Format::Dib),
        _ => Err(foreign(bytes).map_or_else(|| unknown(bytes), unread)),
    }
}

fn unread(what: &str) -> String {
    format!("is {what}, which is not read; convert it to {READ}")
}

/// The name of an image format that is not read.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some(iso_media(bytes));
    }
    const MAGICS: [(&[u8], &str); 20] = [
        (b"\xff\x0a", "a JPEG XL image"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
        (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
        (b"II\xbc", "a JPEG XR image"),
        (b"8BPS", "a Photoshop document"),
        (b"\0\0\x01\0", "an icon (ICO)"),
        (b"\x76\x2f\x31\x01", "an OpenEXR image"),
        (b"#?RADIANCE", "a Radiance HDR image"),
        (b"#?RGBE", "a Radiance HDR image"),
        (b"qoif", "a QOI image"),
        (b"DDS ", "a DirectDraw surface (DDS)"),
        (b"farbfeld", "a farbfeld image"),
        (b"P7\n", "a PAM image"),
        (b"Pf\n", "a PFM image of floating-point samples"),
        (b"PF\n", "a PFM image of floating-point samples"),
        (b"FUJIFILMCCD-RAW", "a Fujifilm raw photograph (RAF)"),
        (b"IIRO", "an Olympus raw photograph (ORF)"),
        (b"IIU\0", "a Panasonic raw photograph (RW2)"),
        (b"%PDF", "a PDF document"),
    ];
    if let Some((_, what)) = MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(what);
    }
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]);
    let start = start.trim_start_matches('\u{feff}').trim_start();
    let markup = start.starts_with("<?xml") || start.starts_with("<!--") || start.starts_with("<!DOCTYPE svg");
    (start.starts_with("<svg") || markup && start.contains("<svg")).then_some("an SVG drawing")
}

/// The name of an ISO media file by its brand, or by the brands that it is compatible with.
fn iso_media(bytes: &[u8]) -> &'static str {
    let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    let end = length.clamp(8, 256).min(bytes.len());
    let has = |names: &[&[u8]]| bytes[8..end].chunks_exact(4).any(|brand| names.contains(&brand));
    if has(&[b"avif", b"avis"]) {
        "an AVIF image"
    } else if has(&[b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"]) {
        "an HEIC (HEIF) image"
    } else if has(&[b"crx "]) {
        "a Canon raw photograph (CR3)"
    } else {
        "a video or another ISO media file"
    }
}

fn unknown(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(256)];
    let text = start.iter().all(|&b| b >= 32 && b != 127 || matches!(b, b'\t' | b'\r' | b'\n'));
    let what = if text { "is a text file, not an image" } else { "is not an image of a known format" };
    format!("{what}; give a {READ} file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_are_not_read_are_called_by_their_names() {
        for (bytes, word) in [
            (&b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"[..], "AVIF"),
            (b"\0\0\0\x1cftypmif1\0\0\0\0avifmif1miaf", "AVIF"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
            (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "CR3"),
            (b"\0\0\0\x18ftypisom\0\0\0\x01isomiso2", "video"),
            (b"\xff\x0a\xfa\x1f", "JPEG XL"),
            (b"\0\0\0\x0cJXL \r\n\x87\n\0\0", "JPEG XL"),
            (b"\0\0\0\x0cjP  \r\n\x87\n\0\0", "JPEG 2000"),
            (b"8BPS\0\x01", "Photoshop"),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "SVG"),
            (b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<svg/>", "SVG"),
            (b"II\x2a\0\x10\0\0\0CR\x02\0", "CR2"),
            (b"P7\nWIDTH 1\n", "PAM"),
            (b"%PDF-1.7", "PDF"),
        ] {
            let error = recognise(bytes).expect_err(word);
            assert!(error.contains(word) && error.contains("convert it to JPEG, PNG"), "{error}");
        }
        assert!(recognise(b"<?xml version=\"1.0\"?><rss/>").expect_err("text").contains("text file"));
        assert!(recognise(b"\0\0\0\x18ftyp").is_err());
        assert!(recognise(b"\0\0\0\0ftyp").is_err());
    }
}
