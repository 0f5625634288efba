//! Which class folder an image lies in, where an input is a folder of class folders.

use std::path::{Component, Path, PathBuf};

use crate::data::is_part_name;

/// The folders that images were found in.
#[derive(Debug, Default)]
pub struct ClassFolders {
    /// For each input the number of images up to its end, and the folder, if it is one.
    inputs: Vec<(usize, Option<PathBuf>)>,
}

impl ClassFolders {
    /// Notes that the images before `end` are those of `input` and of the inputs before it.
    pub fn push(&mut self, input: &Path, end: usize) {
        self.inputs.push((end, input.is_dir().then(|| input.to_owned())));
    }

    /// The class of image `i`, which is at `path`: the folder below the input that it lies in, or, where that is a part of a data
    /// set (`train`), the one below that. None for an image that lies in the input itself, and for other kinds of inputs.
    pub fn label(&self, i: usize, path: &Path) -> Option<String> {
        let (_, root) = &self.inputs[self.inputs.partition_point(|(end, _)| *end <= i)];
        let below = path.strip_prefix(root.as_ref()?).ok()?;
        let mut names = below.parent()?.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy()),
            _ => None,
        });
        let first = names.next()?;
        let next = if is_part_name(&first) { names.next() } else { None };
        Some(next.unwrap_or(first).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_the_folder_below_the_input_or_below_its_part() {
        let here = tempfile::tempdir().unwrap();
        let root = here.path();
        let mut folders = ClassFolders::default();
        folders.push(Path::new("one.png"), 1);
        folders.push(root, 9);
        let label = |i, below: &str| folders.label(i, &root.join(below));
        assert_eq!(folders.label(0, Path::new("one.png")), None);
        assert_eq!(label(1, "loose.png"), None);
        assert_eq!(label(2, "cat/a.png").as_deref(), Some("cat"));
        assert_eq!(label(8, "cat/deep/er/a.png").as_deref(), Some("cat"));
        assert_eq!(label(3, "train/dog/a.png").as_deref(), Some("dog"));
        // A class may be called so.
        assert_eq!(label(3, "test/a.png").as_deref(), Some("test"));
    }
}
