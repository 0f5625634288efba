//! A column of lists of floats, list by list.

use super::footer::{Type, Values};
use super::pages::{PLAIN, PLAIN_DICTIONARY, Page, Pages, RLE_DICTIONARY, SPLIT_BYTES, unread};
use super::problem::{Result, broken};
use super::runs::Runs;
use super::thrift::Input;

/// The longest list whose length is still counted for a message.
const MOST: usize = 1 << 20;

/// Hands `each` every list of `pages`, which has `width` values; none where it is missing or empty.
///
/// # Errors
/// What `each` gives, and lists of other lengths.
pub fn lists(
    mut pages: Pages,
    of: Values,
    width: usize,
    mut each: impl FnMut(Option<&[f32]>) -> Result<()>,
) -> Result<()> {
    let dictionary = match pages.dictionary()? {
        Some((bytes, count)) if bytes.len() == count.saturating_mul(size(of.kind)) => Some(bytes),
        Some((bytes, count)) => {
            return Err(broken(format!("a dictionary of {count} values has {} bytes", bytes.len())));
        }
        None => None,
    };
    let mut list = List { width, values: Vec::with_capacity(width), entries: 0, missing: 0 };
    while let Some(page) = pages.next()? {
        let [mut repetition, mut definition] = page.levels(of)?;
        let mut values = Floats::new(&page, of.kind, dictionary.as_deref())?;
        let mut left = page.entries;
        while left > 0 {
            let mut more = repetition.pass(1, left)?;
            if more > 0 && list.entries == 0 {
                return Err(broken("a list goes on that did not begin"));
            }
            if more == 0 {
                repetition.next_is(0)?;
                list.end(&mut each)?;
                more = 1;
            }
            left -= more;
            list.entries = list.entries.saturating_add(more);
            if list.entries > MOST {
                return Err(broken(format!("a row of over {MOST} features, where the network has {width}")));
            }
            while more > 0 {
                let there = definition.pass(of.definition, more)?;
                values.read(there, &mut list.values, width)?;
                more -= there;
                if more > 0 {
                    definition.next_is(of.definition)?;
                    list.missing += 1;
                    more -= 1;
                }
            }
        }
        values.check_end()?;
        repetition.check_end()?;
        definition.check_end()?;
    }
    list.end(&mut each)
}

/// The list that is being read.
struct List {
    width: usize,
    /// Its first values.
    values: Vec<f32>,
    /// Its values and those that are missing. A list without any has one that is.
    entries: usize,
    missing: usize,
}

impl List {
    /// Ends a list, if one was begun.
    fn end(&mut self, each: &mut impl FnMut(Option<&[f32]>) -> Result<()>) -> Result<()> {
        let width = self.width;
        match (self.entries, self.missing) {
            (0, _) => return Ok(()),
            (1, 1) => each(None)?,
            (entries, 0) if entries == width => each(Some(&self.values))?,
            (entries, 0) => {
                return Err(broken(format!("a row of {entries} features, where the network has {width}")));
            }
            (entries, missing) => {
                return Err(broken(format!("a row of {entries} features of which {missing} are missing")));
            }
        }
        self.values.clear();
        (self.entries, self.missing) = (0, 0);
        Ok(())
    }
}

/// Bytes of a value.
fn size(kind: Type) -> usize {
    if kind == Type::Double { 8 } else { 4 }
}

/// The value of four or eight bytes.
fn value(bytes: &[u8]) -> f32 {
    match bytes.first_chunk() {
        Some(double) => f64::from_le_bytes(*double) as f32,
        None => bytes.first_chunk().map_or(0.0, |single| f32::from_le_bytes(*single)),
    }
}

/// The values of a page.
struct Floats<'a> {
    size: usize,
    encoded: Encoded<'a>,
}

enum Encoded<'a> {
    Plain(Input<'a>),
    /// Places in a dictionary.
    Places(Runs<'a>, &'a [u8]),
    /// The first bytes of all values, then the second ones, and the value that is next.
    Split(&'a [u8], usize),
}

impl<'a> Floats<'a> {
    fn new(page: &'a Page, kind: Type, dictionary: Option<&'a [u8]>) -> Result<Self> {
        let bytes = page.values();
        let mut input = Input::new(bytes);
        let size = size(kind);
        let encoded = match page.encoding {
            _ if bytes.is_empty() => Encoded::Plain(input),
            PLAIN => Encoded::Plain(input),
            PLAIN_DICTIONARY | RLE_DICTIONARY => {
                let dictionary = dictionary.ok_or_else(|| broken("a dictionary is missing"))?;
                Encoded::Places(Runs::places(&mut input)?, dictionary)
            }
            SPLIT_BYTES if bytes.len().is_multiple_of(size) => Encoded::Split(bytes, 0),
            SPLIT_BYTES => return Err(broken("the bytes of a page are no whole values")),
            other => return Err(unread(other)),
        };
        Ok(Self { size, encoded })
    }

    /// Reads `count` values, of which `all` takes in what it has room for.
    fn read(&mut self, count: usize, all: &mut Vec<f32>, room: usize) -> Result<()> {
        let room = room.saturating_sub(all.len());
        let size = self.size;
        match &mut self.encoded {
            Encoded::Plain(input) => {
                let bytes = input.bytes(count.saturating_mul(size))?;
                all.extend(bytes.chunks_exact(size).take(room).map(value));
            }
            Encoded::Places(places, dictionary) => {
                let (mut left, end) = (count, all.len() + count.min(room));
                while left > 0 {
                    let (place, times) = places.next_run(left)?;
                    let start = place as usize * size;
                    let bytes = dictionary.get(start..start + size);
                    let bytes = bytes.ok_or_else(|| broken("a value is not in its dictionary"))?;
                    all.resize(end.min(all.len() + times), value(bytes));
                    left -= times;
                }
            }
            Encoded::Split(bytes, at) => {
                let whole = bytes.len() / size;
                if count > whole - *at {
                    return Err(broken("a page has fewer values than it says"));
                }
                all.extend((*at..*at + count.min(room)).map(|at| {
                    let mut bytes_of_one = [0; 8];
                    (0..size).for_each(|byte| bytes_of_one[byte] = bytes[byte * whole + at]);
                    value(&bytes_of_one[..size])
                }));
                *at += count;
            }
        }
        Ok(())
    }

    /// Checks that a page ends with its last value: what is left over would be of other values than were read.
    fn check_end(&self) -> Result<()> {
        let is_at_end = match &self.encoded {
            Encoded::Plain(input) => input.left() == 0,
            Encoded::Places(places, _) => places.is_at_end(),
            Encoded::Split(bytes, at) => at * self.size == bytes.len(),
        };
        if is_at_end { Ok(()) } else { Err(broken("a page has more values than it says")) }
    }
}
