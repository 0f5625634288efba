//! Tuned choices on disk: one JSON file for each adapter and driver, in the folder `tuning` of the cache.
//!
//! A file is used if adapter, driver, the crate's version and the text of every convolution shader are those that it was made with.
//! Otherwise it is ignored, and the next `tune` replaces it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::files;
use crate::gpu::{AdapterReport, Gpu, shaders};
use crate::ops::Conv2dAlgorithm;

/// A larger file is not read: a choice takes 200 bytes.
const MAX_BYTES: u64 = 4 << 20;

/// The choice for one pass over one shape of convolution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Name of the algorithm, from [`Conv2dAlgorithm::name`].
    pub algorithm: String,
    /// The algorithm that is used without tuning.
    pub default: String,
    /// Time of the whole batch; `None` if there was no time to measure.
    pub ms: Option<f64>,
    pub default_ms: Option<f64>,
    /// Images that were timed together. The choice applies to any batch size, so that an image's result never depends on it.
    pub batch_size: usize,
    /// Whether it was made at the first use of the adapter, and not by `tune`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first_use: bool,
}

/// Choices by [`crate::ops::Conv2dPass::key`].
pub type Choices = BTreeMap<String, Choice>;

/// The program, adapter and driver that a file was made with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Identity {
    version: String,
    name: String,
    backend: String,
    driver: String,
    driver_info: String,
    vendor: u32,
    device: u32,
    /// SHA-256 over the shaders of convolutions.
    shaders: String,
}

#[derive(Serialize, Deserialize)]
struct File {
    made_for: Identity,
    choices: Choices,
}

impl Identity {
    fn of(report: &AdapterReport) -> Self {
        let mut hash = Sha256::new();
        let of_convolutions = |name: &str| ["conv2d", "winograd", "pack_weight"].iter().any(|s| name.starts_with(s));
        for (name, digest) in shaders::hashes().into_iter().filter(|(name, _)| of_convolutions(name)) {
            hash.update(format!("{name} {digest}\n"));
        }
        let AdapterReport { name, backend, driver, driver_info, vendor, device, .. } = report.clone();
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            name,
            backend: format!("{backend:?}").to_lowercase(),
            driver,
            driver_info,
            vendor,
            device,
            shaders: format!("{:x}", hash.finalize()),
        }
    }
}

/// The file of an adapter and driver under the cache folder `cache`.
pub fn path(cache: &Path, report: &AdapterReport) -> PathBuf {
    let digest = Sha256::digest(report.identity());
    cache.join("tuning").join(format!("{:.32}.json", format!("{digest:x}")))
}

/// The choices for an adapter, and a warning if its file can't be used. Never fails: without a file, or with a bad one, there are no
/// choices.
pub fn load(cache: &Path, report: &AdapterReport) -> (Choices, Option<String>) {
    let path = path(cache, report);
    match read(&path, &Identity::of(report)) {
        Ok(choices) => (choices.unwrap_or_default(), None),
        Err(why) => {
            let advice = "the defaults are used until `gpu-resnet tune` is run again";
            (Choices::new(), Some(format!("{}: {why}; {advice}", path.display())))
        }
    }
}

/// Adds `choices` to the adapter's file, replacing those for the same shapes. Returns the file's path.
pub fn save(cache: &Path, report: &AdapterReport, choices: Choices) -> Result<PathBuf> {
    let (mut all, _) = load(cache, report);
    all.extend(choices);
    let path = path(cache, report);
    write(&path, report, &all)?;
    Ok(path)
}

fn write(path: &Path, report: &AdapterReport, choices: &Choices) -> Result<()> {
    files::create_folder(path.parent().unwrap_or(Path::new("")))?;
    let file = File { made_for: Identity::of(report), choices: choices.clone() };
    let text = serde_json::to_vec_pretty(&file).map_err(|e| Error::file(path, e))?;
    files::write(path, &text)
}

/// Removes the adapter's file. Returns whether there was one.
pub fn clear(cache: &Path, report: &AdapterReport) -> Result<bool> {
    let path = path(cache, report);
    match std::fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::file(&path, format!("could not be removed: {error}"))),
    }
}

/// Makes `gpu` use `choices` from now on, and returns their number. A default that a first use kept is not among them, so that its tile may still
/// follow the batch.
pub fn apply(gpu: &Gpu, choices: &Choices) -> usize {
    let says = |choice: &Choice| !choice.first_use || choice.algorithm != choice.default;
    let said = choices.iter().filter(|(_, choice)| says(choice));
    let said: HashMap<String, String> = said.map(|(key, choice)| (key.clone(), choice.algorithm.clone())).collect();
    let count = said.len();
    gpu.set_choices(said);
    count
}

/// Stores `choices`, which a run uses on an adapter, in the run's folder `run`, replacing everything stored there.
pub fn keep(run: &Path, report: &AdapterReport, choices: &Choices) -> Result<()> {
    write(&path(run, report), report, choices)
}

/// Whether the run in the folder `run` uses the defaults on all its adapters, as far as can be told.
pub fn is_empty(run: &Path) -> bool {
    let files = std::fs::read_dir(run.join("tuning")).into_iter().flatten().flatten();
    let has_some = |path: PathBuf| {
        let bytes = files::read_limited(&path, MAX_BYTES).ok().flatten();
        let file = bytes.and_then(|bytes| serde_json::from_slice::<File>(&bytes).ok());
        file.is_some_and(|file| !file.choices.is_empty())
    };
    !files.map(|entry| entry.path()).any(has_some)
}

