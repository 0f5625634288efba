//! The first directory of a TIFF structure, which is also what EXIF data is.

use std::collections::BTreeSet;

/// Reads entries of a TIFF's or BigTIFF's first directory, of either byte order.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    big_endian: bool,
    big_tiff: bool,
}

/// One entry whose values are all there.
pub(super) struct Entry {
    /// The values' type.
    pub kind: u64,
    /// Where in the file the first value begins.
    pub at: usize,
}

impl<'a> Reader<'a> {
    /// A reader of `bytes`, if they begin as a TIFF does.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let (big_endian, big_tiff) = match bytes.get(..4)? {
            b"II\x2a\0" | b"II\0\x2a" => (false, false),
            b"MM\0\x2a" | b"MM\x2a\0" => (true, false),
            b"II\x2b\0" => (false, true),
            b"MM\0\x2b" => (true, true),
            _ => return None,
        };
        Some(Reader { bytes, big_endian, big_tiff })
    }

    /// The first entry of `tag`; `None` if the directory is truncated before it. As in Pillow, an entry of an unknown type, without
    /// values, or with more than the file could hold is skipped, and one whose values lie outside the file ends the search.
    pub(super) fn find(&self, tag: u16) -> Option<Entry> {
        let word = self.word();
        let mut outside = 0u64;
        for at in self.entries()? {
            let at = at?;
            let (kind, values) = (self.whole(at + 2, 2)?, self.whole(at + 4, word)?);
            let Some(size) = size_of(kind) else { continue };
            let size = values.saturating_mul(size);
            let mut data = at + 4 + word;
            if size > word as u64 {
                outside = outside.saturating_add(size);
                if outside > self.bytes.len() as u64 {
                    continue;
                }
                data = usize::try_from(self.whole(data, word)?).ok()?;
                self.bytes.get(data..data.checked_add(size as usize)?)?;
            }
            if size > 0 && self.whole(at, 2)? == u64::from(tag) {
                return Some(Entry { kind, at: data });
            }
        }
        None
    }

    /// Where the directory's entries begin; `None` for the first that is not in the file.
    fn entries(&self) -> Option<impl Iterator<Item = Option<usize>>> {
        // (where the directory's offset is, the count's length, an entry's length)
        let (at, count, length) = if self.big_tiff { (8, 8, 20) } else { (4, 2, 12) };
        let start = usize::try_from(self.whole(at, self.word())?).ok()?;
        let (entries, first) = (self.whole(start, count)?, start.checked_add(count)?);
        Some((0..entries).map(move |i| {
            let at = usize::try_from(i).ok()?.checked_mul(length)?.checked_add(first)?;
            self.bytes.get(at..at.checked_add(length)?).map(|_| at)
        }))
    }

    /// Bytes of an offset.
    fn word(&self) -> usize {
        if self.big_tiff { 8 } else { 4 }
    }

    /// Whether one of `tags` stands twice in the directory: one of the entries is damaged.
    pub(super) fn repeats(&self, tags: &[u16]) -> bool {
        let mut seen = BTreeSet::new();
        let found = self.entries().into_iter().flatten().map_while(|at| self.whole(at?, 2));
        found.filter(|&tag| tags.iter().any(|&known| u64::from(known) == tag)).any(|tag| !seen.insert(tag))
    }

    /// Whether the first value of `tag` is one of `values`.
    pub(super) fn is(&self, tag: u16, values: &[u16]) -> bool {
        let value = self.find(tag).and_then(|entry| self.number(&entry));
        value.is_some_and(|found| values.iter().any(|&known| f64::from(known) == found))
    }

    /// An entry's first value, if its type is numeric; Pillow does not count bytes, text and undefined data.
    pub(super) fn number(&self, entry: &Entry) -> Option<f64> {
        let at = entry.at;
        let signed = |v: u64, bits: u32| ((v << (64 - bits)) as i64 >> (64 - bits)) as f64;
        let ratio = |a: f64, b: f64| if b == 0.0 { f64::NAN } else { a / b };
        Some(match entry.kind {
            3 => self.whole(at, 2)? as f64,
            4 | 13 => self.whole(at, 4)? as f64,
            16 => self.whole(at, 8)? as f64,
            6 => signed(self.whole(at, 1)?, 8),
            8 => signed(self.whole(at, 2)?, 16),
            9 => signed(self.whole(at, 4)?, 32),
            5 => ratio(self.whole(at, 4)? as f64, self.whole(at + 4, 4)? as f64),
            10 => ratio(signed(self.whole(at, 4)?, 32), signed(self.whole(at + 4, 4)?, 32)),
            11 => f64::from(f32::from_bits(self.whole(at, 4)? as u32)),
            12 => f64::from_bits(self.whole(at, 8)?),
            _ => return None,
        })
    }

    /// `value` as the bytes of a 16-bit number.
    pub(super) fn encode_u16(&self, value: u16) -> [u8; 2] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    /// The whole number of `length` bytes at `at`.
    fn whole(&self, at: usize, length: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(length)?)?;
        let push = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
        Some(if self.big_endian { bytes.iter().fold(0, push) } else { bytes.iter().rev().fold(0, push) })
    }
}

/// Bytes of one value of a TIFF type; none for a type that doesn't exist.
fn size_of(kind: u64) -> Option<u64> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 => 8,
        _ => return None,
    })
}
