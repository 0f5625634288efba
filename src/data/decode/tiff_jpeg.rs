//! TIFF pages whose strips or tiles are JPEGs.

use tiff::tags::Tag;

use super::decoded::check_size;
use super::jpeg;
use super::jpeg_header::{Colors, Header};
use super::tiff_page::{Page, explain};

/// `PhotometricInterpretation` of each kind that is read, and what its JPEGs' components are.
const KINDS: [(u16, usize, Colors); 3] = [(1, 1, Colors::Grey), (2, 3, Colors::Rgb), (6, 3, Colors::YCbCr)];

/// The RGB pixels of a page of JPEGs, of `bytes`.
///
/// # Errors
/// The end of a sentence that begins with the file's name.
pub(super) fn decode(bytes: &[u8], page: &mut Page) -> Result<Vec<u8>, String> {
    let refused = |what: &str| format!("is a TIFF image {what}, which is not read; save it with LZW or Deflate");
    let (width, height) = page.dimensions().map_err(explain)?;
    let photometric = page.get_tag_unsigned::<u16>(Tag::PhotometricInterpretation).map_err(explain)?;
    let Some((_, channels, colors)) = KINDS.into_iter().find(|(kind, ..)| *kind == photometric) else {
        return Err(refused("of JPEGs in CMYK or another rare kind of colours"));
    };
    if page.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).map_err(explain)?.is_some_and(|planar| planar != 1) {
        return Err(refused("of a JPEG for each channel"));
    }
    if page.find_tag_unsigned(Tag::SamplesPerPixel).map_err(explain)?.unwrap_or(1) != channels {
        return Err(refused("of JPEGs with alpha or other channels"));
    }
    let tables =
        page.find_tag(Tag::JPEGTables).map_err(explain)?.map(|t| t.into_u8_vec()).transpose().map_err(explain)?;
    let tables = tables.unwrap_or_default();
    let (chunk_width, chunk_height) = page.chunk_dimensions();
    let [offsets, lengths] = match page.get_chunk_type() {
        tiff::decoder::ChunkType::Strip => [Tag::StripOffsets, Tag::StripByteCounts],
        tiff::decoder::ChunkType::Tile => [Tag::TileOffsets, Tag::TileByteCounts],
    }
    .map(|tag| page.get_tag_u64_vec(tag));
    let (offsets, lengths) = (offsets.map_err(explain)?, lengths.map_err(explain)?);
    if chunk_width == 0 || chunk_height == 0 {
        return Err(corrupt("its tiles are empty"));
    }
    let (across, down) = (width.div_ceil(chunk_width) as usize, height.div_ceil(chunk_height) as usize);
    if offsets.len() < across * down || lengths.len() < across * down {
        return Err(corrupt("some of its JPEGs are missing"));
    }
    let tile = (chunk_width as usize, chunk_height as usize);
    let mut image = Canvas { pixels: vec![0; width as usize * height as usize * 3], width: width as usize };
    for chunk in 0..across * down {
        let (left, top) = (chunk % across * chunk_width as usize, chunk / across * chunk_height as usize);
        let place = Place {
            left,
            top,
            width: (chunk_width as usize).min(width as usize - left),
            height: (chunk_height as usize).min(height as usize - top),
        };
        let end = offsets[chunk].saturating_add(lengths[chunk]);
        let data = usize::try_from(offsets[chunk]).ok().zip(usize::try_from(end).ok());
        let data = data.and_then(|(start, end)| bytes.get(start..end)).ok_or_else(|| corrupt("a JPEG lies outside"))?;
        image.put(&decode_tile(&join(&tables, data), &place, tile, channels, colors)?, &place);
    }
    Ok(image.pixels)
}

fn corrupt(what: &str) -> String {
    format!("is a truncated or corrupt TIFF image ({what}); copy or download it again")
}

/// The tables that all JPEGs of a page share, without their end marker, and one JPEG, without its start marker.
fn join(tables: &[u8], data: &[u8]) -> Vec<u8> {
    match tables.strip_suffix(&[0xff, 0xd9]) {
        Some(tables) => [tables, data.get(2..).unwrap_or_default()].concat(),
        None => data.to_vec(),
    }
}

/// The part of a page that one JPEG covers.
struct Place {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

/// The RGB pixels of one JPEG, which covers `place` and is no larger than a `tile`, row by row.
struct Tile {
    pixels: Vec<u8>,
    width: usize,
}

fn decode_tile(
    jpeg: &[u8],
    place: &Place,
    tile: (usize, usize),
    channels: usize,
    colors: Colors,
) -> Result<Tile, String> {
    let header = Header::read(jpeg)?;
    let frame = header.frame()?;
    let (width, height) = (usize::from(frame.width), usize::from(frame.height));
    let fits = (place.width..=tile.0).contains(&width) && (place.height..=tile.1).contains(&height);
    if frame.components.len() != channels || !fits {
        return Err(corrupt("a JPEG is not of its tile's size"));
    }
    check_size(frame.width.into(), frame.height.into())?;
    Ok(Tile { pixels: jpeg::rgb(jpeg, &header, colors)?, width })
}

/// The page, of three bytes a pixel.
struct Canvas {
    pixels: Vec<u8>,
    width: usize,
}

impl Canvas {
    fn put(&mut self, tile: &Tile, place: &Place) {
        for y in 0..place.height {
            let start = ((place.top + y) * self.width + place.left) * 3;
            let row = &tile.pixels[y * tile.width * 3..][..place.width * 3];
            self.pixels[start..start + row.len()].copy_from_slice(row);
        }
    }
}
