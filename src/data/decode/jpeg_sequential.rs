//! Baseline and other sequential JPEGs, with the bits of libjpeg on every processor. One pass over the entropy-coded data decodes them and
//! finds whether a part of the picture is missing.

use super::jpeg_header::{Colors, Header, Scan};
use super::jpeg_huffman::{Bits, Stop, Table};
use super::jpeg_planes::{Plane, rgb};
use super::jpeg_scans::{Intervals, Part, parts};

/// From a coefficient's place in the file to its place in the block.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// The RGB pixels of a JPEG that has one or three components, from one scan of each.
///
/// # Errors
/// [`Stop::Cut`] if data are missing, and [`Stop::Odd`] for what only another decoder may read.
pub(super) fn decode(bytes: &[u8], header: &Header, colors: Colors) -> Result<Vec<u8>, Stop> {
    let frame = header.frame().map_err(|_| Stop::Odd)?;
    let mut planes = Plane::all(frame).ok_or(Stop::Odd)?;
    let mut scanned = vec![false; planes.len()];
    for scan in header.scans() {
        let (parts, mcus) = parts(frame, header, scan)?;
        let parts =
            parts.into_iter().zip(&scan.quantisers).map(|(part, &quantiser)| Decoded::new(part, header, quantiser));
        let mut parts = parts.collect::<Result<Vec<_>, Stop>>()?;
        for part in &parts {
            if std::mem::replace(&mut scanned[part.component], true) {
                return Err(Stop::Odd);
            }
        }
        all_blocks(bytes, scan, &mut parts, mcus, &mut planes)?;
    }
    if scanned.contains(&false) {
        return Err(Stop::Cut);
    }
    rgb(&planes, frame, colors).ok_or(Stop::Odd)
}

/// One component of a scan, and what its blocks are decoded with.
struct Decoded<'a> {
    component: usize,
    dc: Table<'a>,
    ac: Table<'a>,
    quantiser: [u16; 64],
    /// Its blocks in an MCU, across and down, and MCUs in a row.
    across: usize,
    down: usize,
    row: usize,
    /// The last DC coefficient.
    last: i16,
}

impl<'a> Decoded<'a> {
    fn new(part: Part<'a>, header: &Header, quantiser: Option<usize>) -> Result<Self, Stop> {
        let Part { component, dc: Some(dc), ac: Some(ac), across, down, row, .. } = part else { return Err(Stop::Odd) };
        let quantiser = quantiser.and_then(|place| header.quantiser(place)).ok_or(Stop::Odd)?;
        Ok(Decoded { component, dc, ac, quantiser, across, down, row, last: 0 })
    }

    /// Decodes the next block into `block`, dequantised; the places of its coefficients beside DC, combined by "or".
    #[inline(always)]
    fn block(&mut self, bits: &mut Bits, block: &mut [i32; 64]) -> Result<u8, Stop> {
        let (size, difference) = bits.value(&self.dc)?;
        if size > 15 {
            return Err(Stop::Odd);
        }
        self.last = self.last.wrapping_add(difference as i16);
        block[0] = i32::from(self.last) * i32::from(self.quantiser[0]);
        let mut k = 1;
        let mut places = 0;
        while k < 64 {
            let (symbol, value) = bits.value(&self.ac)?;
            let (run, size) = ((symbol >> 4) as usize, symbol & 15);
            if size == 0 {
                if run < 15 {
                    break;
                }
                k += 16;
                continue;
            }
            k += run;
            let place = *ZIGZAG.get(k).ok_or(Stop::Odd)?;
            block[usize::from(place)] = value * i32::from(self.quantiser[k]);
            places |= place;
            k += 1;
        }
        bits.skip(0)?;
        Ok(places)
    }
}

/// Decodes all MCUs of a scan into the planes.
fn all_blocks(bytes: &[u8], scan: &Scan, parts: &mut [Decoded], mcus: usize, planes: &mut [Plane]) -> Result<(), Stop> {
    let data = bytes.get(scan.start..scan.end).ok_or(Stop::Cut)?;
    let interval = if scan.restart_interval == 0 { mcus } else { scan.restart_interval.into() };
    let mut intervals = Intervals::of(data);
    let mut bits = Bits::new(&[]);
    for mcu in 0..mcus {
        if mcu % interval == 0 {
            bits = Bits::new(intervals.next()?);
            parts.iter_mut().for_each(|part| part.last = 0);
        }
        for part in &mut *parts {
            let (left, top) = (mcu % part.row * part.across, mcu / part.row * part.down);
            for i in 0..part.across * part.down {
                let mut block = [0; 64];
                let places = part.block(&mut bits, &mut block)?;
                planes[part.component].set(left + i % part.across, top + i / part.across, &block, places);
            }
        }
    }
    Ok(())
}
