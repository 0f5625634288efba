//! Pages of a column, checked before the parquet crate decodes them: it reserves memory by what a page declares.

use std::fs::File;
use std::sync::Arc;

use parquet::basic::{Encoding, Repetition, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor, ColumnPath, Type as SchemaType};

use super::footer::{Chunk, Codec, Values};
use super::thrift::{Input, broken};

/// The most that snappy makes of a byte: its longest copy is 64 bytes in three.
const MOST_OF_SNAPPY: usize = 22;
/// The longest block of whole numbers that are written as differences; writers make 128 or 256.
const MOST_IN_BLOCK: u64 = 1 << 16;
/// The most texts of a page whose lengths are written so: they are kept, and equal ones take no bytes in a file.
const MOST_LENGTHS: u32 = 1 << 22;

/// A reader of the `values` that lie in `chunk`. Rows of lists may have `width` values at most.
pub fn column_reader(file: &Arc<File>, values: Values, chunk: Chunk, width: usize) -> Result<ColumnReader> {
    let kind =
        SchemaType::primitive_type_builder("column", values.kind).with_repetition(Repetition::REQUIRED).build()?;
    let path = ColumnPath::from("column");
    let column: ColumnDescPtr =
        Arc::new(ColumnDescriptor::new(Arc::new(kind), values.definition, values.repetition, path));
    // Not compressed, so that pages come as they are.
    let place = ColumnChunkMetaData::builder(column.clone())
        .set_data_page_offset(chunk.start as i64)
        .set_total_compressed_size(chunk.length as i64)
        .build()?;
    let inner = SerializedPageReader::new(file.clone(), &place, 0, None)?;
    let pages = Pages { inner, codec: chunk.codec, column: column.clone(), width: width.max(1), row: 0 };
    Ok(get_column_reader(column, Box::new(pages)))
}

