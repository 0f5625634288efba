//! What a configuration says of a network, and the readings that both libraries' configurations share.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::model::{Architecture, Pool};
use crate::weights::text::{printable, quoted};

/// What a configuration says about a network.
#[derive(Debug, Default, PartialEq)]
pub(in crate::weights) struct Stated {
    /// Keys of the architecture's description with values that the tensors must confirm: `stem.width`.
    pub told_by_tensors: Vec<(&'static str, Value)>,
    /// The same for keys that tensors can't confirm: their values are used.
    pub untold: Vec<(&'static str, Value)>,
    pub labels: Option<Vec<String>>,
    /// Whether its classes are ImageNet-1k's.
    pub imagenet: bool,
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
pub(super) fn usual_pool() -> (&'static str, Value) {
    ("stem.pool", json!(Pool::default()))
}

/// A list of three numbers.
fn three(value: &Value) -> Option<Value> {
    let numbers = value.as_array()?;
    (numbers.len() == 3 && numbers.iter().all(Value::is_number)).then(|| value.clone())
}

/// Three numbers under `key`; an error for anything else.
pub(super) fn channels(config: &Value, key: &str) -> Result<Option<Value>, String> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => three(value)
            .map(Some)
            .ok_or_else(|| format!("has {} as `{key}`; it takes three numbers", printable(&value.to_string()))),
    }
}

/// Puts the sides of resize and crop into `found`. If the user gives both (`given`), unknown sides do not matter.
pub(super) fn sides(
    found: &mut Map<String, Value>,
    sides: Result<Option<(u64, u64)>, String>,
    given: bool,
) -> Result<(), String> {
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
pub(super) fn crop_share(config: &Value) -> Result<f64, String> {
    let share = config.get("crop_pct").and_then(Value::as_f64).unwrap_or(0.875);
    if share > 0.0 && share <= 1.0 {
        return Ok(share);
    }
    Err(format!("has {share} as `crop_pct`; it takes a number above 0, up to 1"))
}

/// The error for an unsupported scaling.
pub(super) fn not_done(how: &str) -> String {
    format!("{how}, which is not supported; give --resize and --crop instead")
}