/// The choices for an adapter that the run in the folder `run` has stored; `None` if it has none for this adapter.
///
/// # Errors
/// Why the file that is there can't be used.
pub fn kept(run: &Path, report: &AdapterReport) -> Result<Option<Choices>, String> {
    let path = path(run, report);
    read(&path, &Identity::of(report)).map_err(|why| format!("{}: {why}", path.display()))
}

/// Blocks other processes that choose for the same adapter until it is dropped. `None` if the file system has no locks.
pub fn lock(cache: &Path, report: &AdapterReport) -> Option<std::fs::File> {
    files::create_folder(&cache.join("tuning")).ok()?;
    let path = path(cache, report).with_extension("lock");
    let file = std::fs::File::options().create(true).truncate(false).write(true).open(path).ok()?;
    file.lock().ok()?;
    Some(file)
}

fn read(path: &Path, identity: &Identity) -> Result<Option<Choices>, String> {
    let Some(bytes) = files::read_limited(path, MAX_BYTES).map_err(|e| e.to_string())? else { return Ok(None) };
    let file: File = serde_json::from_slice(&bytes).map_err(|e| format!("holds no tuned choices ({e})"))?;
    if file.made_for != *identity {
        return Err("was made by another version of the program, or for another adapter".into());
    }
    let wrong = file.choices.values().find(|choice| Conv2dAlgorithm::named(&choice.algorithm).is_none());
    match wrong {
        Some(choice) => Err(format!("chooses {:?}, which does not exist", choice.algorithm)),
        None => Ok(Some(file.choices)),
    }
}

#[cfg(test)]
mod tests {
    use pollster::FutureExt as _;

    use super::*;
    use crate::gpu::AdapterChoice;

    fn report(name: &str) -> AdapterReport {
        AdapterReport { name: name.into(), ..AdapterReport::example() }
    }

    fn choices(pairs: &[(&str, &str)]) -> Choices {
        let choice = |algorithm: &str| Choice {
            algorithm: algorithm.into(),
            default: "gemm".into(),
            ms: Some(1.0),
            default_ms: None,
            batch_size: 1,
            first_use: false,
        };
        pairs.iter().map(|(key, algorithm)| ((*key).to_owned(), choice(algorithm))).collect()
    }

    #[test]
    fn choices_come_back_for_their_adapter_only() {
        let cache = tempfile::tempdir().unwrap();
        let (ours, other) = (report("ours"), report("other"));
        assert_eq!(load(cache.path(), &ours), (Choices::new(), None));
        save(cache.path(), &ours, choices(&[("a", "register"), ("b", "gemm-32x32")])).unwrap();
        save(cache.path(), &ours, choices(&[("b", "winograd4-register"), ("c", "gemm")])).unwrap();
        let expected = choices(&[("a", "register"), ("b", "winograd4-register"), ("c", "gemm")]);
        assert_eq!(load(cache.path(), &ours), (expected, None));
        assert_eq!(load(cache.path(), &other), (Choices::new(), None));
        assert!(clear(cache.path(), &ours).unwrap() && !clear(cache.path(), &ours).unwrap());
        assert_eq!(load(cache.path(), &ours), (Choices::new(), None));
    }

    /// A default that a first use kept leaves the choice to the policy; one that `tune` chose does not.
    #[test]
    fn a_kept_default_is_no_choice() {
        let gpu = Gpu::open(&AdapterChoice::default()).block_on().expect("an adapter; scripts/setup.sh installs one");
        let mut some = choices(&[("a", "gemm"), ("b", "register"), ("c", "gemm")]);
        ["a", "b"].iter().for_each(|key| some.get_mut(*key).unwrap().first_use = true);
        assert_eq!(apply(&gpu, &some), 2);
        assert_eq!(["a", "b", "c"].map(|key| gpu.choice(key)), [None, Some("register"), Some("gemm")]);
    }

    #[test]
    fn a_run_keeps_its_own_choices() {
        let run = tempfile::tempdir().unwrap();
        let (ours, other) = (report("ours"), report("other"));
        assert!(is_empty(run.path()) && kept(run.path(), &ours) == Ok(None));
        keep(run.path(), &ours, &Choices::new()).unwrap();
        assert!(is_empty(run.path()) && kept(run.path(), &ours) == Ok(Some(Choices::new())));
        keep(run.path(), &ours, &choices(&[("a", "register")])).unwrap();
        assert!(!is_empty(run.path()) && kept(run.path(), &other) == Ok(None));
        assert_eq!(kept(run.path(), &ours), Ok(Some(choices(&[("a", "register")]))));
        std::fs::write(path(run.path(), &ours), "noise").unwrap();
        let problem = kept(run.path(), &ours).unwrap_err();
        assert!(problem.contains(".json: holds no tuned choices"), "{problem}");
    }

    #[test]
    fn damaged_and_foreign_files_are_ignored_with_a_warning() {
        let cache = tempfile::tempdir().unwrap();
        let ours = report("ours");
        let path = save(cache.path(), &ours, choices(&[("a", "register")])).unwrap();
        let good = std::fs::read_to_string(&path).unwrap();
        let version = format!("{:?}", env!("CARGO_PKG_VERSION"));
        for bad in [
            String::new(),
            "noise".into(),
            "[]".into(),
            good[..good.len() / 2].to_owned(),
            good.replace(&version, "\"0.0.0\""),
            good.replace("\"ours\"", "\"other\""),
            good.replace("\"register\"", "\"fast\""),
        ] {
            std::fs::write(&path, &bad).unwrap();
            let (found, warning) = load(cache.path(), &ours);
            assert!(found.is_empty() && warning.unwrap().contains("tune"), "{bad}");
        }
        // The next save replaces it.
        save(cache.path(), &ours, choices(&[("b", "gemm")])).unwrap();
        assert_eq!(load(cache.path(), &ours), (choices(&[("b", "gemm")]), None));
    }
}
