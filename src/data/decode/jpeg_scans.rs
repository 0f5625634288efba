//! Whether a JPEG's scans hold the whole picture.
//!
//! If a file is truncated and closed by an end marker, decoders silently fill the missing data with zeros. `jpeg_sequential` and
//! `jpeg_progressive` find this out by themselves. For the other decoder this module counts the codes, without decoding coefficients or pixels.

use std::collections::BTreeSet;

use super::jpeg_header::{Frame, Header, Scan};
use super::jpeg_huffman::{Bits, Stop, Table};

/// libjpeg smooths blocks, and shows another picture than is stored, unless these are known exactly.
const LOW_FREQUENCIES: usize = 10;

/// For each component and coefficient: how many low bits are still to come.
pub(super) struct Missing(Vec<[u8; 64]>);

impl Missing {
    /// Before the first scan of a JPEG.
    pub(super) fn all(frame: &Frame) -> Self {
        Missing(vec![[u8::MAX; 64]; frame.components.len()])
    }

    /// A scan of the component begins. One of a progressive JPEG goes on where the last one of the same coefficients ended.
    pub(super) fn begin(&mut self, frame: &Frame, scan: &Scan, component: usize) -> Result<(), Stop> {
        let levels = &mut self.0[component];
        if !frame.progressive {
            levels.fill(0);
            return Ok(());
        }
        let range = usize::from(scan.first_coefficient)..usize::from(scan.last_coefficient) + 1;
        let before = if scan.high_bit == 0 { u8::MAX } else { scan.high_bit };
        let levels = levels.get_mut(range).filter(|levels| levels.iter().all(|level| *level == before));
        levels.ok_or(Stop::Odd)?.fill(scan.low_bit);
        Ok(())
    }

    /// After the last scan.
    pub(super) fn check(&self, frame: &Frame) -> Result<(), Stop> {
        match self.0.iter().all(|levels| levels[..LOW_FREQUENCIES].iter().all(|&bits| bits == 0)) {
            true => Ok(()),
            false if frame.progressive => Err(Stop::Unfinished),
            false => Err(Stop::Cut),
        }
    }
}

/// Refuses a JPEG of `bytes` if a part of its picture is missing, or can't be told from what its scans hold.
///
/// # Errors
/// See [`Stop`].
pub(super) fn check(bytes: &[u8], header: &Header) -> Result<(), Stop> {
    let Ok(frame) = header.frame() else { return Ok(()) };
    let names: BTreeSet<u8> = frame.components.iter().map(|c| c.id).collect();
    if names.len() < frame.components.len() {
        return Ok(());
    }
    let mut walk = Walk { frame, nonzero: vec![Vec::new(); frame.components.len()] };
    let mut missing = Missing::all(frame);
    for scan in header.scans() {
        walk.scan(bytes, header, scan, &mut missing)?;
    }
    missing.check(frame)
}

/// One component in a scan.
pub(super) struct Part<'a> {
    /// Its place in the frame.
    pub component: usize,
    /// Its blocks in an MCU, across and down.
    pub across: usize,
    pub down: usize,
    /// MCUs in a row.
    pub row: usize,
    pub dc: Option<Table<'a>>,
    pub ac: Option<Table<'a>>,
}

struct Walk<'a> {
    frame: &'a Frame,
    /// For each component's blocks, which coefficients are known not to be 0, if a scan has needed it.
    nonzero: Vec<Vec<u64>>,
}

