//! What a JPEG's markers say: its frame, its scans, its colours, its metadata, and whether its end is there.

use super::jpeg_huffman::Table;
use super::jpeg_standard;
use super::orientation::Metadata;

/// More scans than any encoder writes. Each may cover every pixel in a few bytes.
const MAX_SCANS: usize = 100;

/// How samples become colours, as libjpeg decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colors {
    Grey,
    YCbCr,
    Rgb,
    Cmyk,
    Ycck,
}

/// One component of a frame: its name, its sampling factors, and the number of its quantisation table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Component {
    pub id: u8,
    pub horizontal: u8,
    pub vertical: u8,
    pub quantiser: u8,
}

/// A frame of the baseline, extended or progressive process, Huffman-coded, of 8 bits a sample.
#[derive(Debug)]
pub(super) struct Frame {
    pub width: u16,
    pub height: u16,
    pub progressive: bool,
    pub components: Vec<Component>,
}

impl Frame {
    /// The largest sampling factors, across and down.
    pub(super) fn most(&self) -> (usize, usize) {
        let most = |of: fn(&Component) -> u8| usize::from(self.components.iter().map(of).max().unwrap_or(1));
        (most(|c| c.horizontal), most(|c| c.vertical))
    }

    /// True if libjpeg repeats chroma where `jpeg-decoder` blends it: it doesn't blend components of half the width that
    /// are at most two samples wide, neither along rows nor, where they have half the height too, along columns.
    pub(super) fn has_narrow_chroma(&self) -> bool {
        let most = |of: fn(&Component) -> u8| self.components.iter().map(of).max().unwrap_or(1);
        let (horizontal, vertical) = (most(|c| c.horizontal), most(|c| c.vertical));
        let samples =
            |length: u16, factor: u8, most: u8| (u32::from(length) * u32::from(factor)).div_ceil(u32::from(most));
        self.components.iter().filter(|c| 2 * c.horizontal == horizontal).any(|c| {
            let half_height = 2 * c.vertical == vertical;
            match samples(self.width, c.horizontal, horizontal) {
                1 => half_height && samples(self.height, c.vertical, vertical) > 1,
                2 => half_height || c.vertical == vertical,
                _ => false,
            }
        })
    }
}

/// One scan.
#[derive(Debug)]
pub(super) struct Scan {
    /// The components, by their names.
    pub components: Vec<u8>,
    /// For each component, where its DC and its AC table are, if it has them: see [`Header::table`].
    pub tables: Vec<[Option<usize>; 2]>,
    /// For each component, where its quantisation table is: see [`Header::quantiser`].
    pub quantisers: Vec<Option<usize>>,
    pub first_coefficient: u8,
    pub last_coefficient: u8,
    /// The lowest bit that was known before this scan of a progressive JPEG, 0 if none was, and the lowest known after it.
    pub high_bit: u8,
    pub low_bit: u8,
    /// MCUs between restart markers; 0 without such.
    pub restart_interval: u16,
    /// Where the entropy-coded data begin and end.
    pub start: usize,
    pub end: usize,
}

