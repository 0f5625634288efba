//! A column of texts, or of whole numbers as their digits, value by value.

use std::borrow::Cow;

use super::differences::Differences;
use super::footer::{Meaning, Type, Values};
use super::pages::{DIFFERENCES, LENGTHS, PLAIN, PLAIN_DICTIONARY, PREFIXES, Page, Pages, RLE_DICTIONARY, unread};
use super::problem::{Result, broken};
use super::runs::Runs;
use super::thrift::Input;

/// The most bytes of a text: what a path may have.
pub const MAX_TEXT: usize = 4096;

/// A column of a row group. All of its pages are in memory, decompressed.
pub struct Texts<'a> {
    of: Values,
    pages: Vec<Page<'a>>,
    dictionary: Option<Dictionary<'a>>,
}

/// The plain values of a dictionary.
struct Dictionary<'a> {
    bytes: Cow<'a, [u8]>,
    /// Where each begins.
    starts: Vec<u32>,
}

impl<'a> Texts<'a> {
    pub fn new(mut pages: Pages<'a>, of: Values) -> Result<Self> {
        let dictionary =
            pages.dictionary()?.map(|(bytes, count)| Dictionary::new(bytes, count, of.kind)).transpose()?;
        let mut all = Vec::new();
        while let Some(page) = pages.next()? {
            all.push(page);
        }
        Ok(Self { of, pages: all, dictionary })
    }

    pub fn rows(&self) -> Rows<'_> {
        Rows { texts: self, pages: self.pages.iter(), page: None, text: Vec::new() }
    }
}

impl<'a> Dictionary<'a> {
    fn new(bytes: Cow<'a, [u8]>, count: usize, kind: Type) -> Result<Self> {
        let mut input = Input::new(&bytes);
        if bytes.len() > u32::MAX as usize {
            return Err(broken(format!("a dictionary of {} bytes", bytes.len())));
        }
        // Every value has four bytes at least.
        let mut starts = Vec::with_capacity(count.min(bytes.len() / 4));
        for _ in 0..count {
            starts.push((bytes.len() - input.left()) as u32);
            pass(&mut input, kind)?;
        }
        match input.left() {
            0 => Ok(Self { bytes, starts }),
            left => Err(broken(format!("a dictionary has {left} bytes too many"))),
        }
    }
}

/// Passes over a plain value.
fn pass(input: &mut Input, kind: Type) -> Result<()> {
    match kind {
        Type::Int32 => input.bytes(4).map(|_| ()),
        Type::Int64 => input.bytes(8).map(|_| ()),
        _ => input.counted().map(|_| ()),
    }
}

/// The rows of a column.
pub struct Rows<'a> {
    texts: &'a Texts<'a>,
    pages: std::slice::Iter<'a, Page<'a>>,
    page: Option<Cursor<'a>>,
    /// A text that lies nowhere in one piece.
    text: Vec<u8>,
}

/// A row: whether it has a text.
pub enum Row<'a> {
    Missing,
    Text(&'a [u8]),
}

/// What is still to come of a page.
struct Cursor<'a> {
    left: usize,
    definition: Runs<'a>,
    values: Encoded<'a>,
}

enum Encoded<'a> {
    Plain(Input<'a>),
    Places(Runs<'a>),
    Numbers(Differences<'a>, Input<'a>),
    Lengths(Differences<'a>, Input<'a>),
    Prefixes(Differences<'a>, Differences<'a>, Input<'a>),
}

impl Rows<'_> {
    /// The next row; none at the end.
    pub fn next(&mut self) -> Result<Option<Row<'_>>> {
        let of = self.texts.of;
        while self.page.as_ref().is_none_or(|page| page.left == 0) {
            if let Some(page) = &self.page {
                page.values.check_end()?;
                page.definition.check_end()?;
            }
            let Some(page) = self.pages.next() else { return Ok(None) };
            let [repetition, definition] = page.levels(of)?;
            repetition.check_end()?;
            let values = Encoded::of(page, of.kind)?;
            // A text begins as another one of its page.
            self.text.clear();
            self.page = Some(Cursor { left: page.entries, definition, values });
        }
        let Some(page) = &mut self.page else { return Ok(None) };
        page.left -= 1;
        if !page.definition.next_is(of.definition)? {
            return Ok(Some(Row::Missing));
        }
        page.values.next(&mut self.text, of, self.texts.dictionary.as_ref()).map(|text| Some(Row::Text(text)))
    }
}