impl Walk<'_> {
    /// Walks over all MCUs of one scan.
    fn scan(&mut self, bytes: &[u8], header: &Header, scan: &Scan, missing: &mut Missing) -> Result<(), Stop> {
        let (parts, mcus) = parts(self.frame, header, scan)?;
        parts.iter().try_for_each(|part| missing.begin(self.frame, scan, part.component))?;
        let spectral = self.frame.progressive && scan.first_coefficient > 0;
        if spectral {
            let nonzero = &mut self.nonzero[parts[0].component];
            nonzero.resize(mcus, 0);
        }
        let data = bytes.get(scan.start..scan.end).ok_or(Stop::Cut)?;
        let interval = if scan.restart_interval == 0 { mcus } else { scan.restart_interval.into() };
        let mut intervals = Intervals::of(data);
        let mut done = 0;
        while done < mcus {
            let count = interval.min(mcus - done);
            let mut bits = Bits::new(intervals.next()?);
            match (self.frame.progressive, spectral) {
                (false, _) => sequential(&mut bits, &parts, count)?,
                (true, false) => dc(&mut bits, &parts, count, scan.high_bit)?,
                (true, true) => {
                    let masks = &mut self.nonzero[parts[0].component][done..done + count];
                    let table = parts[0].ac.as_ref().ok_or(Stop::Odd)?;
                    let range = (u32::from(scan.first_coefficient), u32::from(scan.last_coefficient));
                    match scan.high_bit {
                        0 => ac_first(&mut bits, table, masks, range)?,
                        _ => ac_refine(&mut bits, table, masks, range)?,
                    }
                }
            }
            done += count;
        }
        Ok(())
    }
}

/// The components of a scan, and the number of its MCUs.
pub(super) fn parts<'a>(frame: &Frame, header: &Header<'a>, scan: &Scan) -> Result<(Vec<Part<'a>>, usize), Stop> {
    let (horizontal, vertical) = frame.most();
    let (width, height) = (usize::from(frame.width), usize::from(frame.height));
    let (mut row, mut rows) = (width.div_ceil(8 * horizontal), height.div_ceil(8 * vertical));
    let mut parts = Vec::new();
    for (id, tables) in scan.components.iter().zip(&scan.tables) {
        let component = frame.components.iter().position(|c| c.id == *id).ok_or(Stop::Odd)?;
        let (across, down) =
            (frame.components[component].horizontal.into(), frame.components[component].vertical.into());
        let [dc, ac] = tables.map(|table| header.table(table?));
        parts.push(Part { component, across, down, row, dc, ac });
    }
    let spectral = scan.first_coefficient > 0 && frame.progressive;
    let range = if spectral { scan.first_coefficient..=63 } else { 0..=0 };
    let bits = scan.low_bit <= 13 && (scan.high_bit == 0 || scan.low_bit + 1 == scan.high_bit);
    let valid = range.contains(&scan.last_coefficient) && bits;
    if parts.is_empty() || frame.progressive && !valid || spectral && parts.len() > 1 {
        return Err(Stop::Odd);
    }
    // A component on its own has no padding to whole MCUs.
    if let [only] = &mut parts[..] {
        row = (width * only.across).div_ceil(horizontal).div_ceil(8);
        rows = (height * only.down).div_ceil(vertical).div_ceil(8);
        (only.across, only.down, only.row) = (1, 1, row);
    }
    Ok((parts, row * rows))
}

/// The data between restart markers, which are numbered from 0 to 7, again and again.
pub(super) struct Intervals<'a> {
    /// What follows the last marker, and its number; none after the last interval.
    rest: Option<(&'a [u8], u8)>,
    /// The marker's number if none is missing.
    expected: u8,
}

impl<'a> Intervals<'a> {
    pub(super) fn of(data: &'a [u8]) -> Self {
        Intervals { rest: Some((data, 7)), expected: 7 }
    }

    /// The next interval.
    pub(super) fn next(&mut self) -> Result<&'a [u8], Stop> {
        let (data, number) = self.rest.take().ok_or(Stop::Cut)?;
        if number != self.expected {
            return Err(Stop::Odd);
        }
        self.expected = (number + 1) % 8;
        let mut at = 0;
        while let Some(i) = data[at..].iter().position(|&b| b == 0xff) {
            at += i;
            match data.get(at + 1) {
                Some(marker @ 0xd0..=0xd7) => {
                    self.rest = Some((&data[at + 2..], marker - 0xd0));
                    return Ok(&data[..at]);
                }
                // 0xff before a marker is a fill byte, before anything else it is data.
                Some(0xff) => at += 1,
                Some(_) => at += 2,
                None => break,
            }
        }
        Ok(data)
    }
}