/// What is known of a JPEG before any pixel is decoded.
#[derive(Debug, Default)]
pub(super) struct Header<'a> {
    frame: Option<Frame>,
    scans: Vec<Scan>,
    /// Every Huffman table, 16 counts and then the symbols, and the last one for each class and number.
    tables: Vec<&'a [u8]>,
    current_tables: [Option<usize>; 8],
    /// Every quantisation table, and the last one for each number.
    quantisers: Vec<[u16; 64]>,
    current_quantisers: [Option<usize>; 4],
    restart_interval: u16,
    jfif: bool,
    adobe: Option<u8>,
    exif: Option<Vec<u8>>,
    xmp: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// Follows the chain of markers to the end-of-image marker. The decoders fill what is missing with grey, which must
    /// not be classified as if it were the picture.
    ///
    /// # Errors
    /// The end of a sentence: a coding process that is not read, or a chain that doesn't reach its end.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        const TRUNCATED: &str = "is a truncated JPEG (its end is missing); copy or download it again";
        let mut header = Header::default();
        let mut at = 2;
        loop {
            // Entropy-coded data and padding stand between a segment and the next marker.
            at += bytes.get(at..).and_then(|rest| rest.iter().position(|&b| b == 0xff)).ok_or(TRUNCATED)?;
            while bytes.get(at) == Some(&0xff) {
                at += 1;
            }
            let marker = *bytes.get(at).ok_or(TRUNCATED)?;
            if let Some(scan) = header.scans.last_mut().filter(|scan| scan.end == 0)
                && !matches!(marker, 0x00 | 0x01 | 0xd0..=0xd7)
            {
                scan.end = at - 1;
            }
            match marker {
                0xd9 => return Ok(header),
                // A stuffed zero, TEM, and RST0 to RST7 have no length; every other marker starts a segment, which
                // is jumped over because it may hold a thumbnail with an end marker of its own.
                0x00 | 0x01 | 0xd0..=0xd7 => at += 1,
                // What a damaged marker was is not known: a table, for example.
                0x02..=0xbf | 0xd8 | 0xde | 0xdf | 0xf0..=0xfd => {
                    return Err(corrupt(&format!("it has a marker {marker:#04x}")));
                }
                marker => {
                    let length = bytes.get(at + 1..at + 3).ok_or(TRUNCATED)?;
                    let length = usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
                    let segment = bytes.get(at + 3..at + 1 + length).ok_or(TRUNCATED)?;
                    at += 1 + length;
                    header.segment(marker, segment, at)?;
                }
            }
        }
    }

    /// Reads one segment; the file continues at `after`.
    fn segment(&mut self, marker: u8, segment: &'a [u8], after: usize) -> Result<(), String> {
        match marker {
            0xc4 => self.huffman_tables(segment).ok_or_else(|| corrupt("a Huffman table is invalid"))?,
            0xdb => self.quantisation_tables(segment).ok_or_else(|| corrupt("a quantisation table is invalid"))?,
            0xc8 | 0xcc => {}
            0xdd => {
                let interval = segment.try_into().map_err(|_| corrupt("its restart interval is invalid"))?;
                self.restart_interval = u16::from_be_bytes(interval);
            }
            0xc0..=0xcf if self.frame.is_some() => return Err(corrupt("it has two frame headers")),
            0xc0..=0xcf => self.frame = Some(frame(marker, segment)?),
            0xda => {
                if self.scans.len() == MAX_SCANS {
                    return Err(format!("is a JPEG of more than {MAX_SCANS} scans, which is not read; save it again"));
                }
                if self.tables.is_empty() && self.frame.as_ref().is_some_and(|frame| !frame.progressive) {
                    self.tables.extend(jpeg_standard::TABLES);
                    self.current_tables = [Some(0), Some(1), None, None, Some(2), Some(3), None, None];
                }
                let scan = self.scan(segment, after).ok_or_else(|| corrupt("a scan's header is invalid"))?;
                self.scans.push(scan);
            }
            // Colours and metadata are those in front of the first scan.
            _ if !self.scans.is_empty() => {}
            0xe0 if segment.starts_with(b"JFIF\0") && segment.len() >= 14 => self.jfif = true,
            0xee if segment.starts_with(b"Adobe") && segment.len() >= 12 => self.adobe = Some(segment[11]),
            // EXIF data too long for one segment continues in the next.
            0xe1 if segment.starts_with(b"Exif\0\0") => match &mut self.exif {
                Some(exif) => exif.extend(&segment[6..]),
                None => self.exif = Some(segment.to_vec()),
            },
            0xe1 => self.xmp = segment.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0").or(self.xmp),
            _ => {}
        }
        Ok(())
    }

    /// Reads the tables that fill `segment`; none if something is wrong with it.
    fn huffman_tables(&mut self, mut segment: &'a [u8]) -> Option<()> {
        while !segment.is_empty() {
            let &[place, ref counts @ ..] = segment.first_chunk::<17>()?;
            let symbols: usize = counts.iter().map(|&count| usize::from(count)).sum();
            let table = segment.get(1..17 + symbols).filter(|_| symbols <= 256 && place & 0xef < 4)?;
            self.current_tables[usize::from(place >> 4) * 4 + usize::from(place & 3)] = Some(self.tables.len());
            self.tables.push(table);
            segment = &segment[17 + symbols..];
        }
        Some(())
    }

    /// Reads the tables that fill `segment`; none if something is wrong with it.
    fn quantisation_tables(&mut self, mut segment: &'a [u8]) -> Option<()> {
        while let Some((&place, rest)) = segment.split_first() {
            let bytes = if place >> 4 == 0 { 1 } else { 2 };
            let (values, rest) = rest.split_at_checked(64 * bytes)?;
            let value = |v: &[u8]| v.iter().fold(0, |value, &byte| value << 8 | u16::from(byte));
            *self.current_quantisers.get_mut(usize::from(place & 15))? = Some(self.quantisers.len());
            self.quantisers.push(std::array::from_fn(|k| value(&values[k * bytes..][..bytes])));
            segment = rest;
        }
        Some(())
    }

    /// A scan by its header, whose data begin at `start`; none if the header has another length.
    fn scan(&self, segment: &[u8], start: usize) -> Option<Scan> {
        let (&count, rest) = segment.split_first()?;
        let (parts, rest) = rest.split_at_checked(2 * usize::from(count))?;
        let parts = parts.as_chunks::<2>().0;
        let &[first_coefficient, last_coefficient, bits] = rest.try_into().ok()?;
        let table = |class: usize, number: u8| *self.current_tables[4 * class..][..4].get(usize::from(number))?;
        let quantiser = |id: u8| {
            let component = self.frame.as_ref()?.components.iter().find(|c| c.id == id)?;
            *self.current_quantisers.get(usize::from(component.quantiser))?
        };
        Some(Scan {
            components: parts.iter().map(|&[id, _]| id).collect(),
            tables: parts.iter().map(|&[_, numbers]| [table(0, numbers >> 4), table(1, numbers & 15)]).collect(),
            quantisers: parts.iter().map(|&[id, _]| quantiser(id)).collect(),
            first_coefficient,
            last_coefficient,
            high_bit: bits >> 4,
            low_bit: bits & 15,
            restart_interval: self.restart_interval,
            start,
            end: 0,
        })
    }

    pub(super) fn scans(&self) -> &[Scan] {
        &self.scans
    }

    /// A Huffman table of a scan; none if its codes are impossible.
    pub(super) fn table(&self, place: usize) -> Option<Table<'a>> {
        let (counts, symbols) = self.tables.get(place)?.split_first_chunk()?;
        Table::new(counts, symbols)
    }

    /// A quantisation table of a scan, in the order of the file.
    pub(super) fn quantiser(&self, place: usize) -> Option<[u16; 64]> {
        self.quantisers.get(place).copied()
    }

    /// The frame.
    ///
    /// # Errors
    /// The end of a sentence: there is none.
    pub(super) fn frame(&self) -> Result<&Frame, String> {
        self.frame.as_ref().ok_or_else(|| "is a JPEG without a picture; copy or download it again".into())
    }

    pub(super) fn metadata(&self) -> Metadata<'_> {
        Metadata { exif: self.exif.as_deref().map(Into::into), xmp: self.xmp.map(Into::into) }
    }

    /// What the components are: JFIF takes precedence over Adobe's marker, and that over the components' names.
    ///
    /// # Errors
    /// The end of a sentence: an unknown number of components.
    pub(super) fn colors(&self) -> Result<Colors, String> {
        let components = &self.frame()?.components;
        let names: Vec<u8> = components.iter().map(|c| c.id).collect();
        Ok(match (components.len(), self.adobe) {
            (1, _) => Colors::Grey,
            (3, _) if self.jfif => Colors::YCbCr,
            (3, Some(0)) => Colors::Rgb,
            (3, None) if names == *b"RGB" => Colors::Rgb,
            (3, _) => Colors::YCbCr,
            (4, None | Some(0)) => Colors::Cmyk,
            (4, _) => Colors::Ycck,
            (n, _) => return Err(format!("is a JPEG of {n} components, which is not read; convert it to RGB")),
        })
    }
}

