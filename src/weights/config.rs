//! The files beside weights in a folder of the Hugging Face hub: `config.json` of `transformers` or timm, and
//! `preprocessor_config.json`. They say what tensors can't: where the stride is, how images are scaled, the names of classes.

mod stated;
mod timm;
mod transformers;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::text::quoted;
use crate::error::{Error, Result};
use crate::files;
pub(super) use stated::Stated;

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
