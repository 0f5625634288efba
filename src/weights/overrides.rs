//! The user's options about a network, for what its file does not say.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::text::printable;
use crate::data::{Interpolation, Preprocess};
use crate::error::{Error, Result};
use crate::model::Architecture;

/// Keys of an architecture's description that have an origin and that `--set` takes.
pub(super) const KEYS: [&str; 12] = [
    "block",
    "depths",
    "widths",
    "expansion",
    "stem.kind",
    "stem.width",
    "stem.pool",
    "stride_in",
    "shortcut",
    "groups",
    "width_per_group",
    "bn_eps",
];
/// The keys of a pool that `--set` accepts.
const POOL_KEYS: [&str; 4] = ["stem.pool.kernel_size", "stem.pool.stride", "stem.pool.padding", "stem.pool.ceil_mode"];

/// Options about a network. They take precedence over the file and the files beside it. A run stores them, so that it can be resumed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overrides {
    /// The prefix of the network in a file that holds several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights_key: Option<String>,
    /// The JSON of an architecture's description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// `key=value` pairs over the keys of the description.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<String>,
    /// Mean of red, green and blue, as fractions of 255.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<[f32; 3]>,
    /// Standard deviation of red, green and blue, as fractions of 255.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<[f32; 3]>,
    /// The length that the shorter side is scaled to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<u32>,
    /// The side of the central square that is then cropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<u32>,
    /// The interpolation of the scaling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interpolation: Option<Interpolation>,
}

impl Overrides {
    /// The keys of the description that `set` names, with values. Errors: no `key=value`, an unknown key, or a key twice.
    pub(super) fn settings(&self) -> Result<Vec<(&str, Value)>> {
        let mut settings: Vec<(&str, Value)> = Vec::new();
        for setting in &self.set {
            let refuse = |why: &str| Err(Error::Usage(format!("--set {}: {why}", printable(setting))));
            let Some((key, text)) = setting.split_once('=') else {
                return refuse("it takes key=value, such as stride_in=1x1");
            };
            if key == "classes" {
                return refuse("the classifier says how many classes there are");
            }
            if !KEYS.contains(&key) && !POOL_KEYS.contains(&key) {
                let keys = [&KEYS[..], &POOL_KEYS].concat().join(", ");
                return refuse(&format!("there is no such key; the keys are {keys}"));
            }
            if settings.iter().any(|(other, _)| *other == key) {
                return refuse("the key is set twice");
            }
            // A number, a list or an object of JSON, otherwise a word; `64,128` is a list.
            let list = || serde_json::from_str(&format!("[{text}]")).ok().filter(|_| text.contains(','));
            let value = serde_json::from_str(text).ok().or_else(list).unwrap_or_else(|| json!(text));
            settings.push((key, value));
        }
        Ok(settings)
    }

    /// `architecture` with the values of `set`.
    pub(super) fn change(&self, architecture: &Architecture) -> Result<Architecture> {
        let refuse = |error: &dyn std::fmt::Display| {
            Error::Usage(format!("--set does not go: {}", printable(&error.to_string())))
        };
        let mut value = serde_json::to_value(architecture).map_err(|error| refuse(&error))?;
        for (key, new) in self.settings()? {
            set(&mut value, key, new)?;
        }
        serde_json::from_value(value).map_err(|error| refuse(&error))
    }

    /// The architecture that `--architecture` describes, if it does. `classes` is how many the classifier has.
    pub(super) fn described(&self, classes: Option<usize>) -> Result<Option<Architecture>> {
        let Some(json) = &self.architecture else { return Ok(None) };
        let refuse = |error: &dyn std::fmt::Display| {
            Error::Usage(format!("--architecture is not a description of a network: {}", printable(&error.to_string())))
        };
        let mut value: Value =
            serde_json::from_str(json.trim_start_matches('\u{feff}')).map_err(|error| refuse(&error))?;
        if let (Some(keys), Some(classes)) = (value.as_object_mut(), classes) {
            keys.entry("classes").or_insert(classes.into());
        }
        serde_json::from_value(value).map(Some).map_err(|error| refuse(&error))
    }

    /// The keys of `gpu_resnet.preprocess` that are given.
    pub(super) fn preprocess(&self) -> Map<String, Value> {
        let given = [
            ("mean", self.mean.map(|mean| json!(mean))),
            ("std", self.std.map(|std| json!(std))),
            ("resize", self.resize.map(|side| json!(side))),
            ("crop", self.crop.map(|side| json!(side))),
            ("interpolation", self.interpolation.map(|filter| json!(filter))),
        ];
        given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }

