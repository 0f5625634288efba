//! PBM, PGM and PPM, plain and raw, of any maximum.

use super::decoded::{Decoded, check_size};
use crate::data::Rgb8;

/// The parts of a header.
struct Header {
    plain: bool,
    bitmap: bool,
    channels: usize,
    width: u32,
    height: u32,
    max: u32,
}

/// Decodes a file that begins with `P1` to `P6`. Data after the first picture are ignored.
pub(super) fn decode(bytes: &[u8]) -> Decoded {
    let mut reader = Reader { bytes, at: 2 };
    let header = header(&mut reader, bytes[1])?;
    check_size(header.width, header.height)?;
    let count = header.width as usize * header.height as usize * header.channels;
    // Each sample takes a bit or more, so a file of no such length is refused before its picture is allocated.
    let least = if header.bitmap && !header.plain { count / 8 } else { count };
    if reader.bytes.len() - reader.at < least {
        return Err(TRUNCATED.into());
    }
    let samples = match (header.plain, header.bitmap) {
        (true, true) => reader.digits(count),
        (true, false) => reader.numbers(count, header.max),
        (false, true) => reader.bits(header.width as usize, header.height as usize),
        (false, false) => reader.binary(count, header.max),
    }?;
    let pixels = if header.channels == 3 { samples } else { samples.iter().flat_map(|&v| [v; 3]).collect() };
    Ok(Rgb8 { width: header.width, height: header.height, pixels })
}

const TRUNCATED: &str = "is a truncated PNM image; copy or download it again";

fn corrupt(what: &str) -> String {
    format!("is a corrupt PNM image ({what}); copy or download it again")
}

fn header(reader: &mut Reader, kind: u8) -> Result<Header, String> {
    let plain = kind <= b'3';
    let bitmap = matches!(kind, b'1' | b'4');
    let channels = if matches!(kind, b'3' | b'6') { 3 } else { 1 };
    let (width, height) = (reader.number()?, reader.number()?);
    let max = if bitmap { 1 } else { reader.number()? };
    if !(1..=65535).contains(&max) {
        return Err(corrupt(&format!("its largest value is {max}")));
    }
    // One white space ends the header of a raw file.
    match reader.bytes.get(reader.at) {
        Some(byte) if byte.is_ascii_whitespace() || *byte == 0x0b => reader.at += 1,
        Some(_) => return Err(corrupt("its header has no end")),
        None => return Err(TRUNCATED.into()),
    }
    Ok(Header { plain, bitmap, channels, width, height, max })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// Skips white space and comments.
    fn skip(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            if byte == b'#' {
                self.comment();
            } else if byte.is_ascii_whitespace() || byte == 0x0b {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    /// Skips a comment up to the end of its line.
    fn comment(&mut self) {
        while self.bytes.get(self.at).is_some_and(|b| !matches!(b, b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The next number in digits, which a comment and the end of its line may interrupt.
    fn number(&mut self) -> Result<u32, String> {
        self.skip();
        let start = self.at;
        let mut value = 0u32;
        while let Some(digit) = self.bytes.get(self.at).filter(|b| b.is_ascii_digit() || **b == b'#') {
            if *digit == b'#' {
                self.comment();
                self.at += 1;
                continue;
            }
            let more = value.checked_mul(10).and_then(|v| v.checked_add(u32::from(digit - b'0')));
            value = more.ok_or_else(|| corrupt("a number is too large"))?;
            self.at += 1;
        }
        match (self.at - start, self.at < self.bytes.len()) {
            (0, false) => Err(TRUNCATED.into()),
            (0, true) => Err(corrupt("something is not a number")),
            _ => Ok(value),
        }
    }

    /// Samples in digits.
    fn numbers(&mut self, count: usize, max: u32) -> Result<Vec<u8>, String> {
        let mut samples = Vec::with_capacity(count);
        for _ in 0..count {
            let value = self.number()?;
            if value > max {
                return Err(corrupt(&format!("a sample is {value}, the largest should be {max}")));
            }
            samples.push(scale(value, max));
        }
        Ok(samples)
    }

    /// A bitmap of the digits 0 and 1, with or without spaces between them; 1 is black.
    fn digits(&mut self, count: usize) -> Result<Vec<u8>, String> {
        let mut samples = Vec::with_capacity(count);
        for _ in 0..count {
            self.skip();
            samples.push(match self.bytes.get(self.at) {
                Some(b'0') => 255,
                Some(b'1') => 0,
                Some(_) => return Err(corrupt("a bit is neither 0 nor 1")),
                None => return Err(TRUNCATED.into()),
            });
            self.at += 1;
        }
        Ok(samples)
    }

    /// A bitmap of packed bits, each row from a new byte; 1 is black.
    fn bits(&self, width: usize, height: usize) -> Result<Vec<u8>, String> {
        let row = width.div_ceil(8);
        let data = self.bytes.get(self.at..self.at + row * height).ok_or(TRUNCATED)?;
        let bit = |row: &[u8], x: usize| if row[x / 8] >> (7 - x % 8) & 1 == 1 { 0 } else { 255 };
        Ok(data.chunks_exact(row).flat_map(|row| (0..width).map(move |x| bit(row, x))).collect())
    }

    /// Samples of one byte, or of two if `max` takes them, the high byte first.
    fn binary(&self, count: usize, max: u32) -> Result<Vec<u8>, String> {
        let bytes = if max < 256 { 1 } else { 2 };
        let data = self.bytes.get(self.at..self.at + count * bytes).ok_or(TRUNCATED)?;
        Ok(match (bytes, max) {
            (1, 255) => data.to_vec(),
            (1, _) => data.iter().map(|&v| scale(v.into(), max)).collect(),
            _ => data.chunks_exact(2).map(|v| scale(u16::from_be_bytes([v[0], v[1]]).into(), max)).collect(),
        })
    }
}

/// 0 to 255 of 0 to `max`, rounded as Python rounds; values above `max` are clipped.
fn scale(value: u32, max: u32) -> u8 {
    (f64::from(value) / f64::from(max) * 255.0).round_ties_even().min(255.0) as u8
}
