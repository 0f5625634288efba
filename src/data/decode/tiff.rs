//! TIFF's first page: grey, RGB, palette and CMYK, of the kinds that Pillow reads too.

use std::borrow::Cow;
use std::io::Cursor;

use tiff::ColorType;
use tiff::decoder::{ChunkType, Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

use super::decoded::{MAX_ALLOC, MAX_PIXELS, check_size, cmyk_to_rgb, too_large};
use super::orientation::Metadata;
use super::tiff_directory::Reader;
use super::tiff_jpeg;
use super::tiff_page::{Page, explain};
use crate::data::Rgb8;

/// `NewSubfileType`, and its bit for a page that is a reduced version of another.
const PAGE_KIND: u16 = 254;
const REDUCED: u32 = 1;
const SUB_DIRECTORIES: u16 = 330;
const DNG_VERSION: u16 = 50706;
const COMPRESSION: u16 = 259;
const JPEG: u16 = 7;
/// LZW and both Deflates.
const WITH_PREDICTOR: [u16; 3] = [5, 8, 32946];
const PHOTOMETRIC: u16 = 262;
const GREY: u16 = 1;
const RGB: u16 = 2;
const PALETTE: u16 = 3;
const PREDICTOR: u16 = 317;
const NO_PREDICTOR: u16 = 1;
const EXTRA_SAMPLES: u16 = 338;
const ASSOCIATED_ALPHA: u16 = 1;
const UNASSOCIATED_ALPHA: u16 = 2;
/// The value of `PlanarConfiguration` where each channel has strips or tiles of its own.
const PLANAR: u16 = 2;
/// The tags that pixels follow from. Others, such as descriptions, may stand twice.
const OF_PIXELS: [u16; 23] =
    [256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 338, 339, 347];
/// The type of 16-bit numbers.
const SHORT: u64 = 3;

/// Decodes the first page; also gives its EXIF orientation.
///
/// # Errors
/// The end of a sentence that begins with the file's name.
pub(super) fn decode(bytes: &[u8]) -> Result<(Rgb8, u8), String> {
    // What is no directory the decoder has the words for.
    let reader = Reader::new(bytes);
    let has_palette = match &reader {
        Some(reader) => {
            if reader.repeats(&OF_PIXELS) {
                return Err(corrupt("a tag stands twice in its directory"));
            }
            refuse_raws(reader)?;
            // A palette may be there without being used.
            reader.is(PHOTOMETRIC, &[PALETTE])
        }
        None => false,
    };
    let bytes = &*reader.map_or(Cow::Borrowed(bytes), |reader| declared_plainly(bytes, &reader));
    let mut page = Decoder::new(Cursor::new(bytes)).map_err(explain)?.with_limits(limits());
    let (width, height) = page.dimensions().map_err(explain)?;
    check_size(width, height)?;
    check_tiles(&page, width, height)?;
    refuse_rare_kinds(&mut page)?;
    let xmp = page.find_tag(Tag::Unknown(700)).ok().flatten().and_then(|xmp| xmp.into_u8_vec().ok());
    let metadata = Metadata { exif: Some(bytes.into()), xmp: xmp.map(Into::into) };
    let orientation = metadata.orientation();
    let pixels = if page.find_tag_unsigned(Tag::Compression).map_err(explain)? == Some(JPEG) {
        tiff_jpeg::decode(bytes, &mut page)?
    } else {
        samples(&mut page)?.into_rgb(&mut page, has_palette)?
    };
    Ok((Rgb8 { width, height, pixels }, orientation))
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MAX_ALLOC as usize;
    limits.intermediate_buffer_size = MAX_ALLOC as usize;
    limits
}

/// Refuses tiles that extend so far beyond the page's edges that decoding them takes more memory than a large page.
fn check_tiles(page: &Page, width: u32, height: u32) -> Result<(), String> {
    let (tile_width, tile_height) = page.chunk_dimensions();
    let padded = |length: u32, tile: u32| u64::from(length.div_ceil(tile.max(1))) * u64::from(tile);
    // A strip may claim more rows than the page has.
    let rows = if tile_width == width { height.into() } else { padded(height, tile_height) };
    match padded(width, tile_width).checked_mul(rows) {
        Some(1..=MAX_PIXELS) => Ok(()),
        _ => Err(format!("is a TIFF image of tiles of {tile_width} x {tile_height} pixels, too large to be decoded")),
    }
}

/// The file, changed so that the decoder reads it correctly. The decoder knows no palettes, undoes a predictor even if the compression
/// has none, and mixes up channels if a predictor covers more channels than it returns. So a palette's indices are declared as grey, a
/// predictor without effect as none, and a fourth channel of unknown meaning as alpha.
fn declared_plainly<'a>(bytes: &'a [u8], reader: &Reader) -> Cow<'a, [u8]> {
    let changes = [
        (PHOTOMETRIC, GREY, reader.is(PHOTOMETRIC, &[PALETTE])),
        (PREDICTOR, NO_PREDICTOR, !reader.is(COMPRESSION, &WITH_PREDICTOR)),
        (EXTRA_SAMPLES, UNASSOCIATED_ALPHA, reader.is(EXTRA_SAMPLES, &[0]) && reader.is(PHOTOMETRIC, &[RGB])),
    ];
    let mut plain = Cow::Borrowed(bytes);
    for (tag, value, _) in changes.iter().filter(|(_, _, wanted)| *wanted) {
        if let Some(entry) = reader.find(*tag).filter(|entry| entry.kind == SHORT) {
            plain.to_mut()[entry.at..entry.at + 2].copy_from_slice(&reader.encode_u16(*value));
        }
    }
    plain
}

