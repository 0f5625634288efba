//! Many unencoded images of one size in a few files: the common form of CIFAR, MNIST and safetensors data.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::bytes::Mapped;
use super::{Dataset, Rgb8};
use crate::error::{Error, Result};

/// The most classes that a file may have; a larger label counts as corruption.
pub(crate) const MAX_CLASSES: usize = 65_536;

/// How a record's bytes become pixels.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Layout {
    /// One byte a pixel.
    Grey,
    /// Red, green, blue of each pixel (HWC).
    Interleaved,
    /// All reds, all greens, all blues (CHW).
    Planar,
}

/// Equally spaced records in a mapped file.
pub(crate) struct Part {
    pub map: Mapped,
    /// The name of the file in messages.
    pub name: String,
    /// Where the first record's pixels start.
    pub offset: usize,
    /// The distance from one record's pixels to the next.
    pub stride: usize,
    pub count: usize,
}

/// A data set of unencoded records.
pub(crate) struct PixelTable {
    parts: Vec<Part>,
    /// Width and height.
    size: (u32, u32),
    layout: Layout,
    labels: Vec<u32>,
    classes: Vec<String>,
}

impl PixelTable {
    /// Checks that every record lies in its file and every label has a class. `source` is what errors name.
    pub(crate) fn new(
        source: &Path,
        parts: Vec<Part>,
        size: (u32, u32),
        layout: Layout,
        labels: Vec<u32>,
        classes: Vec<String>,
    ) -> Result<Self> {
        let table = PixelTable { parts, size, layout, labels, classes };
        let record = u64::from(size.0) * u64::from(size.1) * table.channels();
        let pixels = u64::from(size.0) * u64::from(size.1);
        if pixels == 0 || pixels > super::MAX_PIXELS {
            return Err(Error::file(
                source,
                format!("has images of {} x {} pixels, which is not possible", size.0, size.1),
            ));
        }
        for part in table.parts.iter().filter(|p| p.count > 0) {
            let last = part.stride.checked_mul(part.count - 1).and_then(|l| l.checked_add(part.offset));
            if last.is_none_or(|last| last as u64 + record > part.map.len() as u64) {
                return Err(Error::file(
                    source,
                    format!("is too short for its {} images; download it again", part.count),
                ));
            }
        }
        if table.labels.len() != table.parts.iter().map(|p| p.count).sum::<usize>() {
            return Err(Error::file(source, "has a different number of images and labels; download it again"));
        }
        if table.labels.is_empty() {
            return Err(Error::file(source, "holds no images; name data that has some"));
        }
        if let Some(i) = table.labels.iter().position(|&l| l as usize >= table.classes.len()) {
            return Err(Error::file(
                source,
                format!(
                    "gives image {i} the label {}, but there are only {} classes; download it again or correct it",
                    table.labels[i],
                    table.classes.len()
                ),
            ));
        }
        Ok(table)
    }

    fn channels(&self) -> u64 {
        if self.layout == Layout::Grey { 1 } else { 3 }
    }

    /// The part that holds record `i`, and its number there.
    fn find(&self, mut i: usize) -> (&Part, usize) {
        for part in &self.parts {
            if i < part.count {
                return (part, i);
            }
            i -= part.count;
        }
        panic!("record {i} past the end of the data set")
    }

    fn record(&self, i: usize) -> &[u8] {
        let (part, i) = self.find(i);
        let at = part.offset + i * part.stride;
        &part.map[at..at + self.size.0 as usize * self.size.1 as usize * self.channels() as usize]
    }
}

impl Dataset for PixelTable {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, i: usize) -> String {
        let (part, i) = self.find(i);
        format!("{}#{i}", part.name)
    }

    fn label(&self, i: usize) -> usize {
        self.labels[i] as usize
    }

    fn has_numbers_for_labels(&self) -> bool {
        true
    }

    fn image(&self, i: usize) -> Result<Rgb8> {
        let record = self.record(i);
        let pixels = match self.layout {
            Layout::Interleaved => record.to_vec(),
            Layout::Grey => record.iter().flat_map(|&v| [v; 3]).collect(),
            Layout::Planar => {
                let plane = record.len() / 3;
                (0..plane).flat_map(|p| [record[p], record[plane + p], record[2 * plane + p]]).collect()
            }
        };
        Ok(Rgb8 { width: self.size.0, height: self.size.1, pixels })
    }

    fn content_key(&self, i: usize) -> Result<[u8; 32]> {
        let mut hash = Sha256::new();
        hash.update(b"pixels");
        hash.update([self.layout as u8]);
        hash.update(self.size.0.to_le_bytes());
        hash.update(self.size.1.to_le_bytes());
        hash.update(self.record(i));
        Ok(hash.finalize().into())
    }
}