    /// Whether size and crop are both given, so that no other scaling matters.
    pub(super) fn gives_sizes(&self) -> bool {
        self.resize.is_some() && self.crop.is_some()
    }

    /// Refuses impossible values, before any file is read.
    pub fn check(&self) -> Result<()> {
        self.settings()?;
        if self.mean.iter().flatten().any(|mean| !(0.0..=1.0).contains(mean)) {
            return Err(Error::Usage("--mean takes fractions of 255, such as 0.485,0.456,0.406".into()));
        }
        if self.std.iter().flatten().any(|std| !(*std > 0.0 && *std <= 2.0)) {
            return Err(Error::Usage("--std takes fractions of 255 above 0, such as 0.229,0.224,0.225".into()));
        }
        let sides =
            Preprocess { resize: self.resize.unwrap_or(256), crop: self.crop.unwrap_or(224), ..Preprocess::default() };
        sides.validate().map_err(|error| Error::Usage(format!("--resize or --crop: {error}")))
    }
}

/// Puts `new` under `key`, whose parts are joined by dots. A missing pool starts as the usual one.
fn set(value: &mut Value, key: &str, new: Value) -> Result<()> {
    let imagenet = value.pointer("/stem/kind") == Some(&json!("imagenet"));
    let Some(object) = value.as_object_mut() else { return Ok(()) };
    let Some((outer, inner)) = key.split_once('.') else {
        object.insert(key.to_owned(), new);
        return Ok(());
    };
    if (outer, inner) == ("stem", "pool") && (new.is_null() || new == "none") {
        if imagenet {
            return Err(Error::Usage("--set stem.pool=none: an `imagenet` stem has a pool".into()));
        }
        object.get_mut("stem").and_then(Value::as_object_mut).map(|stem| stem.remove("pool"));
        return Ok(());
    }
    if !object.get(outer).is_some_and(Value::is_object) {
        object.insert(outer.to_owned(), json!({}));
    }
    object.get_mut(outer).map_or(Ok(()), |inside| set(inside, inner, new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Pool, StrideIn};

    fn changed(name: &str, set: &[&str]) -> Result<Architecture> {
        let given = Overrides { set: set.iter().map(|s| s.to_string()).collect(), ..Overrides::default() };
        given.change(&Architecture::named(name).unwrap())
    }

    #[test]
    fn keys_of_any_depth_are_set() {
        let v1 = changed("resnet50", &["stride_in=1x1", "bn_eps=1e-3", "stem.pool.ceil_mode=true"]).unwrap();
        assert_eq!((v1.stride_in, v1.bn_eps), (StrideIn::First1x1, 1e-3));
        assert_eq!(v1.stem.pool, Some(Pool { ceil_mode: true, ..Pool::default() }));
        let wide = changed("resnet18", &["widths=32,64,128,256"]).unwrap();
        assert_eq!(wide.widths, [32, 64, 128, 256]);
        assert_eq!(changed("resnet18", &["widths=[32,64,128,256]"]).unwrap(), wide);
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        for (set, word) in [
            (&["stride=1x1"][..], "the keys are"),
            (&["stride_in"], "key=value"),
            (&["stride_in=2x2"], "2x2"),
            (&["stride_in=1x1", "stride_in=3x3"], "twice"),
            (&["classes=3"], "classifier"),
            (&["bn_eps=x"], "x"),
            (&["stem.pool=none"], "has a pool"),
        ] {
            let error = changed("resnet50", set).unwrap_err();
            assert!(error.to_string().contains(word) && error.exit_status() == 2, "{set:?}: {error}");
        }
        for given in [
            Overrides { mean: Some([123.7, 0.0, 0.0]), ..Overrides::default() },
            Overrides { std: Some([0.0, 1.0, 1.0]), ..Overrides::default() },
            Overrides { mean: Some([f32::NAN, 0.0, 0.0]), ..Overrides::default() },
            Overrides { crop: Some(0), ..Overrides::default() },
        ] {
            assert_eq!(given.check().unwrap_err().exit_status(), 2);
        }
        let given = Overrides { architecture: Some(r#"{"block":"basic"}"#.into()), ..Overrides::default() };
        assert!(given.described(None).unwrap_err().to_string().contains("depths"));
    }
}