fn corrupt(what: &str) -> String {
    format!("is a corrupt JPEG ({what}); copy or download it again")
}

fn frame(marker: u8, segment: &[u8]) -> Result<Frame, String> {
    let refused =
        |what: &str| format!("is a JPEG {what}, which is not read; save it as a baseline or progressive JPEG");
    match marker {
        0xc0..=0xc2 => {}
        0xc3 => return Err(refused("of the lossless process")),
        0xc9 | 0xca => return Err(refused("with arithmetic coding")),
        _ => return Err(refused("of a rare coding process (hierarchical or lossless)")),
    }
    let invalid = || corrupt("its frame header is invalid");
    let (&[bits, h1, h0, w1, w0, count], rest) = segment.split_first_chunk::<6>().ok_or_else(invalid)?;
    if bits != 8 {
        return Err(refused(&format!("of {bits} bits a sample")));
    }
    let component = |c: &[u8]| Component { id: c[0], horizontal: c[1] >> 4, vertical: c[1] & 15, quantiser: c[2] };
    let components: Vec<_> = rest.chunks_exact(3).map(component).collect();
    if components.is_empty() || rest.len() != 3 * usize::from(count) {
        return Err(invalid());
    }
    if components.iter().any(|c| !(1..=4).contains(&c.horizontal) || !(1..=4).contains(&c.vertical)) {
        return Err(corrupt("its sampling factors are impossible"));
    }
    let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
    if height == 0 {
        return Err(refused("that says its height only at its end"));
    }
    Ok(Frame { width, height, progressive: marker == 0xc2, components })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jpeg_with_a_thumbnail_is_complete_only_with_its_own_end() {
        let thumbnail_end = [0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xd9, 1, 2];
        assert!(Header::read(&thumbnail_end).is_err());
        let scan = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 7, 0xff, 0, 0xff, 0xd3, 5, 0xff, 0xff, 0xd9];
        let whole = [&thumbnail_end[..], &scan].concat();
        assert!(Header::read(&whole).is_ok());
        for cut in 0..whole.len() {
            let error = Header::read(&whole[..cut]).expect_err("cut");
            assert!(error.contains("truncated"), "cut at {cut}: {error}");
        }
    }

    /// A JPEG's markers without its data: SOF of 32 x 16 pixels, then one SOS of each of `scans`.
    fn markers(marker: u8, bits: u8, sampling: &[u8], scans: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8];
        let count = sampling.len() as u8;
        bytes.extend([0xff, marker, 0, 8 + 3 * count, bits, 0, 16, 0, 32, count]);
        for (id, &factors) in (1..).zip(sampling) {
            bytes.extend([id, factors, 0]);
        }
        for scan in scans {
            bytes.extend([0xff, 0xda, 0, 6 + 2 * scan.len() as u8, scan.len() as u8]);
            scan.iter().for_each(|&id| bytes.extend([id, 0]));
            bytes.extend([0, 63, 0, 1, 2, 3]);
        }
        bytes.extend([0xff, 0xd9]);
        bytes
    }

    #[test]
    fn what_is_not_read_is_named() {
        for (marker, bits, words) in
            [(0xc9, 8, "arithmetic coding"), (0xc1, 12, "12 bits a sample"), (0xc3, 8, "lossless"), (0xc5, 8, "rare")]
        {
            let error = Header::read(&markers(marker, bits, &[0x11], &[&[1]])).expect_err(words);
            assert!(error.contains(words) && !error.contains("truncated"), "{error}");
        }
        let scans = vec![&[1u8][..]; 101];
        assert!(Header::read(&markers(0xc2, 8, &[0x11], &scans)).expect_err("scans").contains("100 scans"));
        let two = markers(0xc0, 8, &[0x11, 0x11], &[&[1, 2]]);
        let two = Header::read(&two).expect("markers");
        assert!(two.colors().expect_err("two").contains("2 components"));
    }
}
