//! Small numbers in runs of equal ones and in groups of eight, as levels and places in a dictionary are written
//! (<https://parquet.apache.org/docs/file-format/data-pages/encodings/>, "RLE / bit-packing hybrid").

use super::problem::{Result, broken};
use super::thrift::Input;

pub struct Runs<'a> {
    input: Input<'a>,
    /// Bits of a number.
    bits: usize,
    /// How often `value` is still to come.
    run: u64,
    value: u32,
    /// Groups of eight numbers, and how many bits of them were read.
    groups: &'a [u8],
    at: usize,
}

impl<'a> Runs<'a> {
    /// Numbers of so many bits.
    pub fn new(bytes: &'a [u8], bits: u8) -> Result<Self> {
        match bits {
            0..=32 => Ok(Self { input: Input::new(bytes), bits: bits.into(), run: 0, value: 0, groups: &[], at: 0 }),
            _ => Err(broken(format!("numbers have {bits} bits"))),
        }
    }

    /// The rest of `input`, which begins with the bits of a number: places in a dictionary.
    pub fn places(input: &mut Input<'a>) -> Result<Self> {
        let bits = input.byte()?;
        Self::new(input.bytes(input.left())?, bits)
    }

    /// Levels of 0 to `most`; where that is 0 they are not written.
    pub fn levels(bytes: &'a [u8], most: u8) -> Result<Self> {
        let bits = u8::BITS - most.leading_zeros();
        let runs = Self::new(bytes, bits as u8)?;
        match (most, bytes.is_empty()) {
            (0, true) => Ok(Self { run: u64::MAX, ..runs }),
            (0, false) => Err(broken("there are levels where none can be")),
            _ => Ok(runs),
        }
    }

    pub fn next(&mut self) -> Result<u32> {
        loop {
            if self.run > 0 {
                self.run -= 1;
                return Ok(self.value);
            }
            if self.at < 8 * self.groups.len() {
                return Ok(self.packed());
            }
            self.begin()?;
        }
    }

    /// The next number, and how often it stands there in a run: once at least, `most` times at most.
    pub fn next_run(&mut self, most: usize) -> Result<(u32, usize)> {
        let number = self.next()?;
        let more = self.run.min(most.saturating_sub(1) as u64);
        self.run -= more;
        Ok((number, 1 + more as usize))
    }

    /// Whether the next level is `most`, the highest.
    pub fn next_is(&mut self, most: u8) -> Result<bool> {
        let (level, most) = (self.next()?, u32::from(most));
        if level <= most {
            Ok(level == most)
        } else {
            Err(broken(format!("a level of {level}, where {most} is the most")))
        }
    }

    /// Passes over those of the next `most` levels that are `level`, up to the first that is not; how many they are.
    pub fn pass(&mut self, level: u8, most: usize) -> Result<usize> {
        let (level, mut passed) = (u32::from(level), 0);
        while passed < most {
            if self.run > 0 {
                if self.value != level {
                    break;
                }
                let count = self.run.min((most - passed) as u64);
                self.run -= count;
                passed += count as usize;
            } else if self.at < 8 * self.groups.len() {
                let at = self.at;
                if self.packed() != level {
                    self.at = at;
                    break;
                }
                passed += 1;
            } else if self.input.left() == 0 {
                break;
            } else {
                self.begin()?;
            }
        }
        Ok(passed)
    }

    /// Begins a run or some groups.
    fn begin(&mut self) -> Result<()> {
        let head = self.input.varint()?;
        let count = head >> 1;
        if count == 0 {
            return Err(broken("a run of no numbers"));
        }
        if head & 1 == 0 {
            let mut value = [0; 4];
            let bytes = self.bits.div_ceil(8);
            value[..bytes].copy_from_slice(self.input.bytes(bytes)?);
            (self.run, self.value) = (count, u32::from_le_bytes(value));
        } else if self.bits == 0 {
            (self.run, self.value) = (count.saturating_mul(8), 0);
        } else {
            let bytes = usize::try_from(count).ok().and_then(|count| count.checked_mul(self.bits));
            (self.groups, self.at) = (self.input.bytes(bytes.unwrap_or(usize::MAX))?, 0);
        }
        Ok(())
    }

    /// The next number of a group.
    fn packed(&mut self) -> u32 {
        let (from, shift) = (self.at / 8, self.at % 8);
        let mut word = [0; 8];
        let bytes = &self.groups[from..self.groups.len().min(from + 8)];
        word[..bytes.len()].copy_from_slice(bytes);
        self.at += self.bits;
        (u64::from_le_bytes(word) >> shift & ((1 << self.bits) - 1)) as u32
    }

