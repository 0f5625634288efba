//! What a run records about its data besides the path: the names of its classes, and digests of its images. A resumed run
//! must see the same data; with other data its labels would be wrong.

use sha2::{Digest, Sha256};

use super::run_dir::{RunConfig, RunDir};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::weights::Weights;

/// Images whose bytes a run notes that decodes its images in each epoch.
const MOST_SAMPLES: usize = 64;
/// Hexadecimal digits that are kept of an image's digest.
const DIGITS: usize = 16;
/// Differences that are named.
const MOST_NAMED: usize = 3;

/// Digests of up to 64 images, evenly over the data; empty for one that can't be read just now.
pub fn sample_images(data: &dyn Dataset) -> Vec<String> {
    let count = data.len().min(MOST_SAMPLES);
    let sample = (0..count).map(|k| data.content_key(k * data.len() / count));
    sample.map(|key| key.map(|key| hex(&key)[..DIGITS].to_owned()).unwrap_or_default()).collect()
}

/// Whether two lists of digests are of the same images, as far as both could be read.
pub fn same_images(begun: &[String], found: &[String]) -> bool {
    let agree = |(a, b): (&String, &String)| a.is_empty() || b.is_empty() || a == b;
    begun.len() == found.len() && begun.iter().zip(found).all(agree)
}

/// One digest of all images, by the digest of each.
pub fn digest_images<'a>(keys: impl IntoIterator<Item = &'a [u8; 32]>) -> Vec<String> {
    let mut all = Sha256::new();
    keys.into_iter().for_each(|key| all.update(key));
    vec![format!("{:x}", all.finalize())]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl RunDir {
    /// Notes in `config` the names of the data's classes, in order.
    ///
    /// # Errors
    /// [`Error::File`] if the run began with others. One from before names were kept is compared by its network, if it has
    /// written one.
    pub fn check_classes(&self, config: &mut RunConfig, found: &[String]) -> Result<()> {
        if config.classes.is_empty() {
            config.classes = self.classes_of_model().unwrap_or_default();
        }
        if config.classes.is_empty() {
            config.classes = found.to_vec();
        }
        match difference(&config.classes, found) {
            None => Ok(()),
            Some(what) => Err(Error::file(
                self.path(),
                format!("began with other classes ({what}); give the data its own classes back, or start a new run"),
            )),
        }
    }

    fn classes_of_model(&self) -> Option<Vec<String>> {
        let path = self.model_path();
        if !path.exists() {
            return None;
        }
        Weights::open(&path).ok()?.labels().ok()?
    }

    /// Keeps in config.toml what the images are. Of a run that `goes_on` they must be those that it began with, as far as
    /// they can be read.
    ///
    /// # Errors
    /// [`Error::File`] if they are others, or config.toml can't be written.
    pub fn keep_images(&self, config: &mut RunConfig, images: Vec<String>, goes_on: bool) -> Result<()> {
        if goes_on && !config.images.is_empty() {
            if !same_images(&config.images, &images) {
                let problem = "began with other images than its data has now, or with the same in another order; \
                               put them back as they were, or start a new run";
                return Err(Error::file(self.path(), problem));
            }
            return Ok(());
        }
        config.images = images;
        self.write_config(config)
    }
}

/// In which the classes `found` differ from those of a run, if they do.
fn difference(begun: &[String], found: &[String]) -> Option<String> {
    if begun == found {
        return None;
    }
    let only_in = |these: &[String], those: &[String]| {
        let those: std::collections::HashSet<&String> = those.iter().collect();
        these.iter().filter(|name| !those.contains(name)).cloned().collect::<Vec<_>>()
    };
    let named = |names: &[String]| {
        let more = names.len().saturating_sub(MOST_NAMED);
        let list = names.iter().take(MOST_NAMED).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        if more > 0 { format!("{list} and {more} more") } else { list }
    };
    let (gone, new) = (only_in(begun, found), only_in(found, begun));
    Some(match (gone.is_empty(), new.is_empty()) {
        (false, false) => format!("{} then, {} now", named(&gone), named(&new)),
        (false, true) => format!("{} is no longer there", named(&gone)),
        (true, false) => format!("{} was not there", named(&new)),
        (true, true) => "the same names in another order".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn other_classes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = RunConfig::default();
        let run = RunDir::create(folder.path(), &config).unwrap();
        // A run that kept none yet takes what it finds.
        run.check_classes(&mut config, &names(&["cat", "dog"])).unwrap();
        run.write_config(&config).unwrap();
        drop(run);
        let (run, mut config) = RunDir::open(folder.path()).unwrap();
        assert_eq!(config.classes, ["cat", "dog"]);
        run.check_classes(&mut config, &names(&["cat", "dog"])).unwrap();
        for (found, words) in [
            (&["Dog", "cat"][..], "`dog` then, `Dog` now"),
            (&["dog", "cat"], "the same names in another order"),
            (&["cat", "dog", "emu"], "`emu` was not there"),
            (&["cat"], "`dog` is no longer there"),
        ] {
            let error = run.check_classes(&mut config, &names(found)).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("began with other classes"), "{error}");
            assert_eq!(config.classes, ["cat", "dog"]);
        }
    }

    #[test]
    fn other_images_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = RunConfig::default();
        let run = RunDir::create(folder.path(), &config).unwrap();
        run.keep_images(&mut config, names(&["aa", "bb"]), false).unwrap();
        // One that can't be read just now is no other.
        run.keep_images(&mut config, names(&["aa", ""]), true).unwrap();
        for others in [&["aa", "cc"][..], &["bb", "aa"], &["aa"]] {
            let error = run.keep_images(&mut config, names(others), true).unwrap_err().to_string();
            assert!(error.contains("began with other images"), "{error}");
        }
        // Without a checkpoint the run begins again.
        run.keep_images(&mut config, names(&["cc"]), false).unwrap();
        drop(run);
        assert_eq!(RunDir::open(folder.path()).unwrap().1.images, ["cc"]);
        assert_ne!(digest_images([&[0; 32], &[1; 32]]), digest_images([&[1; 32], &[0; 32]]));
    }
}
