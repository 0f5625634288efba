//! The RUN folder: a run's settings, measurements and checkpoint.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::batches::Examples;
use super::checkpoint::Checkpoint;
use super::files::read_limited;
use super::head::HeadShape;
use super::metrics::EpochResult;
use super::network_settings::NetworkSettings;
use super::options::HeadOptions;
use super::recipe::{Choice, Settings};
use super::run_lock::RunLock;
use crate::error::{Error, Result};
use crate::files;

/// config.toml: everything that determines a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunConfig {
    /// The names of the data's classes, in order; none in a run from before they were kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// What the images are, by [`super::sample_images`] or [`super::digest_images`]; none before they were read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// What the adapters are called that train it together, in order; none if there is only one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adapters: Vec<String>,
    /// The command's own settings: data, network and device.
    #[serde(default)]
    pub command: toml::Table,
    pub training: Settings,
    /// Further settings for training more than a head on fixed features.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkSettings>,
    /// What the recipe chose; none until it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Choice>,
}

/// A RUN folder, locked against other processes as long as this value lives. Its files are replaced by renaming;
/// metrics.jsonl grows by whole lines.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    pub(super) claim: Claim,
}

/// A folder that was claimed.
#[derive(Debug)]
pub(super) struct Claim {
    pub lock: RunLock,
    /// The folders that were made for it, from the top down.
    pub made: Vec<PathBuf>,
    /// The settings of a run without a checkpoint, whose folder it was.
    pub earlier: Option<Vec<u8>>,
}

/// The settings' file.
pub(super) const CONFIG: &str = "config.toml";
/// Where the choices of kernels are kept.
const TUNING: &str = "tuning";

/// Room for the names of a hundred thousand classes.
const MAX_CONFIG: u64 = 16 << 20;
const MAX_METRICS: u64 = 64 << 20;

impl RunDir {
    /// True if `path` holds a run that [`Self::create`] would replace.
    pub fn holds_run(path: &Path) -> bool {
        [CONFIG, "checkpoint.safetensors", "model.safetensors"].iter().any(|name| path.join(name).exists())
    }

    pub(super) fn claimed(path: PathBuf, claim: Claim) -> Self {
        Self { path, claim }
    }

    /// Removes what a killed process left half-written in the folder.
    pub(super) fn remove_parts(&self) {
        if self.claim.lock.is_exclusive() {
            files::remove_parts(self.path());
        }
    }

