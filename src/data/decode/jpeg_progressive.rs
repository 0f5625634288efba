//! Progressive JPEGs, with the bits of libjpeg on every processor. Scans set bits of coefficients (`jdphuff.c`), which are kept until the end.

use super::jpeg_header::{Colors, Header, Scan};
use super::jpeg_huffman::{Bits, Stop};
use super::jpeg_planes::{Plane, rgb};
use super::jpeg_scans::{Intervals, Missing, Part, parts};
use super::jpeg_sequential::ZIGZAG;

/// The coefficients of a component: those of each block row by row, and its quantisation table in the same order.
struct Coefficients {
    blocks: Vec<[i16; 64]>,
    /// Blocks in a row.
    row: usize,
    quantiser: Option<[u16; 64]>,
}

/// The RGB pixels of a JPEG that has one or three components.
///
/// # Errors
/// [`Stop::Cut`] and [`Stop::Unfinished`] if data are missing, and [`Stop::Odd`] for what only another decoder may read.
pub(super) fn decode(bytes: &[u8], header: &Header, colors: Colors) -> Result<Vec<u8>, Stop> {
    let frame = header.frame().map_err(|_| Stop::Odd)?;
    let mut planes = Plane::all(frame).ok_or(Stop::Odd)?;
    let zeros = |plane: &Plane| {
        let (row, rows) = plane.blocks();
        Coefficients { blocks: vec![[0; 64]; row * rows], row, quantiser: None }
    };
    let mut all: Vec<_> = planes.iter().map(zeros).collect();
    let mut missing = Missing::all(frame);
    for scan in header.scans() {
        let (parts, mcus) = parts(frame, header, scan)?;
        for (part, place) in parts.iter().zip(&scan.quantisers) {
            let quantiser = &mut all[part.component].quantiser;
            *quantiser = quantiser.or_else(|| place.and_then(|place| header.quantiser(place)));
        }
        parts.iter().try_for_each(|part| missing.begin(frame, scan, part.component))?;
        one_scan(bytes, scan, &parts, mcus, &mut all)?;
    }
    missing.check(frame)?;
    for (plane, coefficients) in planes.iter_mut().zip(all) {
        let quantiser = coefficients.quantiser.ok_or(Stop::Odd)?;
        let mut factors = [0; 64];
        ZIGZAG.iter().zip(quantiser).for_each(|(&place, factor)| factors[usize::from(place)] = i32::from(factor));
        for (i, block) in coefficients.blocks.iter().enumerate() {
            let mut values = [0; 64];
            let mut places = 0;
            for (place, (value, (&coefficient, factor))) in
                (0..64).zip(values.iter_mut().zip(block.iter().zip(factors)))
            {
                *value = i32::from(coefficient) * factor;
                places |= if coefficient == 0 { 0 } else { place };
            }
            plane.set(i % coefficients.row, i / coefficients.row, &values, places);
        }
    }
    rgb(&planes, frame, colors).ok_or(Stop::Odd)
}

/// What a scan does to blocks.
struct Pass {
    /// The coefficients that it is of, by their places in the file.
    first: usize,
    last: usize,
    /// The lowest bit that is known after it, and whether it is the first scan of these coefficients.
    low: u8,
    new: bool,
    /// Blocks that have no further coefficients in the scan.
    finished: u32,
}

