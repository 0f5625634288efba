//! unreadable.json of a run: the images that could not be read when it began. They stay left out until its end, even if they
//! are repaired, so that a resumed run forms the same batches.

use serde::{Deserialize, Serialize};

use super::files::read_limited;
use super::run_dir::RunDir;
use crate::error::{Error, Result};
use crate::files;

/// Images that a run leaves out, of its training and of its validation images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unreadable {
    /// Of those to train on.
    pub train: Vec<LeftOut>,
    /// Of those to validate on.
    pub val: Vec<LeftOut>,
}

/// An image that is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Its number among the training or validation images.
    pub index: usize,
    /// What the data set calls it.
    pub name: String,
}

const MAX_BYTES: u64 = 256 << 20;

impl Unreadable {
    /// Images of both parts.
    pub fn len(&self) -> usize {
        self.train.len() + self.val.len()
    }

    /// True if all images could be read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first, if there are any.
    pub fn first(&self) -> Option<&LeftOut> {
        self.train.first().or(self.val.first())
    }
}

impl RunDir {
    /// Notes which images could not be read; without any, there is no file.
    pub fn write_unreadable(&self, unreadable: &Unreadable) -> Result<()> {
        let path = self.unreadable_path();
        if unreadable.is_empty() {
            return match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(Error::file(path, format!("is of an earlier run and could not be removed: {error}")))
                }
                _ => Ok(()),
            };
        }
        let text = serde_json::to_string_pretty(unreadable).map_err(|error| Error::file(&path, error))?;
        files::write(&path, text.as_bytes())
    }

    /// The images that could not be read when the run began.
    ///
    /// # Errors
    /// [`Error::File`] if the file is damaged.
    pub fn read_unreadable(&self) -> Result<Unreadable> {
        let path = self.unreadable_path();
        let Some(bytes) = read_limited(&path, MAX_BYTES)? else { return Ok(Unreadable::default()) };
        serde_json::from_slice(&bytes).map_err(|error| {
            Error::file(path, format!("is damaged ({error}); put it back as it was, or start a new run"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::RunConfig;

    #[test]
    fn the_list_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path(), &RunConfig::default()).unwrap();
        assert_eq!(run.read_unreadable().unwrap(), Unreadable::default());
        let image = |index, name: &str| LeftOut { index, name: name.into() };
        let list = Unreadable { train: vec![image(3, "a\n\"b\".png")], val: vec![image(0, "c"), image(9, "d")] };
        run.write_unreadable(&list).unwrap();
        assert_eq!((run.read_unreadable().unwrap(), list.len(), list.first()), (list.clone(), 3, Some(&list.train[0])));
        run.write_unreadable(&Unreadable::default()).unwrap();
        assert!(run.read_unreadable().unwrap().is_empty() && !run.unreadable_path().exists());
        for damaged in ["", "{", "{\"train\": [1], \"val\": []}", "[]"] {
            std::fs::write(run.unreadable_path(), damaged).unwrap();
            assert!(
                run.read_unreadable().unwrap_err().to_string().contains("unreadable.json: is damaged"),
                "{damaged}"
            );
        }
    }
}
