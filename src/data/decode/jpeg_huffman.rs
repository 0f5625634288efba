//! Huffman codes of a JPEG, and the bits between two of its markers.

/// Bits of a code that one look-up resolves.
const FAST: u32 = 10;

/// One Huffman table.
pub(super) struct Table<'a> {
    /// For each start of `FAST` bits: the code's length, 0 if it is longer, and its symbol.
    fast: Box<[(u8, u8); 1 << FAST]>,
    /// For each length from 1 to 16: the first code, how many there are, and the place of the first symbol.
    lengths: [(u32, u32, u32); 16],
    symbols: &'a [u8],
}

impl<'a> Table<'a> {
    /// A table of 16 counts of codes, one for each length, and of as many symbols; none if there are too few, or too many codes.
    pub(super) fn new(counts: &[u8; 16], symbols: &'a [u8]) -> Option<Self> {
        let mut table = Table { fast: Box::new([(0, 0); 1 << FAST]), lengths: [(0, 0, 0); 16], symbols };
        let (mut code, mut place) = (0u32, 0u32);
        for (length, &count) in (1u32..).zip(counts) {
            let count = u32::from(count);
            if code + count > 1 << length {
                return None;
            }
            table.lengths[length as usize - 1] = (code, count, place);
            for i in 0..count {
                let symbol = *symbols.get((place + i) as usize)?;
                if length <= FAST {
                    let spread = FAST - length;
                    let starts = ((code + i) << spread) as usize..((code + i + 1) << spread) as usize;
                    table.fast.get_mut(starts)?.fill((length as u8, symbol));
                }
            }
            code = (code + count) << 1;
            place += count;
        }
        Some(table)
    }

    #[cold]
    fn slow(&self, bits: u64) -> Option<(u8, u8)> {
        let code = (bits >> 48) as u32;
        (FAST + 1..=16).find_map(|length| {
            let (first, count, place) = self.lengths[length as usize - 1];
            let i = (code >> (16 - length)).checked_sub(first).filter(|&i| i < count)?;
            Some((length as u8, *self.symbols.get((place + i) as usize)?))
        })
    }
}

/// Why a walk over entropy-coded data ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The data end before the picture does.
    Cut,
    /// Scans that refine the picture are missing.
    Unfinished,
    /// The data are invalid.
    Odd,
}

/// Reads bits of entropy-coded data, and zeros after their end.
pub(super) struct Bits {
    bytes: Vec<u8>,
    at: usize,
    end: usize,
}

impl Bits {
    /// Reads `data` up to a marker, in which each 0xff is followed by a stuffed zero, and may be preceded by fill bytes of 0xff.
    pub(super) fn new(data: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(data.len() + 8);
        let mut rest = data;
        while let Some(i) = rest.iter().position(|&b| b == 0xff) {
            bytes.extend(&rest[..i]);
            let fill = rest[i..].iter().take_while(|&&b| b == 0xff).count();
            let Some((0, behind)) = rest[i + fill..].split_first() else {
                rest = &[];
                break;
            };
            bytes.push(0xff);
            rest = behind;
        }
        bytes.extend(rest);
        let end = 8 * bytes.len();
        bytes.extend([0; 8]);
        Bits { bytes, at: 0, end }
    }

    /// The next 56 bits or more, from the highest down.
    #[inline(always)]
    fn peek(&self) -> u64 {
        let bytes = self.bytes.get(self.at / 8..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |&bytes| u64::from_be_bytes(bytes) << (self.at % 8))
    }

    pub(super) fn skip(&mut self, count: u32) -> Result<(), Stop> {
        self.at += count as usize;
        if self.at > self.end { Err(Stop::Cut) } else { Ok(()) }
    }

    /// The number that the next `count` bits make, at most 16.
    pub(super) fn number(&mut self, count: u32) -> Result<u32, Stop> {
        let number = (self.peek() >> 32 >> (32 - count)) as u32;
        self.skip(count)?;
        Ok(number)
    }