fn one_scan(bytes: &[u8], scan: &Scan, parts: &[Part], mcus: usize, all: &mut [Coefficients]) -> Result<(), Stop> {
    let mut pass = Pass {
        first: scan.first_coefficient.into(),
        last: scan.last_coefficient.into(),
        low: scan.low_bit,
        new: scan.high_bit == 0,
        finished: 0,
    };
    let data = bytes.get(scan.start..scan.end).ok_or(Stop::Cut)?;
    let interval = if scan.restart_interval == 0 { mcus } else { scan.restart_interval.into() };
    let mut intervals = Intervals::of(data);
    let mut bits = Bits::new(&[]);
    let mut last = [0i16; 4];
    for mcu in 0..mcus {
        if mcu % interval == 0 {
            bits = Bits::new(intervals.next()?);
            (last, pass.finished) = ([0; 4], 0);
        }
        for (part, last) in parts.iter().zip(&mut last) {
            let coefficients = &mut all[part.component];
            let (left, top) = (mcu % part.row * part.across, mcu / part.row * part.down);
            for i in 0..part.across * part.down {
                let (x, y) = (left + i % part.across, top + i / part.across);
                let block = &mut coefficients.blocks[y * coefficients.row + x];
                match (pass.first, pass.new) {
                    (0, true) => pass.dc(&mut bits, part, last, block)?,
                    (0, false) => block[0] |= (bits.number(1)? as i16) << pass.low,
                    (_, true) => pass.ac(&mut bits, part, block)?,
                    (_, false) => pass.refine(&mut bits, part, block)?,
                }
                bits.skip(0)?;
            }
        }
    }
    Ok(())
}

impl Pass {
    fn dc(&self, bits: &mut Bits, part: &Part, last: &mut i16, block: &mut [i16; 64]) -> Result<(), Stop> {
        let (size, difference) = bits.value(part.dc.as_ref().ok_or(Stop::Odd)?)?;
        if size > 15 {
            return Err(Stop::Odd);
        }
        *last = last.wrapping_add(difference as i16);
        block[0] = *last << self.low;
        Ok(())
    }

    fn ac(&mut self, bits: &mut Bits, part: &Part, block: &mut [i16; 64]) -> Result<(), Stop> {
        let table = part.ac.as_ref().ok_or(Stop::Odd)?;
        if self.finished > 0 {
            self.finished -= 1;
            return Ok(());
        }
        let mut k = self.first;
        while k <= self.last {
            let (symbol, value) = bits.value(table)?;
            let (run, size) = (symbol >> 4, symbol & 15);
            if size == 0 && run < 15 {
                self.finished = (1 << run) - 1 + bits.number(run)?;
                break;
            }
            k += run as usize;
            if size > 0 {
                if k > self.last {
                    return Err(Stop::Odd);
                }
                block[usize::from(ZIGZAG[k])] = (value as i16) << self.low;
            }
            k += 1;
        }
        Ok(())
    }

    /// One more bit of the coefficients that are not 0 already, and new ones.
    fn refine(&mut self, bits: &mut Bits, part: &Part, block: &mut [i16; 64]) -> Result<(), Stop> {
        let table = part.ac.as_ref().ok_or(Stop::Odd)?;
        let mut k = self.first;
        while self.finished == 0 && k <= self.last {
            let symbol = bits.symbol(table)?;
            let (run, size) = (symbol >> 4, symbol & 15);
            if size == 0 && run < 15 {
                self.finished = (1 << run) + bits.number(run)?;
                break;
            }
            let bit = 1i16 << self.low;
            let new = match size {
                0 => 0,
                1 if bits.number(1)? == 1 => bit,
                1 => -bit,
                _ => return Err(Stop::Odd),
            };
            k = self.more(bits, block, k, Some(run))?;
            if new != 0 {
                if k > self.last {
                    return Err(Stop::Odd);
                }
                block[usize::from(ZIGZAG[k])] = new;
            }
            k += 1;
        }
        if self.finished > 0 {
            self.more(bits, block, k, None)?;
            self.finished -= 1;
        }
        Ok(())
    }

    /// Reads a bit more of the coefficients from `k` on that are not 0, up to the one after `zeros` that are, whose place is returned.
    fn more(
        &self,
        bits: &mut Bits,
        block: &mut [i16; 64],
        mut k: usize,
        mut zeros: Option<u32>,
    ) -> Result<usize, Stop> {
        let bit = 1i16 << self.low;
        while k <= self.last {
            let coefficient = &mut block[usize::from(ZIGZAG[k])];
            if *coefficient != 0 {
                if bits.number(1)? == 1 && *coefficient & bit == 0 {
                    *coefficient = coefficient.wrapping_add(bit * coefficient.signum());
                }
            } else {
                match &mut zeros {
                    Some(0) => break,
                    Some(left) => *left -= 1,
                    None => {}
                }
            }
            k += 1;
        }
        Ok(k)
    }
}
