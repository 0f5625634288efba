//! Thrift's compact protocol, in which Parquet files are described
//! (<https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>). No length that a file declares allocates anything,
//! and a field is read only if it was declared as what it must be.

use super::problem::{Result, broken};

/// How many structures and lists may stand in one another where they are skipped.
const MAX_DEPTH: usize = 32;

/// What a field holds, by its number in the protocol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kind(u8);

impl Kind {
    pub const I8: Self = Self(3);
    pub const I16: Self = Self(4);
    pub const I32: Self = Self(5);
    pub const I64: Self = Self(6);
    pub const BINARY: Self = Self(8);
    pub const LIST: Self = Self(9);
    pub const STRUCT: Self = Self(12);
}

/// Bytes that are still to be read.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.0.len()
    }

    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(|| broken("a part ends early"))?;
        self.0 = rest;
        Ok(bytes)
    }

    pub fn byte(&mut self) -> Result<u8> {
        Ok(self.bytes(1)?[0])
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or_else(|| broken("a part ends early"))?;
        self.0 = rest;
        Ok(*bytes)
    }

    /// The bytes behind a length of four bytes.
    pub fn counted(&mut self) -> Result<&'a [u8]> {
        let length = u32::from_le_bytes(self.array()?);
        self.bytes(length as usize)
    }

    /// A whole number in groups of seven bits, the lowest first.
    pub fn varint(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(broken("a number is too long"))
    }

    /// A whole number whose sign is its lowest bit.
    pub fn zigzag(&mut self) -> Result<i64> {
        let number = self.varint()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// Hands `each` the number and the kind of every field of a structure; it must read or [`skip`](Self::skip) the field.
    pub fn fields(&mut self, mut each: impl FnMut(&mut Self, i64, Kind) -> Result<()>) -> Result<()> {
        let mut number = 0;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            number = match i64::from(head >> 4) {
                0 => self.zigzag()?,
                more => number + more,
            };
            if i16::try_from(number).is_err() {
                return Err(broken(format!("a field has the number {number}")));
            }
            each(self, number, Kind(head & 15))?;
        }
    }

    pub fn int(&mut self, kind: Kind) -> Result<i64> {
        match kind {
            Kind::I8 => Ok(i64::from(self.byte()? as i8)),
            Kind::I16 | Kind::I32 | Kind::I64 => self.zigzag(),
            _ => Err(broken("a field is no whole number")),
        }
    }

    /// A number of bytes, values or the like.
    pub fn count(&mut self, kind: Kind) -> Result<usize> {
        let number = self.int(kind)?;
        usize::try_from(number).map_err(|_| broken(format!("there are {number} of something")))
    }

    /// Whether a field is true, which its kind says.
    pub fn is_true(&self, kind: Kind) -> Result<bool> {
        match kind.0 {
            1 => Ok(true),
            2 => Ok(false),
            _ => Err(broken("a field is neither true nor false")),
        }
    }

    pub fn binary(&mut self, kind: Kind) -> Result<&'a [u8]> {
        match kind {
            Kind::BINARY => {
                let length = self.varint()?;
                self.bytes(usize::try_from(length).unwrap_or(usize::MAX))
            }
            _ => Err(broken("a field is no text")),
        }
    }

    pub fn text(&mut self, kind: Kind) -> Result<&'a str> {
        std::str::from_utf8(self.binary(kind)?).map_err(|_| broken("a text is not UTF-8"))
    }

    /// How many structures follow as a list.
    pub fn structures(&mut self, kind: Kind) -> Result<usize> {
        match (kind, self.list()?) {
            (_, (0, _)) => Ok(0),
            (Kind::LIST, (length, Kind::STRUCT)) => Ok(length),
            _ => Err(broken("a field is no list of structures")),
        }
    }

    /// Length and kind of a list. Every element has a byte at least.
    fn list(&mut self) -> Result<(usize, Kind)> {
        let head = self.byte()?;
        let length = match head >> 4 {
            15 => self.varint()?,
            length => u64::from(length),
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > self.left() {
            return Err(broken("a list ends early"));
        }
        Ok((length, Kind(head & 15)))
    }

    /// Passes over a field.
    pub fn skip(&mut self, kind: Kind) -> Result<()> {
        // A field that is true or false has no bytes of its own.
        if !matches!(kind.0, 1 | 2) { self.skip_element(kind, MAX_DEPTH) } else { Ok(()) }
    }

    fn skip_element(&mut self, kind: Kind, depth: usize) -> Result<()> {
        let depth = depth.checked_sub(1).ok_or_else(|| broken("structures stand too deep in one another"))?;
        match kind.0 {
            1..=3 => self.bytes(1).map(|_| ()),
            4..=6 => self.varint().map(|_| ()),
            7 => self.bytes(8).map(|_| ()),
            8 => self.binary(kind).map(|_| ()),
            9 | 10 => {
                let (length, of) = self.list()?;
                (0..length).try_for_each(|_| self.skip_element(of, depth))
            }
            11 => {
                let length = self.varint()?;
                if length == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                // What is not there ends it.
                (0..length).try_for_each(|_| {
                    self.skip_element(Kind(kinds >> 4), depth)?;
                    self.skip_element(Kind(kinds & 15), depth)
                })
            }
            12 => self.fields(|input, _, kind| match kind.0 {
                1 | 2 => Ok(()),
                _ => input.skip_element(kind, depth),
            }),
            13 => self.bytes(16).map(|_| ()),
            _ => Err(broken("a field is of no known kind")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of the fields of a structure that are whole numbers, and these; all others are skipped.
    fn ints(bytes: &[u8]) -> Result<Vec<(i64, i64)>> {
        let (mut input, mut found) = (Input::new(bytes), Vec::new());
        input.fields(|input, number, kind| {
            match kind {
                Kind::I32 => found.push((number, input.int(kind)?)),
                _ => input.skip(kind)?,
            }
            Ok(())
        })?;
        assert_eq!(input.left(), 0);
        Ok(found)
    }

    #[test]
    fn fields_of_every_kind_are_passed_over() {
        // 1 true, 2 i8, 3 i32 -1, 4 double, 5 binary, 6 a list of two true or false, 7 a map of i32 to i32, 8 a structure with a false, 9 an
        // empty map, 10 a UUID, and 300 by its whole number: i32 5.
        let bytes = [
            &[0x11, 0x13, 9, 0x15, 1, 0x17, 0, 0, 0, 0, 0, 0, 0, 0, 0x18, 2, b'a', b'b', 0x19, 0x21, 1, 2][..],
            &[0x1b, 1, 0x55, 2, 4, 0x1c, 0x12, 0, 0x1b, 0, 0x1d],
            &[0; 16],
            &[0x05, 0xd8, 0x04, 0x0a, 0],
        ]
        .concat();
        assert_eq!(ints(&bytes).unwrap(), [(3, -1), (300, 5)]);
        for cut in 0..bytes.len() {
            assert!(ints(&bytes[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn what_declares_more_than_there_is_ends_at_once() {
        // A list of 2^31 structures, a map of 2^63 pairs of booleans, a text of 2^63 bytes.
        for bytes in [
            &[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0][..],
            &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x11, 0, 0],
            &[0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0],
        ] {
            assert!(ints(bytes).is_err());
        }
        // A field of the greatest number, and the one behind it.
        let last =
            [&[0x05][..], &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], &[2, 0x15, 2, 0]].concat();
        assert!(ints(&last).is_err());
        let deep = |depth: usize| [vec![0x1c; depth], vec![0; depth + 1]].concat();
        assert!(ints(&deep(31)).unwrap().is_empty());
        let error = format!("{:?}", ints(&deep(100_000)).unwrap_err());
        assert!(error.contains("too deep"), "{error}");
    }
}