impl<'a> Encoded<'a> {
    fn of(page: &'a Page, kind: Type) -> Result<Self> {
        let mut input = Input::new(page.values());
        Ok(match (page.encoding, kind) {
            // A page whose values are all missing may have no bytes.
            _ if input.left() == 0 => Self::Plain(input),
            (PLAIN, _) => Self::Plain(input),
            (PLAIN_DICTIONARY | RLE_DICTIONARY, _) => Self::Places(Runs::places(&mut input)?),
            (DIFFERENCES, Type::Int32 | Type::Int64) => Self::Numbers(Differences::new(&mut input)?, input),
            (LENGTHS, Type::Bytes) => Self::Lengths(Differences::new(&mut input)?, input),
            (PREFIXES, Type::Bytes) => {
                let prefixes = Differences::new(&mut input)?;
                Self::Prefixes(prefixes, Differences::new(&mut input)?, input)
            }
            (other, _) => return Err(unread(other)),
        })
    }

    /// The next value, in `text` if it lies nowhere in one piece.
    fn next<'b>(
        &'b mut self,
        text: &'b mut Vec<u8>,
        of: Values,
        dictionary: Option<&'b Dictionary>,
    ) -> Result<&'b [u8]> {
        match self {
            Self::Plain(input) => plain(text, input, of),
            Self::Places(places) => {
                let place = places.next()? as usize;
                let dictionary = dictionary.ok_or_else(|| broken("a dictionary is missing"))?;
                let start = dictionary.starts.get(place).ok_or_else(|| broken("a value is not in its dictionary"))?;
                plain(text, &mut Input::new(&dictionary.bytes[*start as usize..]), of)
            }
            Self::Numbers(numbers, _) => digits(text, numbers.next()?, of),
            Self::Lengths(lengths, input) => next_bytes(lengths, input),
            Self::Prefixes(prefixes, lengths, input) => {
                let prefix = usize::try_from(prefixes.next()?).ok().filter(|&prefix| prefix <= text.len());
                text.truncate(prefix.ok_or_else(|| broken("a text begins as none before it"))?);
                let more = next_bytes(lengths, input)?;
                let length = text.len() + more.len();
                if length > MAX_TEXT {
                    return Err(broken(format!("a text of {length} bytes")));
                }
                text.extend(more);
                Ok(text)
            }
        }
    }

    /// Checks that a page ends with its last value: what is left over would be of other values than were read.
    fn check_end(&self) -> Result<()> {
        let is_at_end = match self {
            Self::Plain(input) => input.left() == 0,
            Self::Places(places) => places.is_at_end(),
            Self::Numbers(numbers, input) | Self::Lengths(numbers, input) => numbers.left() == 0 && input.left() == 0,
            Self::Prefixes(prefixes, lengths, input) => {
                prefixes.left() == 0 && lengths.left() == 0 && input.left() == 0
            }
        };
        if is_at_end { Ok(()) } else { Err(broken("a page has more values than it says")) }
    }
}

/// Reads a plain value.
fn plain<'b, 'a: 'b>(text: &'b mut Vec<u8>, input: &mut Input<'a>, of: Values) -> Result<&'b [u8]> {
    match of.kind {
        Type::Int32 => digits(text, i32::from_le_bytes(input.array()?).into(), of),
        Type::Int64 => digits(text, i64::from_le_bytes(input.array()?), of),
        _ => input.counted(),
    }
}

/// The digits of a number. Differences of 32 bits wrap around.
fn digits(text: &mut Vec<u8>, number: i64, of: Values) -> Result<&[u8]> {
    text.clear();
    let digits = match (of.kind, of.meaning) {
        (Type::Int32, Meaning::Unsigned) => (number as u32).to_string(),
        (Type::Int32, _) => (number as i32).to_string(),
        (_, Meaning::Unsigned) => (number as u64).to_string(),
        _ => number.to_string(),
    };
    text.extend(digits.as_bytes());
    Ok(text)
}

/// The next bytes, whose length is the next number.
fn next_bytes<'a>(lengths: &mut Differences, input: &mut Input<'a>) -> Result<&'a [u8]> {
    let length = usize::try_from(lengths.next()?);
    input.bytes(length.map_err(|_| broken("a text has less than no bytes"))?)
}