    /// Removes what an earlier run left in the folder, now that the new one is sure to begin. The settings stay, and so do
    /// files that are no run's.
    pub fn begin(&self) -> Result<()> {
        self.remove_parts();
        let stale = [self.metrics_path(), self.last_path(), self.curves_path(), self.report_path()];
        for file in stale {
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::file(file, format!("is of an earlier run and could not be removed: {error}")));
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn read_config(&self) -> Result<RunConfig> {
        let file = self.path.join(CONFIG);
        let bytes = read_limited(&file, MAX_CONFIG)?.ok_or_else(|| Error::file(&self.path, no_run(&self.path)))?;
        self.parse_config(bytes)
    }

    fn parse_config(&self, bytes: Vec<u8>) -> Result<RunConfig> {
        let file = self.path.join(CONFIG);
        let text = String::from_utf8(bytes).map_err(|_| Error::file(&file, "is not text"))?;
        let config: RunConfig = toml::from_str(&text).map_err(|error| {
            Error::file(&file, format!("is not the settings of a run: {}", error.to_string().trim().replace('\n', " ")))
        })?;
        let checked = config.training.check().and_then(|()| config.network.as_ref().map_or(Ok(()), |n| n.check()));
        checked.map_err(|error| Error::file(&file, error))?;
        Ok(config)
    }

    /// Whether there is a checkpoint to resume from.
    pub fn has_checkpoint(&self) -> bool {
        self.checkpoint_path().exists()
    }

    /// Whether an epoch is done.
    pub fn has_epochs(&self) -> bool {
        std::fs::metadata(self.metrics_path()).is_ok_and(|about| about.len() > 0)
    }

    /// config.toml of a run that was stopped before its first checkpoint, if that is all there is of a run.
    pub(super) fn unstarted(&self) -> Option<Vec<u8>> {
        let bytes = read_limited(&self.path.join(CONFIG), MAX_CONFIG).ok()??;
        let is_alone = !self.has_checkpoint() && !self.model_path().exists();
        (is_alone && self.parse_config(bytes.clone()).is_ok()).then_some(bytes)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the whole network goes, with its new head.
    pub fn model_path(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// Where the network of the last epoch goes, if that was not the best.
    pub fn last_path(&self) -> PathBuf {
        self.path.join("last.safetensors")
    }

    /// Where the page goes that shows the run.
    pub fn report_path(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// Whether it keeps the kernels that it is trained with, in the folder `tuning`; runs from before that don't.
    pub fn keeps_tuning(&self) -> bool {
        self.path.join(TUNING).is_dir()
    }

    /// Removes the choices of kernels that an earlier run has left; what else lies in their folder stays.
    pub fn forget_tuning(&self) {
        let folder = self.path.join(TUNING);
        let ours = |path: &Path| {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            path.extension().is_some_and(|end| end == "json")
                && stem.len() == 32
                && stem.chars().all(|c| c.is_ascii_hexdigit())
        };
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if ours(&entry.path()) {
                // One that stays is replaced, or is of an adapter that this run never uses.
                let _ = std::fs::remove_file(entry.path());
            }
        }
        let _ = std::fs::remove_dir(folder);
    }

    pub(super) fn checkpoint_path(&self) -> PathBuf {
        self.path.join("checkpoint.safetensors")
    }

    /// Where the list goes of the images that could not be read.
    pub(super) fn unreadable_path(&self) -> PathBuf {
        self.path.join("unreadable.json")
    }

    pub(super) fn metrics_path(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    fn curves_path(&self) -> PathBuf {
        self.path.join("curves.svg")
    }

    /// Writes config.toml.
    pub fn write_config(&self, config: &RunConfig) -> Result<()> {
        let file = self.path.join(CONFIG);
        let text = toml::to_string(config).map_err(|error| Error::file(&file, error))?;
        if text.len() as u64 > MAX_CONFIG {
            let problem = "would be too long to be read again; use fewer classes, or shorter names";
            return Err(Error::file(&file, problem));
        }
        files::write(&file, text.as_bytes())
    }

    /// Reads the checkpoint; see [`Checkpoint::read`].
    pub fn read_checkpoint(
        &self,
        shape: HeadShape,
        options: &HeadOptions,
        train: Examples,
    ) -> Result<Option<Checkpoint>> {
        Checkpoint::read(&self.checkpoint_path(), shape, options, train)
    }

    /// Appends one epoch to metrics.jsonl.
    pub fn append_metrics(&self, result: &EpochResult) -> Result<()> {
        let path = self.metrics_path();
        let mut line = serde_json::to_string(result).map_err(|error| Error::file(&path, error))?;
        line.push('\n');
        let append = || {
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.write_all(line.as_bytes())?;
            file.flush()
        };
        append().map_err(|error: std::io::Error| {
            Error::file(&path, format!("could not be written: {error}; check its space"))
        })
    }

    /// Cuts metrics.jsonl back to the first `epochs` epochs and returns them: a killed run may have noted an epoch that
    /// its checkpoint lacks, or half a line.
    pub fn keep_metrics(&self, epochs: u64) -> Result<Vec<EpochResult>> {
        let path = self.metrics_path();
        let bytes = read_limited(&path, MAX_METRICS)?.unwrap_or_default();
        let mut kept: Vec<EpochResult> = Vec::new();
        let mut text = Vec::new();
        for line in bytes.split(|&byte| byte == b'\n') {
            match serde_json::from_slice::<EpochResult>(line) {
                Ok(result) if result.epoch <= epochs && result.epoch > kept.last().map_or(0, |last| last.epoch) => {
                    kept.push(result);
                    text.extend_from_slice(line);
                    text.push(b'\n');
                }
                _ => {}
            }
        }
        files::write(&path, &text)?;
        Ok(kept)
    }

    /// Draws curves.svg; nothing is drawn without the cargo feature `plots`.
    #[cfg(not(feature = "plots"))]
    pub fn write_curves(&self, _epochs: &[EpochResult], _best_epoch: Option<u64>) -> Result<()> {
        Ok(())
    }

    /// Draws curves.svg; nothing is drawn without the cargo feature `plots`.
    #[cfg(feature = "plots")]
    pub fn write_curves(&self, epochs: &[EpochResult], best_epoch: Option<u64>) -> Result<()> {
        let path = self.curves_path();
        let svg = super::draw_curves(epochs, best_epoch).map_err(|problem| Error::file(&path, problem))?;
        files::write(&path, svg.as_bytes())
    }
}

/// Why there is nothing to go on with in `path`.
pub(super) fn no_run(path: &Path) -> &'static str {
    if path.is_dir() {
        "holds no run to continue; start one without --resume, with --output for its folder"
    } else {
        "is not a run yet; the first time, leave --resume out and give --output for its folder"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(epoch: u64) -> EpochResult {
        EpochResult {
            epoch,
            step: epoch * 3,
            train_loss: 1.0 / epoch as f64,
            train_accuracy: 0.5,
            val_loss: None,
            val_accuracy: None,
            lr: 1e-4,
            images_per_second: 1e4,
            grad_norm: None,
            block_gradients: Vec::new(),
            loss_scale: None,
            skipped_steps: None,
            adapters: Vec::new(),
        }
    }

    #[test]
    fn metrics_are_cut_back_to_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path(), &RunConfig::default()).unwrap();
        for epoch in 1..=4 {
            run.append_metrics(&result(epoch)).unwrap();
        }
        let path = run.metrics_path();
        let text = std::fs::read_to_string(&path).unwrap() + "{\"epoch\":5,\"st";
        std::fs::write(&path, &text).unwrap();
        assert_eq!(run.keep_metrics(3).unwrap(), [result(1), result(2), result(3)]);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3);
        run.append_metrics(&result(4)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 4);
        assert!(
            text.starts_with("{\"epoch\":1,\"step\":3,\"train_loss\":1.0,\"train_accuracy\":0.5,\"val_loss\":null,")
        );
    }

    #[test]
    fn settings_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = RunConfig::default();
        config.command.insert("data".into(), "a folder with \"quotes\"".into());
        let path = folder.path().join("a/b");
        drop(RunDir::create(&path, &config).unwrap());
        assert_eq!(RunDir::open(&path).unwrap().1, config);
        assert!(RunDir::holds_run(&path) && !RunDir::holds_run(folder.path()));
        assert!(RunDir::open(folder.path()).is_err());
        for bad in ["", "x", "training = 3", "[training]\nrecipe = \"auto\"\nbatch_size = 0"] {
            std::fs::write(path.join("config.toml"), bad).unwrap();
            assert!(RunDir::open(&path).is_err(), "{bad}");
        }
    }
}