fn sequential(bits: &mut Bits, parts: &[Part], mcus: usize) -> Result<(), Stop> {
    let tables = |part| match part {
        &Part { dc: Some(ref dc), ac: Some(ref ac), across, down, .. } => Ok((dc, ac, across * down)),
        _ => Err(Stop::Odd),
    };
    let parts = parts.iter().map(tables).collect::<Result<Vec<_>, Stop>>()?;
    for _ in 0..mcus {
        for &(dc, ac, blocks) in &parts {
            for _ in 0..blocks {
                let size = bits.symbol(dc)?;
                if size > 15 {
                    return Err(Stop::Odd);
                }
                bits.skip(size)?;
                let mut k = 1;
                while k < 64 {
                    let symbol = bits.coefficient(ac)?;
                    let (run, size) = (symbol >> 4, symbol & 15);
                    if size == 0 && run < 15 {
                        break;
                    }
                    k += run;
                    if size > 0 && k > 63 {
                        return Err(Stop::Odd);
                    }
                    k += 1;
                }
                bits.skip(0)?;
            }
        }
    }
    Ok(())
}

/// DC coefficients of a progressive JPEG: the first scan of them, or one more bit of each.
fn dc(bits: &mut Bits, parts: &[Part], mcus: usize, high_bit: u8) -> Result<(), Stop> {
    for _ in 0..mcus {
        for part in parts {
            for _ in 0..part.across * part.down {
                let size = match high_bit {
                    0 => bits.symbol(part.dc.as_ref().ok_or(Stop::Odd)?)?,
                    _ => 1,
                };
                bits.skip(size)?;
            }
        }
    }
    Ok(())
}

/// The length of a run of blocks without further coefficients, this one included.
fn end_of_blocks(bits: &mut Bits, run: u32) -> Result<u32, Stop> {
    Ok((1 << run) + bits.number(run)?)
}

/// The first scan of AC coefficients, `first` to `last`, of the blocks that `masks` are of.
fn ac_first(bits: &mut Bits, table: &Table, masks: &mut [u64], (first, last): (u32, u32)) -> Result<(), Stop> {
    let mut i = 0;
    while i < masks.len() {
        let mut k = first;
        let mut finished = 1;
        while k <= last {
            let symbol = bits.symbol(table)?;
            let (run, size) = (symbol >> 4, symbol & 15);
            if size == 0 && run < 15 {
                finished = end_of_blocks(bits, run)?;
                break;
            }
            k += run;
            if size > 0 {
                if k > last {
                    return Err(Stop::Odd);
                }
                masks[i] |= 1 << k;
                bits.skip(size)?;
            }
            k += 1;
        }
        i += finished as usize;
    }
    Ok(())
}

/// One more bit of AC coefficients that are not 0 already, and new ones.
fn ac_refine(bits: &mut Bits, table: &Table, masks: &mut [u64], (first, last): (u32, u32)) -> Result<(), Stop> {
    let mut skipped = 0;
    for mask in masks {
        let mut k = first;
        while skipped == 0 && k <= last {
            let symbol = bits.symbol(table)?;
            let (mut run, size) = (symbol >> 4, symbol & 15);
            if size == 0 && run < 15 {
                skipped = end_of_blocks(bits, run)?;
                break;
            }
            if size > 1 {
                return Err(Stop::Odd);
            }
            bits.skip(size)?;
            while k <= last {
                if *mask >> k & 1 == 1 {
                    bits.skip(1)?;
                } else if run == 0 {
                    break;
                } else {
                    run -= 1;
                }
                k += 1;
            }
            if size > 0 {
                if k > last {
                    return Err(Stop::Odd);
                }
                *mask |= 1 << k;
            }
            k += 1;
        }
        if skipped > 0 {
            // Bits of the coefficients from `k` to `last`.
            let behind = if k > last { 0 } else { *mask >> k << k & u64::MAX >> (63 - last) };
            bits.skip(behind.count_ones())?;
            skipped -= 1;
        }
    }
    Ok(())
}
