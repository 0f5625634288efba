//! The files beside weights in a folder of the Hugging Face hub: `config.json` of `transformers` or timm, and
//! `preprocessor_config.json`. They say what tensors can't: where the stride is, how images are scaled, the names of classes.

mod timm;
mod transformers;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::text::{printable, quoted};
use crate::error::{Error, Result};
use crate::files;
use crate::model::{Architecture, Pool};

/// The largest file that is read: ImageNet-22k's names take 1 MB.
const MAX_CONFIG: u64 = 16 << 20;
/// Weights files whose neighbour `config.json` belongs to them; that of any other file may not.
const OF_FOLDERS: [&str; 4] =
    ["model.safetensors", "pytorch_model.bin", "model.safetensors.index.json", "pytorch_model.bin.index.json"];

/// What reads the preprocessing of a configuration.
type Reader = fn(&Value, bool) -> Result<Map<String, Value>, String>;

/// The files beside weights, as JSON.
#[derive(Debug, Default)]
pub(super) struct Sidecars {
    model: Option<(PathBuf, Value)>,
    preprocessor: Option<(PathBuf, Value)>,
}

/// What a configuration says about a network.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Stated {
    /// Keys of the architecture's description with values that the tensors must confirm: `stem.width`.
    pub told_by_tensors: Vec<(&'static str, Value)>,
    /// The same for keys that tensors can't confirm: their values are used.
    pub untold: Vec<(&'static str, Value)>,
    pub labels: Option<Vec<String>>,
    /// Whether its classes are ImageNet-1k's.
    pub imagenet: bool,
}

impl Sidecars {
    /// The files beside the weights at `path`. Errors: a file that can't be read or is not a JSON object.
    pub fn beside(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !OF_FOLDERS.contains(&&*name) {
            return Ok(Sidecars::default());
        }
        let read = |name: &str| {
            let path = path.with_file_name(name);
            let Some(bytes) = files::read_limited(&path, MAX_CONFIG)? else { return Ok(None) };
            // Windows' editors put a byte order mark first.
            match serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes)) {
                Ok(value @ Value::Object(_)) => Ok(Some((path, value))),
                Ok(_) => Err(Error::file(path, "is not a JSON object; download it again, or move it away")),
                Err(error) => {
                    let problem = format!("is not JSON: {}; download it again, or move it away", quoted(error));
                    Err(Error::file(path, problem))
                }
            }
        };
        Ok(Sidecars { model: read("config.json")?, preprocessor: read("preprocessor_config.json")? })
    }

    /// The path of `config.json`, for errors.
    pub fn path(&self) -> &Path {
        self.model.as_ref().map_or(Path::new("config.json"), |(path, _)| path)
    }

    /// What `config.json` says; `None` if there is none, or it belongs to neither library.
    pub fn stated(&self) -> Result<Option<Stated>> {
        let Some((path, config)) = &self.model else { return Ok(None) };
        let stated = match (config.get("model_type"), timm::architecture_name(config)) {
            (Some(kind), Some(name)) if timm::WRAPPERS.iter().any(|wrapper| kind == wrapper) => {
                timm::stated(config, name).map(Some)
            }
            (Some(_), _) => transformers::stated(config).map(Some),
            (None, Some(name)) => timm::stated(config, name).map(Some),
            (None, None) => Ok(None),
        };
        stated.map_err(|problem| Error::file(path, problem))
    }

    /// What `config.json` says about the classes, for any network.
    pub fn names(&self) -> Result<Stated> {
        let Some((path, config)) = &self.model else { return Ok(Stated::default()) };
        let labels = match timm::labels(config) {
            Some(labels) => Some(labels),
            None => transformers::labels(config).map_err(|problem| Error::file(path, problem))?,
        };
        Ok(Stated { labels, imagenet: timm::is_imagenet(config), ..Stated::default() })
    }

    /// The keys of `gpu_resnet.preprocess` that the files give. `sizes` is whether the user gives size and crop, so that an unsupported
    /// scaling does not matter.
    pub fn preprocess(&self, sizes: bool) -> Result<Map<String, Value>> {
        let read = |(path, config): &(PathBuf, Value), of: Reader| {
            of(config, sizes).map_err(|problem| Error::file(path, problem))
        };
        if let Some(preprocessor) = &self.preprocessor {
            return read(preprocessor, transformers::preprocess);
        }
        match &self.model {
            Some(model) if timm::architecture_name(&model.1).is_some() => read(model, timm::preprocess),
            _ => Ok(Map::new()),
        }
    }
}

impl Stated {
    /// Adds what only the configuration can say to `architecture`, and refuses what the tensors contradict. The error completes the
    /// sentence "FILE …"; `file` names the weights.
    /// Without a head (`has_head` false) the tensors say nothing about classes.
    pub fn apply(&self, architecture: &Architecture, has_head: bool, file: &Path) -> Result<Architecture, String> {
        let mut value = serde_json::to_value(architecture).map_err(|error| error.to_string())?;
        for (key, stated) in self.told_by_tensors.iter().filter(|(key, _)| has_head || *key != "classes") {
            let found = value.pointer(&format!("/{}", key.replace('.', "/"))).unwrap_or(&Value::Null);
            if found != stated {
                return Err(format!(
                    "says that `{key}` is {stated}, but the tensors of {} have {found}; they are not of one network, so \
                     correct or move away the one that is wrong",
                    file.display()
                ));
            }
        }
        for (key, stated) in &self.untold {
            if let Some(place) = value.pointer_mut(&format!("/{}", key.replace('.', "/"))) {
                *place = stated.clone();
            }
        }
        serde_json::from_value(value).map_err(quoted)
    }
}

/// The pool of every ResNet of both libraries.
fn usual_pool() -> (&'static str, Value) {
    ("stem.pool", json!(Pool::default()))
}

/// A list of three numbers.
fn three(value: &Value) -> Option<Value> {
    let numbers = value.as_array()?;
    (numbers.len() == 3 && numbers.iter().all(Value::is_number)).then(|| value.clone())
}

/// Three numbers under `key`; an error for anything else.
fn channels(config: &Value, key: &str) -> Result<Option<Value>, String> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => three(value)
            .map(Some)
            .ok_or_else(|| format!("has {} as `{key}`; it takes three numbers", printable(&value.to_string()))),
    }
}

/// Puts the sides of resize and crop into `found`. If the user gives both (`given`), unknown sides do not matter.
fn sides(found: &mut Map<String, Value>, sides: Result<Option<(u64, u64)>, String>, given: bool) -> Result<(), String> {
    match sides {
        Ok(Some((resize, crop))) => {
            found.insert("resize".into(), json!(resize));
            found.insert("crop".into(), json!(crop));
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(_) if given => Ok(()),
        Err(problem) => Err(problem),
    }
}

/// `crop_pct`: the side of the crop over that of the resized image.
fn crop_share(config: &Value) -> Result<f64, String> {
    let share = config.get("crop_pct").and_then(Value::as_f64).unwrap_or(0.875);
    if share > 0.0 && share <= 1.0 {
        return Ok(share);
    }
    Err(format!("has {share} as `crop_pct`; it takes a number above 0, up to 1"))
}

/// The error for an unsupported scaling.
fn not_done(how: &str) -> String {
    format!("{how}, which is not supported; give --resize and --crop instead")
}