    /// Whether all was read but for what fills up the last groups, of which DuckDB writes 32 at a time.
    pub fn is_at_end(&self) -> bool {
        let left = 8 * self.groups.len() - self.at;
        self.input.left() == 0 && left < 256 * self.bits.max(1) && (self.run == 0 || self.bits == 0)
    }

    /// Checks that levels end with those that were read: others would be of other values.
    pub fn check_end(&self) -> Result<()> {
        if self.is_at_end() { Ok(()) } else { Err(broken("a page has more levels than values")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(bytes: &[u8], bits: u8, count: usize) -> Result<(Vec<u32>, bool)> {
        let mut runs = Runs::new(bytes, bits)?;
        let numbers = (0..count).map(|_| runs.next()).collect::<Result<_>>()?;
        Ok((numbers, runs.is_at_end()))
    }

    #[test]
    fn runs_and_groups() {
        // The specification's example: 0 to 7 in three bits each.
        let eight = [0x03, 0b1000_1000, 0b1100_0110, 0b1111_1010];
        assert_eq!(numbers(&eight, 3, 8).unwrap(), ((0..8).collect(), true));
        // Five of them, and three to fill up; none of a group may be missing.
        assert_eq!(numbers(&eight, 3, 5).unwrap(), ((0..5).collect(), true));
        assert!(numbers(&eight[..3], 3, 5).is_err());
        assert!(numbers(&eight, 3, 9).is_err());
        // Three times 300 in nine bits, then a group.
        let bytes = [&[6, 0x2c, 1, 3][..], &[0xff; 9]].concat();
        assert_eq!(numbers(&bytes, 9, 4).unwrap(), (vec![300, 300, 300, 511], true));
        assert_eq!(numbers(&bytes, 9, 2).unwrap(), (vec![300, 300], false));
        // 256 numbers of which two count, and 264 of which nine are needed.
        assert_eq!(numbers(&[&[65][..], &[3; 32]].concat(), 1, 2).unwrap(), (vec![1, 1], true));
        let more = [&[67][..], &[3; 33]].concat();
        assert_eq!([8, 9].map(|count| numbers(&more, 1, count).unwrap().1), [false, true]);
        // Eight numbers without bits, and as many as they like.
        assert_eq!(numbers(&[3], 0, 1).unwrap(), (vec![0], true));
        assert_eq!(numbers(&[0xfe, 0xff, 0xff, 0xff, 0x0f], 0, 3).unwrap(), (vec![0; 3], true));
        assert!(numbers(&[0, 1, 6, 1], 1, 1).is_err());
        assert!(numbers(&[], 1, 1).is_err());
        assert!(Runs::new(&[], 33).is_err());
        assert_eq!(numbers(&[3, 1, 2, 3, 4], 4, 8).unwrap().0, [1, 0, 2, 0, 3, 0, 4, 0]);
        assert_eq!(numbers(&[3, 0xff, 0xff, 0xff, 0xff].repeat(8)[..33], 32, 8).unwrap().0.len(), 8);
    }

    #[test]
    fn runs_are_read_at_once() {
        // Three 300s, and a group that begins with 511 twice.
        let bytes = [&[6, 0x2c, 1, 3][..], &[0xff, 0xff, 0x03], &[0; 6]].concat();
        let mut runs = Runs::new(&bytes, 9).unwrap();
        let found = [2, 9, 9, 1, 9].map(|most| runs.next_run(most).unwrap());
        assert_eq!(found, [(300, 2), (300, 1), (511, 1), (511, 1), (0, 1)]);
    }

    #[test]
    fn equal_levels_are_passed_over_together() {
        // Three ones in a run, eight bits of which the first four are ones, and two zeros in a run.
        let mut runs = Runs::levels(&[6, 1, 3, 0b1000_1111, 4, 0], 1).unwrap();
        assert_eq!([2, 9, 9].map(|most| runs.pass(1, most).unwrap()), [2, 5, 0]);
        assert_eq!([9, 9].map(|most| runs.pass(0, most).unwrap()), [3, 0]);
        assert!(runs.next_is(1).unwrap());
        assert_eq!([9, 9].map(|most| runs.pass(0, most).unwrap()), [2, 0]);
        assert!(runs.next_is(1).is_err() && runs.is_at_end());
        assert_eq!(Runs::levels(&[], 0).unwrap().pass(0, 7).unwrap(), 7);
    }

    #[test]
    fn levels_have_as_many_bits_as_they_need() {
        let mut none = Runs::levels(&[], 0).unwrap();
        assert_eq!([none.next().unwrap(), none.next().unwrap()], [0, 0]);
        for (most, bits) in [(1, 1), (2, 2), (3, 2), (4, 3), (255, 8)] {
            assert_eq!(Runs::levels(&[], most).unwrap().bits, bits);
        }
    }
}
