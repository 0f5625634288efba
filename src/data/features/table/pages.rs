//! The pages of a column as they lie in a file: their headers, checksums and compression.

use std::borrow::Cow;

use crc::{CRC_32_ISO_HDLC, Crc};

use super::footer::{Chunk, Codec, Values};
use super::problem::{Problem, Result, broken};
use super::runs::Runs;
use super::thrift::{Input, Kind};

/// The most that snappy makes of a byte: its longest copy is 64 bytes in three.
const MOST_OF_SNAPPY: usize = 22;
/// The checksum of a page.
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Encodings of values.
pub const PLAIN: i64 = 0;
pub const PLAIN_DICTIONARY: i64 = 2;
pub const DIFFERENCES: i64 = 5;
pub const LENGTHS: i64 = 6;
pub const PREFIXES: i64 = 7;
pub const RLE_DICTIONARY: i64 = 8;
pub const SPLIT_BYTES: i64 = 9;

/// A page of values.
pub struct Page<'a> {
    /// How many values it has, with those that are missing.
    pub entries: usize,
    pub encoding: i64,
    /// Bytes of the repetition and of the definition levels, from `bytes` on.
    levels: [std::ops::Range<usize>; 2],
    bytes: Cow<'a, [u8]>,
}

impl Page<'_> {
    /// The repetition and the definition levels of its entries.
    pub fn levels(&self, of: Values) -> Result<[Runs<'_>; 2]> {
        let [repetition, definition] = self.levels.clone();
        Ok([
            Runs::levels(&self.bytes[repetition], of.repetition)?,
            Runs::levels(&self.bytes[definition], of.definition)?,
        ])
    }

    /// The bytes of its values.
    pub fn values(&self) -> &[u8] {
        &self.bytes[self.levels[1].end..]
    }
}

/// What is said of a page in an encoding that is not read.
pub fn unread(encoding: i64) -> Problem {
    Problem::Unread(format!("a page has the encoding {encoding}"), "in the encodings that its writer uses by itself")
}

/// A column of a row group, page by page.
pub struct Pages<'a> {
    input: Input<'a>,
    codec: Codec,
    of: Values,
    /// Entries that are still to come.
    left: usize,
}

/// What a page's header says.
#[derive(Default)]
struct Header {
    kind: Option<i64>,
    whole: Option<usize>,
    stored: Option<usize>,
    checksum: Option<u32>,
    entries: Option<usize>,
    encoding: i64,
    /// The encodings of the levels, in pages of the first kind.
    level_encodings: [i64; 2],
    /// The bytes of the levels, in pages of the second kind.
    level_bytes: [usize; 2],
    is_plain: bool,
}

const DATA: i64 = 0;
const INDEX: i64 = 1;
const DICTIONARY: i64 = 2;
const DATA_2: i64 = 3;
const RLE: i64 = 3;

impl<'a> Pages<'a> {
    /// The pages of `chunk` of the file `bytes`, whose values are `of`.
    pub fn new(bytes: &'a [u8], chunk: Chunk, of: Values) -> Self {
        let input = Input::new(&bytes[chunk.start..chunk.end]);
        Self { input, codec: chunk.codec, of, left: chunk.entries }
    }

    /// The values of a dictionary and their number, where the first page is one.
    pub fn dictionary(&mut self) -> Result<Option<(Cow<'a, [u8]>, usize)>> {
        let mut ahead = self.input;
        if ahead.left() == 0 {
            return Ok(None);
        }
        let header = Header::read(&mut ahead)?;
        if header.kind != Some(DICTIONARY) {
            return Ok(None);
        }
        let count = header.entries.ok_or_else(|| broken("a page does not say how many values it has"))?;
        // Both mean plain.
        if !matches!(header.encoding, PLAIN | PLAIN_DICTIONARY) {
            return Err(broken(format!("a dictionary has the encoding {}", header.encoding)));
        }
        let values = self.unpacked(header.stored_at(&mut ahead)?, header.whole, 0)?;
        self.input = ahead;
        Ok(Some((values, count)))
    }

