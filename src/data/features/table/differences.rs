//! Whole numbers as their differences, as lengths of texts are written
//! (<https://parquet.apache.org/docs/file-format/data-pages/encodings/>, "Delta encoding").

use super::problem::{Result, broken};
use super::thrift::Input;

/// The longest block of numbers; writers make 128 or 256.
const MOST_IN_BLOCK: u64 = 1 << 16;

#[derive(Clone)]
pub struct Differences<'a> {
    /// Behind what was read.
    input: Input<'a>,
    /// The parts of a block, and the numbers of each.
    parts: usize,
    each: u64,
    /// Numbers that are still to come.
    left: u64,
    is_first: bool,
    last: i64,
    least: i64,
    /// Bits of a number in each part of the block that are still to come.
    widths: &'a [u8],
    /// The part that is being read, how many of its numbers are left, and how many bits of it were read.
    part: &'a [u8],
    bits: u8,
    in_part: u64,
    at: usize,
}

impl<'a> Differences<'a> {
    /// Passes over the numbers at `input`, to be read one by one.
    pub fn new(input: &mut Input<'a>) -> Result<Self> {
        let (block, parts, left) = (input.varint()?, input.varint()?, input.varint()?);
        if !(1..=MOST_IN_BLOCK).contains(&block) || parts == 0 || block % parts != 0 || (block / parts) % 8 != 0 {
            return Err(broken(format!("numbers are in blocks of {block} by {parts}")));
        }
        let last = input.zigzag()?;
        let all = Self {
            input: *input,
            parts: parts as usize,
            each: block / parts,
            left,
            is_first: true,
            last,
            least: 0,
            widths: &[],
            part: &[],
            bits: 0,
            in_part: 0,
            at: 0,
        };
        let (mut ahead, mut behind) = (all.clone(), left.saturating_sub(1));
        while behind > 0 {
            ahead.begin_block()?;
            // Behind the last number there are widths, and no bits.
            while behind > 0 && !ahead.widths.is_empty() {
                ahead.begin_part()?;
                behind = behind.saturating_sub(ahead.each);
            }
        }
        *input = ahead.input;
        Ok(all)
    }

    /// How many numbers are still to come.
    pub fn left(&self) -> u64 {
        self.left
    }

    fn begin_block(&mut self) -> Result<()> {
        self.least = self.input.zigzag()?;
        self.widths = self.input.bytes(self.parts)?;
        Ok(())
    }

    fn begin_part(&mut self) -> Result<()> {
        let (&bits, rest) = self.widths.split_first().ok_or_else(|| broken("a block without parts"))?;
        if bits > 64 {
            return Err(broken(format!("numbers have {bits} bits")));
        }
        self.part = self.input.bytes(usize::from(bits) * self.each as usize / 8)?;
        (self.widths, self.bits, self.in_part, self.at) = (rest, bits, self.each, 0);
        Ok(())
    }

    pub fn next(&mut self) -> Result<i64> {
        self.left = self.left.checked_sub(1).ok_or_else(|| broken("there are fewer numbers than values"))?;
        if std::mem::take(&mut self.is_first) {
            return Ok(self.last);
        }
        if self.in_part == 0 {
            if self.widths.is_empty() {
                self.begin_block()?;
            }
            self.begin_part()?;
        }
        self.in_part -= 1;
        let difference = self.packed();
        self.last = self.last.wrapping_add(self.least).wrapping_add(difference as i64);
        Ok(self.last)
    }

    /// The next number of a part. Those of [`Runs`](super::runs::Runs) are of 32 bits, for which half as wide a word is faster.
    fn packed(&mut self) -> u64 {
        let (from, shift) = (self.at / 8, self.at % 8);
        let mut word = [0; 16];
        let bytes = &self.part[from..self.part.len().min(from + 9)];
        word[..bytes.len()].copy_from_slice(bytes);
        self.at += usize::from(self.bits);
        (u128::from_le_bytes(word) >> shift & ((1 << self.bits) - 1)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(bytes: &[u8]) -> Result<(Vec<i64>, usize)> {
        let mut input = Input::new(bytes);
        let mut all = Differences::new(&mut input)?;
        let numbers = (0..all.left()).map(|_| all.next()).collect::<Result<_>>()?;
        assert!(all.next().is_err());
        Ok((numbers, input.left()))
    }

    #[test]
    fn the_examples_of_the_specification() {
        // 1 to 5: differences of 1 take no bits; a byte behind it stays.
        let equal = [&[0x80, 1, 4, 5, 2, 2][..], &[0, 0, 0, 0, 9]].concat();
        assert_eq!(numbers(&equal).unwrap(), (vec![1, 2, 3, 4, 5], 1));
        // 7, 5, 3, 1, 2, 3, 4, 5: the least difference is -2, the others are 0 or 3 more, in two bits.
        let bits = [0b1100_0000, 0b0011_1111, 0, 0, 0, 0, 0, 0];
        let some = [&[0x80, 1, 4, 8, 14, 3][..], &[2, 9, 9, 9], &bits].concat();
        assert_eq!(numbers(&some).unwrap(), (vec![7, 5, 3, 1, 2, 3, 4, 5], 0));
        for cut in 0..some.len() {
            assert!(numbers(&some[..cut]).is_err(), "{cut}");
        }
        assert_eq!(numbers(&[0x80, 1, 4, 0, 0]).unwrap(), (vec![], 0));
        assert_eq!(numbers(&[0x80, 1, 4, 1, 3]).unwrap(), (vec![-2], 0));
        // 64 bits from the second on: the least and the greatest number.
        let wide = [vec![0x80, 1, 4, 3, 0, 0, 64, 0, 0, 0], vec![0xff; 256]].concat();
        assert_eq!(numbers(&wide).unwrap(), (vec![0, -1, -2], 0));
    }

    #[test]
    fn blocks_that_no_writer_makes_are_refused() {
        for (block, parts) in [(0, 1), (128, 0), (128, 3), (64, 16), (127, 1)] {
            assert!(numbers(&[block, parts, 1, 0]).is_err(), "{block} by {parts}");
        }
        assert!(numbers(&[0x80, 0x80, 0x08, 1, 1, 0]).is_err());
        assert!(numbers(&[0x80, 1, 4, 2, 0, 0, 65, 0, 0, 0]).is_err());
    }
}
