//! The attributes of `--set key=value`, in PyTorch's notation.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Values by attribute. Each is checked to be an attribute of the operation.
pub(super) struct Settings {
    op: &'static str,
    values: BTreeMap<&'static str, String>,
}

impl Settings {
    /// Reads `KEY=VALUE`s for the operation `op`, which has `attributes`.
    ///
    /// # Errors
    /// [`Error::Usage`] for text without `=`, an unknown attribute, or one that is given twice.
    pub fn parse(op: &'static str, attributes: &'static [&'static str], texts: &[String]) -> Result<Self> {
        let mut settings = Self { op, values: BTreeMap::new() };
        for text in texts {
            let (key, value) = text
                .split_once('=')
                .ok_or_else(|| Error::Usage(format!("--set {text:?}: write KEY=VALUE, for example stride=2")))?;
            let known = attributes.iter().find(|attribute| **attribute == key.trim());
            let key = known.ok_or_else(|| Error::Usage(settings.unknown(attributes, key.trim())))?;
            if settings.values.insert(key, value.trim().to_owned()).is_some() {
                return Err(Error::Usage(format!("--set {key} is given twice; give it once")));
            }
        }
        Ok(settings)
    }

    fn unknown(&self, attributes: &[&str], key: &str) -> String {
        match attributes {
            [] => format!("{} has no attributes; leave --set {key} out", self.op),
            attributes => format!("{} has no attribute {key:?}; it has {}", self.op, attributes.join(", ")),
        }
    }

    /// A whole number or a decimal one.
    pub fn number<T: FromStr>(&self, key: &str, default: T) -> Result<T> {
        let Some(text) = self.values.get(key) else { return Ok(default) };
        text.parse().map_err(|_| self.refuse(key, text, "a number in its range"))
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        let Some(text) = self.values.get(key) else { return Ok(default) };
        match text.to_lowercase().as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(self.refuse(key, text, "true or false")),
        }
    }

    /// Two numbers, `2,1`, or one for both.
    pub fn pair<T: FromStr + Copy>(&self, key: &str, default: [T; 2]) -> Result<[T; 2]> {
        Ok(self.optional_pair(key)?.unwrap_or(default))
    }

    /// [`Self::pair`], or `None` if it is not given.
    pub fn optional_pair<T: FromStr + Copy>(&self, key: &str) -> Result<Option<[T; 2]>> {
        let Some(text) = self.values.get(key) else { return Ok(None) };
        let bare = text.trim_matches(['(', ')', '[', ']']);
        let numbers: Vec<T> = bare
            .split(',')
            .map(|part| part.trim().parse())
            .collect::<Result<_, _>>()
            .map_err(|_| self.refuse(key, text, "one number, or two as in 2,1"))?;
        match numbers[..] {
            [both] => Ok(Some([both, both])),
            [height, width] => Ok(Some([height, width])),
            _ => Err(self.refuse(key, text, "one number, or two as in 2,1")),
        }
    }

    /// [`Self::optional_pair`] for an attribute without a default.
    pub fn required_pair<T: FromStr + Copy>(&self, key: &str) -> Result<[T; 2]> {
        let missing = || Error::Usage(format!("{} needs its {key}; give --set {key}=3, for example", self.op));
        self.optional_pair(key)?.ok_or_else(missing)
    }

    fn refuse(&self, key: &str, found: &str, wanted: &str) -> Error {
        Error::Usage(format!("--set {key}={found} of {}: it must be {wanted}", self.op))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(op: &'static str, texts: &[&str]) -> Result<Settings> {
        let attributes: &[&str] = match op {
            "conv2d" => &["stride", "padding", "dilation", "groups"],
            "batch_norm" => &["eps", "momentum", "training"],
            "adam" => &["lr", "betas"],
            "max_pool2d" => &["kernel_size"],
            _ => &[],
        };
        Settings::parse(op, attributes, &texts.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn values_as_pytorch_writes_them() {
        let settings = parse("conv2d", &["stride=2", "padding=(1, 0)", "groups=3"]).unwrap();
        assert_eq!(settings.pair("stride", [1, 1]).unwrap(), [2, 2]);
        assert_eq!(settings.pair("padding", [0, 0]).unwrap(), [1, 0]);
        assert_eq!(settings.pair("dilation", [1, 1]).unwrap(), [1, 1]);
        assert_eq!(settings.number("groups", 1).unwrap(), 3);
        assert!(parse("batch_norm", &["training=True"]).unwrap().flag("training", false).unwrap());
        assert_eq!(parse("adam", &["betas=0.8,0.9"]).unwrap().pair("betas", [0.0, 0.0]).unwrap(), [0.8, 0.9]);
    }

    #[test]
    fn mistakes_are_usage_errors() {
        let message = |result: Result<Settings>| match result {
            Err(Error::Usage(message)) => message,
            _ => panic!("accepted"),
        };
        assert!(message(parse("conv2d", &["strides=2"])).contains("stride, padding, dilation, groups"));
        assert!(message(parse("relu", &["stride=2"])).contains("no attributes"));
        assert!(message(parse("conv2d", &["stride"])).contains("KEY=VALUE"));
        assert!(message(parse("conv2d", &["stride=1", "stride=2"])).contains("twice"));
        let settings = parse("conv2d", &["stride=1,2,3", "padding=-1", "dilation=", "groups=2.5"]).unwrap();
        for key in ["stride", "padding", "dilation"] {
            assert!(matches!(settings.pair(key, [1usize, 1]), Err(Error::Usage(_))), "{key}");
        }
        assert!(matches!(settings.number("groups", 1usize), Err(Error::Usage(_))));
        assert!(matches!(
            parse("max_pool2d", &[]).unwrap().required_pair::<usize>("kernel_size"),
            Err(Error::Usage(_))
        ));
    }
}