/// Refuses camera raws, of which the first page is a thumbnail, and the photograph is in a directory below it.
fn refuse_raws(reader: &Reader) -> Result<(), String> {
    let dng = reader.find(DNG_VERSION).is_some();
    let page_kind = reader.find(PAGE_KIND).and_then(|entry| reader.number(&entry)).unwrap_or(0.0);
    let reduced = page_kind as u32 & REDUCED == REDUCED && reader.find(SUB_DIRECTORIES).is_some();
    if reduced || dng {
        let kind = if dng { "DNG" } else { "such as NEF or ARW" };
        return Err(format!("is a camera raw photograph ({kind}), which is not read; convert it to JPEG, PNG or TIFF"));
    }
    Ok(())
}

fn corrupt(what: &str) -> String {
    format!("is a corrupt TIFF image ({what}); copy or download it again")
}

fn refused(what: &str) -> String {
    format!("is a TIFF image {what}, which is not read; save it with 8 bits a sample, as grey or RGB")
}

/// Kinds of pages that the decoder would read incorrectly.
fn refuse_rare_kinds(page: &mut Page) -> Result<(), String> {
    if page.find_tag_unsigned::<u16>(Tag::FillOrder).map_err(explain)?.is_some_and(|order| order != 1) {
        return Err(refused("whose bits are stored in reverse order"));
    }
    let channels = page.find_tag_unsigned::<u16>(Tag::SamplesPerPixel).map_err(explain)?.unwrap_or(1);
    let predictor = page.find_tag_unsigned::<u16>(Tag::Predictor).map_err(explain)?.unwrap_or(NO_PREDICTOR);
    if channels > 4 && predictor != NO_PREDICTOR {
        return Err(refused("of more than four channels with a predictor"));
    }
    let formats = page.find_tag_unsigned_vec::<u16>(Tag::SampleFormat).map_err(explain)?;
    if formats.is_some_and(|formats| formats.iter().any(|&format| format != 1)) {
        return Err(refused("of signed or floating-point samples"));
    }
    Ok(())
}

/// 8-bit samples whose first channels are colours.
struct Samples {
    data: Vec<u8>,
    color: ColorType,
    channels: usize,
    /// Samples in a plane, if each channel is a plane of its own.
    plane: Option<usize>,
}

fn samples(page: &mut Page) -> Result<Samples, String> {
    let color = page.colortype().map_err(explain)?;
    let (width, height) = page.dimensions().map_err(explain)?;
    let pixels = width as usize * height as usize;
    let planar = page.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).map_err(explain)? == Some(PLANAR);
    if planar && page.get_chunk_type() == ChunkType::Tile && color.bit_depth() >= 8 {
        let (data, channels) = tiled_planes(page)?;
        return Ok(Samples { plane: Some(pixels), channels, data, color });
    }
    let mut result = DecodingResult::U8(Vec::new());
    let layout = page.read_image_to_buffer(&mut result).map_err(explain)?;
    if result.as_buffer(0).as_bytes().len() < layout.complete_len {
        return Err(too_large());
    }
    let data = match (result, color) {
        (DecodingResult::U8(data), ColorType::Gray(bits @ (1 | 2 | 4))) => {
            unpack(&data, bits, width as usize, data.len() / height as usize)
        }
        (result, _) => high_bytes(result)?,
    };
    let channels = data.len() / pixels;
    if channels == 0 || data.len() != channels * pixels {
        return Err(corrupt("its samples are not those of its pixels"));
    }
    Ok(Samples { plane: (layout.planes > 1).then_some(pixels), channels, data, color })
}