    /// The next page of values.
    pub fn next(&mut self) -> Result<Option<Page<'a>>> {
        while self.input.left() > 0 {
            let header = Header::read(&mut self.input)?;
            let stored = header.stored_at(&mut self.input)?;
            match header.kind {
                Some(DATA | DATA_2) => return self.page(&header, stored).map(Some),
                Some(INDEX) => {}
                Some(DICTIONARY) => return Err(broken("a dictionary is not the first page")),
                _ => return Err(broken("a page is of no known kind")),
            }
        }
        match self.left {
            0 => Ok(None),
            left => Err(broken(format!("a column has {left} values fewer than it says"))),
        }
    }

    fn page(&mut self, header: &Header, stored: &'a [u8]) -> Result<Page<'a>> {
        let entries = header.entries.ok_or_else(|| broken("a page does not say how many values it has"))?;
        self.left = self.left.checked_sub(entries).ok_or_else(|| broken("a column has more values than it says"))?;
        let is_second = header.kind == Some(DATA_2);
        let [repetition, definition] = header.level_bytes;
        let plain = match is_second {
            true if header.is_plain => stored.len(),
            true => repetition.saturating_add(definition),
            false => 0,
        };
        let bytes = self.unpacked(stored, header.whole, plain)?;
        let levels = if is_second {
            let end = repetition.checked_add(definition).filter(|&end| end <= bytes.len());
            let end = end.ok_or_else(|| broken("the levels of a page are cut"))?;
            [0..repetition, repetition..end]
        } else {
            self.counted_levels(&bytes, header.level_encodings)?
        };
        Ok(Page { entries, encoding: header.encoding, levels, bytes })
    }

    /// Where the levels of a page of the first kind lie, each behind its length.
    fn counted_levels(&self, bytes: &[u8], encodings: [i64; 2]) -> Result<[std::ops::Range<usize>; 2]> {
        let mut input = Input::new(bytes);
        let mut next = |most: u8, encoding: i64| {
            if most == 0 {
                let at = bytes.len() - input.left();
                return Ok(at..at);
            }
            if encoding != RLE {
                return Err(broken("levels are written as no writer does any more"));
            }
            let length = input.counted()?.len();
            let end = bytes.len() - input.left();
            Ok(end - length..end)
        };
        Ok([next(self.of.repetition, encodings[0])?, next(self.of.definition, encodings[1])?])
    }

    /// A page of `whole` bytes, of which the first `plain` are not compressed.
    fn unpacked(&self, stored: &'a [u8], whole: Option<usize>, plain: usize) -> Result<Cow<'a, [u8]>> {
        let whole = whole.ok_or_else(|| broken("a page does not say how long it is"))?;
        let (levels, packed) = stored.split_at_checked(plain).ok_or_else(|| broken("the levels of a page are cut"))?;
        // Without values there may be nothing at all.
        if self.codec == Codec::None || packed.is_empty() {
            return match stored.len() == whole {
                true => Ok(stored.into()),
                false => Err(broken(format!("a page of {} bytes says that it has {whole}", stored.len()))),
            };
        }
        let cut = |error: snap::Error| broken(format!("a page can't be decompressed: {error}"));
        let length = snap::raw::decompress_len(packed).map_err(cut)?;
        if length / MOST_OF_SNAPPY > packed.len() || Some(length) != whole.checked_sub(plain) {
            return Err(broken(format!("a page of {} bytes says that it has {whole}, or {length}", stored.len())));
        }
        let mut bytes = vec![0; whole];
        bytes[..plain].copy_from_slice(levels);
        let got = snap::raw::Decoder::new().decompress(packed, &mut bytes[plain..]).map_err(cut)?;
        match got == length {
            true => Ok(bytes.into()),
            false => Err(broken("a page is cut")),
        }
    }
}

impl Header {
    fn read(input: &mut Input) -> Result<Self> {
        let mut header = Self::default();
        input.fields(|input, number, kind| {
            match number {
                1 => header.kind = Some(input.int(kind)?),
                2 => header.whole = Some(input.count(kind)?),
                3 => header.stored = Some(input.count(kind)?),
                4 => header.checksum = Some(input.int(kind)? as u32),
                5 if kind == Kind::STRUCT && header.kind == Some(DATA) => header.first(input)?,
                7 if kind == Kind::STRUCT && header.kind == Some(DICTIONARY) => header.first(input)?,
                8 if kind == Kind::STRUCT && header.kind == Some(DATA_2) => header.second(input)?,
                _ => input.skip(kind)?,
            }
            Ok(())
        })?;
        Ok(header)
    }

    /// What the header of a page of the first kind says, and that of a dictionary, which has its first two fields.
    fn first(&mut self, input: &mut Input) -> Result<()> {
        input.fields(|input, number, kind| {
            match number {
                1 => self.entries = Some(input.count(kind)?),
                2 => self.encoding = input.int(kind)?,
                3 if kind == Kind::I32 => self.level_encodings[1] = input.int(kind)?,
                4 if kind == Kind::I32 => self.level_encodings[0] = input.int(kind)?,
                _ => input.skip(kind)?,
            }
            Ok(())
        })
    }

    fn second(&mut self, input: &mut Input) -> Result<()> {
        input.fields(|input, number, kind| {
            match number {
                1 => self.entries = Some(input.count(kind)?),
                4 => self.encoding = input.int(kind)?,
                5 => self.level_bytes[1] = input.count(kind)?,
                6 => self.level_bytes[0] = input.count(kind)?,
                7 => self.is_plain = !input.is_true(kind)?,
                _ => input.skip(kind)?,
            }
            Ok(())
        })
    }

    /// The bytes of the page behind its header.
    fn stored_at<'a>(&self, input: &mut Input<'a>) -> Result<&'a [u8]> {
        let size = self.stored.ok_or_else(|| broken("a page does not say how long it is"))?;
        let stored = input.bytes(size)?;
        match self.checksum.is_none_or(|checksum| checksum == CRC.checksum(stored)) {
            true => Ok(stored),
            false => Err(broken("a page differs from its checksum")),
        }
    }
}
