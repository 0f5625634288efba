//! Where features lie while a head is trained on them: in memory, or, past a limit, in a file that is mapped.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::ops::Deref;
use std::path::Path;

use bytemuck::{cast_slice, pod_collect_to_vec};

use crate::error::{Error, Result};

/// The most bytes of features that are kept in memory.
pub const MOST_IN_MEMORY: u64 = 4 << 30;

/// `[N, C]` values, row-major.
pub enum FeatureValues {
    Memory(Vec<f32>),
    /// Of a file without a name, which is gone with the process.
    Mapped(memmap2::Mmap),
}

impl Deref for FeatureValues {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Memory(values) => values,
            Self::Mapped(map) => cast_slice(map),
        }
    }
}

/// Rows that are filled in any order.
pub struct FeatureRows {
    width: usize,
    target: Target,
}

enum Target {
    Memory(Vec<f32>),
    File(File),
}

impl FeatureRows {
    /// Place for `rows` rows of `width` values: in memory up to `limit` bytes, else in a file in `folder`.
    ///
    /// # Errors
    /// A folder that can't be written to.
    pub fn new(rows: usize, width: usize, limit: u64, folder: &Path) -> Result<Self> {
        let bytes = rows as u64 * width as u64 * 4;
        let target = match bytes <= limit {
            true => Target::Memory(vec![0.0; rows * width]),
            false => Target::File(tempfile::tempfile_in(folder).map_err(|e| failed(folder, &e))?),
        };
        Ok(Self { width, target })
    }

    /// Sets row `row`.
    ///
    /// # Errors
    /// A disk that is full.
    pub fn set(&mut self, row: usize, values: &[f32], folder: &Path) -> Result<()> {
        match &mut self.target {
            Target::Memory(all) => {
                all[row * self.width..][..self.width].copy_from_slice(values);
                Ok(())
            }
            // Written, and not mapped: a full disk is an error, where a map would end the process.
            Target::File(file) => {
                let at = SeekFrom::Start(row as u64 * self.width as u64 * 4);
                file.seek(at).and_then(|_| file.write_all(cast_slice(values))).map_err(|e| failed(folder, &e))
            }
        }
    }

    /// All rows, each of which was set.
    ///
    /// # Errors
    /// A file that can't be mapped.
    pub fn finish(self, folder: &Path) -> Result<FeatureValues> {
        match self.target {
            Target::Memory(values) => Ok(FeatureValues::Memory(values)),
            Target::File(file) => {
                let map = crate::files::map(&file).map_err(|e| failed(folder, &e))?;
                // Maps begin at pages; should one not, its values are copied.
                match bytemuck::try_cast_slice::<u8, f32>(&map) {
                    Ok(_) => Ok(FeatureValues::Mapped(map)),
                    Err(_) => Ok(FeatureValues::Memory(pod_collect_to_vec(&map))),
                }
            }
        }
    }
}

fn failed(folder: &Path, error: &std::io::Error) -> Error {
    Error::file(folder, format!("the features could not be kept there while training: {error}; check its space"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_the_limit_rows_lie_in_a_file_with_the_same_bits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let filled = |limit| {
            let mut rows = FeatureRows::new(3, 2, limit, path).unwrap();
            for row in [2, 0, 1] {
                rows.set(row, &[row as f32, 0.1 + row as f32], path).unwrap();
            }
            rows.finish(path).unwrap()
        };
        let (memory, file) = (filled(24), filled(23));
        assert!(matches!(memory, FeatureValues::Memory(_)) && matches!(file, FeatureValues::Mapped(_)));
        assert_eq!(memory[..], [0.0, 0.1, 1.0, 1.1, 2.0, 2.1]);
        assert_eq!(memory[..], file[..]);
        assert_eq!(std::fs::read_dir(path).unwrap().count(), 0);
        assert!(FeatureRows::new(3, 2, 0, &path.join("missing")).is_err());
    }
}