/// The channels of tiles that have one channel each, and their number. (The decoder trims tiles at the lower edge in the first channel
/// only, and panics at the others if it reads the whole page.)
fn tiled_planes(page: &mut Page) -> Result<(Vec<u8>, usize), String> {
    let (width, height) = page.dimensions().map_err(explain)?;
    let (tile_width, tile_height) = page.chunk_dimensions();
    let (across, down) = (width.div_ceil(tile_width), height.div_ceil(tile_height));
    let channels = page.find_tag_unsigned::<u16>(Tag::SamplesPerPixel).map_err(explain)?.unwrap_or(1);
    let (width, height) = (width as usize, height as usize);
    let plane = width * height;
    if (plane as u64).saturating_mul(channels.into()) > MAX_ALLOC {
        return Err(too_large());
    }
    let mut data = vec![0; plane * usize::from(channels)];
    for (channel, plane) in (0..).zip(data.chunks_exact_mut(plane)) {
        for tile in 0..across * down {
            let (left, top) = ((tile % across * tile_width) as usize, (tile / across * tile_height) as usize);
            let chunk = channel * across * down + tile;
            let row = page.chunk_data_dimensions(chunk).0 as usize;
            let samples = high_bytes(page.read_chunk(chunk).map_err(explain)?)?;
            for (y, samples) in (top..height).zip(samples.chunks_exact(row)) {
                plane[y * width + left..][..row].copy_from_slice(samples);
            }
        }
    }
    Ok((data, channels.into()))
}

/// Samples of 8 bits; of 16, the high byte.
fn high_bytes(samples: DecodingResult) -> Result<Vec<u8>, String> {
    match samples {
        DecodingResult::U8(data) => Ok(data),
        DecodingResult::U16(data) => Ok(data.iter().map(|v| (v >> 8) as u8).collect()),
        _ => Err(refused("of more than 16 bits a sample")),
    }
}

/// Values of fewer than 8 bits, as they are; each row begins with a new byte.
fn unpack(data: &[u8], bits: u8, width: usize, row_bytes: usize) -> Vec<u8> {
    let (bits, mask) = (usize::from(bits), (1u8 << bits) - 1);
    let value = |row: &[u8], x: usize| row[x * bits / 8] >> (8 - bits - x * bits % 8) & mask;
    data.chunks_exact(row_bytes.max(1)).flat_map(|row| (0..width).map(move |x| value(row, x))).collect()
}

impl Samples {
    /// Channels of pixel `i`.
    fn pixel<const N: usize>(&self, i: usize) -> [u8; N] {
        std::array::from_fn(|c| match self.plane {
            Some(plane) => self.data[c * plane + i],
            None => self.data[i * self.channels + c],
        })
    }

    fn into_rgb(self, page: &mut Page, has_palette: bool) -> Result<Vec<u8>, String> {
        let pixels = 0..self.data.len() / self.channels;
        let alpha = page.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).map_err(explain)?.unwrap_or_default();
        let associated = alpha.first() == Some(&ASSOCIATED_ALPHA);
        if has_palette {
            let colors = page.get_tag(Tag::ColorMap).map_err(explain)?;
            let colors = colors.into_u16_vec().map_err(explain)?;
            return look_up(&colors, pixels.map(|i| self.pixel::<1>(i)[0]));
        }
        Ok(match self.color {
            ColorType::Gray(bits @ (1 | 2 | 4)) => {
                let step = 255 / ((1u8 << bits) - 1);
                self.data.iter().flat_map(|&v| [v * step; 3]).collect()
            }
            ColorType::Gray(8 | 16) => self.data.iter().flat_map(|&v| [v; 3]).collect(),
            ColorType::Multiband { bit_depth: 8 | 16, num_samples: 2 } if !associated => {
                pixels.flat_map(|i| [self.pixel::<1>(i)[0]; 3]).collect()
            }
            ColorType::RGBA(8 | 16) if associated => pixels.flat_map(|i| unmultiply(self.pixel(i))).collect(),
            ColorType::RGB(8 | 16) | ColorType::RGBA(8 | 16) => pixels.flat_map(|i| self.pixel::<3>(i)).collect(),
            ColorType::CMYK(8 | 16) => pixels.flat_map(|i| cmyk_to_rgb(&self.pixel(i))).collect(),
            other => return Err(refused(&format!("of the kind {other:?}"))),
        })
    }
}

/// The high bytes of the colours of indices; in a palette all reds come first, then all greens, then all blues.
fn look_up(colors: &[u16], indices: impl Iterator<Item = u8>) -> Result<Vec<u8>, String> {
    let count = colors.len() / 3;
    let mut pixels = Vec::with_capacity(3 * indices.size_hint().0);
    for index in indices.map(usize::from) {
        if index >= count {
            return Err(corrupt("a colour is not in its palette"));
        }
        pixels.extend((0..3).map(|c| (colors[c * count + index] >> 8) as u8));
    }
    Ok(pixels)
}

/// Undoes the multiplication of colours by alpha.
fn unmultiply([r, g, b, a]: [u8; 4]) -> [u8; 3] {
    let whole = u32::from(a);
    [r, g, b].map(|v| if a == 0 { 0 } else { (u32::from(v) * 255 / whole).min(255) as u8 })
}