    pub(super) fn symbol(&mut self, table: &Table) -> Result<u32, Stop> {
        let (length, symbol) = self.code(table)?;
        self.skip(length)?;
        Ok(symbol)
    }

    /// The next symbol. Also skips its code and as many more bits as its lower four bits say. Reads zeros after the end, which
    /// [`Bits::skip`] detects later: a walk spends most of its time here.
    pub(super) fn coefficient(&mut self, table: &Table) -> Result<u32, Stop> {
        let (length, symbol) = self.code(table)?;
        self.at += (length + (symbol & 15)) as usize;
        Ok(symbol)
    }

    /// The next symbol, and the number that as many bits as its lower four bits say make behind it: those that begin with 0 are negative.
    /// Reads zeros after the end, as [`Bits::coefficient`] does.
    #[inline(always)]
    pub(super) fn value(&mut self, table: &Table) -> Result<(u32, i32), Stop> {
        let bits = self.peek();
        let (length, symbol) = self.code_of(bits, table)?;
        let size = symbol & 15;
        let number = (bits << length >> 1 >> (63 - size)) as i32;
        self.at += (length + size) as usize;
        let negative = number < 1 << size >> 1;
        Ok((symbol, if negative { number + 1 - (1 << size) } else { number }))
    }

    /// The length of the next code, and its symbol.
    #[inline(always)]
    fn code(&self, table: &Table) -> Result<(u32, u32), Stop> {
        self.code_of(self.peek(), table)
    }

    /// The same, where the next bits are known.
    #[inline(always)]
    fn code_of(&self, bits: u64, table: &Table) -> Result<(u32, u32), Stop> {
        let (length, symbol) = match table.fast[(bits >> (64 - FAST)) as usize] {
            (0, _) => match table.slow(bits) {
                Some(found) => found,
                // Zeros after the end need not be a code.
                None => return Err(if self.at + 16 > self.end { Stop::Cut } else { Stop::Odd }),
            },
            found => found,
        };
        Ok((length.into(), symbol.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_begins_with_0_is_negative() {
        // One code, 0, for a run of 2 before a number of 3 bits.
        let mut counts = [0; 16];
        counts[0] = 1;
        let table = Table::new(&counts, &[0x23]).expect("a table");
        let mut bits = Bits::new(&[0b0101_0010]);
        assert_eq!(bits.value(&table), Ok((0x23, 5)));
        assert_eq!(bits.value(&table), Ok((0x23, -5)));
        assert_eq!(bits.skip(0), Ok(()));
        assert!(bits.value(&table).is_ok());
        assert_eq!(bits.skip(0), Err(Stop::Cut));
    }

    #[test]
    fn codes_of_every_length_are_resolved() {
        // One code of each length: 0, 10, 110, …
        let symbols: Vec<u8> = (101..=116).collect();
        let table = Table::new(&[1; 16], &symbols).expect("a table");
        for length in 1..=16u32 {
            let code = (0xffffu32 << (17 - length)) as u16;
            let code = code.to_be_bytes();
            let stuffed: Vec<u8> = code.iter().flat_map(|&b| if b == 0xff { vec![b, 0] } else { vec![b] }).collect();
            let mut bits = Bits::new(&stuffed);
            assert_eq!(bits.symbol(&table), Ok(100 + length));
            assert_eq!(bits.at, length as usize);
            assert_eq!(bits.number(16 - length), Ok(0));
            assert_eq!(bits.symbol(&table), Err(Stop::Cut));
        }
        assert_eq!(Bits::new(&[0xff, 0, 0xff, 0, 0xff, 0]).symbol(&table), Err(Stop::Odd));
        assert!(Table::new(&[1; 16], &symbols[1..]).is_none());
        assert!(Table::new(&[3; 16], &[0; 48]).is_none());
    }
}