/// The pages of a column.
struct Pages {
    inner: SerializedPageReader<File>,
    codec: Codec,
    column: ColumnDescPtr,
    /// The most values of a row.
    width: usize,
    /// The values so far of the row that a page ended in.
    row: usize,
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let Some(mut page) = self.inner.get_next_page()? else { return Ok(None) };
        if self.codec == Codec::Snappy {
            unpack(&mut page)?;
        }
        self.check(&page)?;
        Ok(Some(page))
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.inner.at_record_boundary()
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl Pages {
    fn check(&mut self, page: &Page) -> Result<()> {
        let mut input = Input::new(page.buffer());
        let count = page.num_values();
        let repetition = match *page {
            Page::DictionaryPage { .. } => return self.check_dictionary(input.left(), count),
            Page::DataPage { rep_level_encoding, def_level_encoding, .. } => {
                let mut levels = |most: i16, encoding| match (most, encoding) {
                    (0, _) => Ok(&[][..]),
                    (_, Encoding::RLE) => {
                        let length = input.bytes(4)?;
                        input.bytes(u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize)
                    }
                    _ => Err(broken("levels are written as no writer does any more")),
                };
                let repetition = levels(self.column.max_rep_level(), rep_level_encoding)?;
                levels(self.column.max_def_level(), def_level_encoding)?;
                repetition
            }
            Page::DataPageV2 { rep_levels_byte_len, def_levels_byte_len, .. } => {
                let repetition = input.bytes(rep_levels_byte_len as usize)?;
                input.bytes(def_levels_byte_len as usize)?;
                repetition
            }
        };
        if self.column.max_rep_level() > 0 {
            self.check_rows(repetition, count)?;
        }
        match page.encoding() {
            Encoding::DELTA_BINARY_PACKED => pass_differences(&mut input, count),
            Encoding::DELTA_LENGTH_BYTE_ARRAY => pass_differences(&mut input, count.min(MOST_LENGTHS)),
            Encoding::DELTA_BYTE_ARRAY => {
                pass_differences(&mut input, count.min(MOST_LENGTHS))?;
                pass_differences(&mut input, count.min(MOST_LENGTHS))
            }
            _ => Ok(()),
        }
    }

    /// `count` values of a dictionary must have their bytes.
    fn check_dictionary(&self, bytes: usize, count: u32) -> Result<()> {
        let least = match self.column.physical_type() {
            Type::INT64 | Type::DOUBLE => 8,
            // Of a text its length.
            _ => 4,
        };
        match bytes / least < count as usize {
            true => Err(broken(format!("a dictionary of {count} values has {bytes} bytes"))),
            false => Ok(()),
        }
    }

    /// Checks the lengths of the rows of a page, whose repetition levels (0 begins a row) stand in runs and in groups of eight bits.
    fn check_rows(&mut self, levels: &[u8], count: u32) -> Result<()> {
        let mut input = Input::new(levels);
        let mut left = u64::from(count);
        while left > 0 {
            let head = input.varint()?;
            if head & 1 == 0 {
                let run = left.min(head >> 1);
                match (input.byte()?, run) {
                    (_, 0) => {}
                    (0, _) => self.begin_row()?,
                    _ => self.row = self.row.saturating_add(run as usize),
                }
                left -= run;
                continue;
            }
            for _ in 0..head >> 1 {
                if left == 0 {
                    break;
                }
                let bits = input.byte()?;
                let group = left.min(8);
                for bit in 0..group {
                    if bits >> bit & 1 == 0 {
                        self.begin_row()?;
                    } else {
                        self.row += 1;
                    }
                }
                left -= group;
            }
        }
        self.check_row()
    }

    fn begin_row(&mut self) -> Result<()> {
        self.check_row()?;
        self.row = 1;
        Ok(())
    }

    fn check_row(&self) -> Result<()> {
        let (row, width) = (self.row, self.width);
        match row > width {
            true => Err(broken(format!("a row of {row} features, where the network has {width}"))),
            false => Ok(()),
        }
    }
}

/// Decompresses a page.
fn unpack(page: &mut Page) -> Result<()> {
    let (buf, plain) = match page {
        Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => (buf, 0),
        Page::DataPageV2 { is_compressed: false, .. } => return Ok(()),
        // The levels stand before it as they are.
        Page::DataPageV2 { buf, rep_levels_byte_len, def_levels_byte_len, .. } => {
            (buf, *rep_levels_byte_len as usize + *def_levels_byte_len as usize)
        }
    };
    let (levels, packed) = buf.split_at_checked(plain).ok_or_else(|| broken("a page is cut"))?;
    // A page without values may have none at all.
    if packed.is_empty() {
        return Ok(());
    }
    let cut = |error: snap::Error| ParquetError::External(Box::new(error));
    let length = snap::raw::decompress_len(packed).map_err(cut)?;
    if length / MOST_OF_SNAPPY > packed.len() {
        return Err(broken(format!("a page of {} bytes declares {length}", packed.len())));
    }
    let mut whole = vec![0; plain + length];
    whole[..plain].copy_from_slice(levels);
    let got = snap::raw::Decoder::new().decompress(packed, &mut whole[plain..]).map_err(cut)?;
    whole.truncate(plain + got);
    *buf = whole.into();
    Ok(())
}

/// Passes over whole numbers that are written as differences, of which there may be `most`.
fn pass_differences(input: &mut Input, most: u32) -> Result<()> {
    let (block, parts, count) = (input.varint()?, input.varint()?, input.varint()?);
    input.zigzag()?;
    if block > MOST_IN_BLOCK || parts == 0 || parts > block || count > u64::from(most) {
        return Err(broken(format!("{count} numbers in blocks of {block} by {parts}, where {most} may be")));
    }
    let each = block / parts;
    let mut left = count.saturating_sub(1);
    while left > 0 {
        input.zigzag()?;
        let widths = input.bytes(parts as usize)?;
        for &bits in widths {
            // Behind the last number there are widths, and no bits.
            if left > 0 {
                input.bytes(usize::from(bits) * each as usize / 8)?;
                left = left.saturating_sub(each);
            }
        }
    }
    Ok(())
}
