//! What `infer` prints about an image, and its text formats.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::Path;

use serde::{Serialize, Serializer};

use crate::error::{Error, Result};
use crate::predict::Prediction;

/// The answer for an image; its JSON is one line of `--json`.
#[derive(Serialize)]
pub struct Answer<'a> {
    #[serde(serialize_with = "lossy")]
    pub input: &'a OsStr,
    /// The most likely first.
    pub predictions: Vec<Prediction>,
    /// The picture that `--grad-cam` drew.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "lossy_path")]
    pub grad_cam: Option<&'a Path>,
}

/// JSON is Unicode: bytes of a path that are not valid UTF-8 become U+FFFD.
fn lossy<S: Serializer>(path: &OsStr, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

fn lossy_path<S: Serializer>(path: &Option<&Path>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    lossy(path.unwrap_or(Path::new("")).as_os_str(), serializer)
}

/// The bytes of a path, for text and CSV, which may hold any. On systems where paths are not bytes, their text.
fn bytes(path: &OsStr) -> Cow<'_, [u8]> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        Cow::Borrowed(path.as_bytes())
    }
    #[cfg(not(unix))]
    {
        Cow::Owned(path.to_string_lossy().into_owned().into_bytes())
    }
}

/// A label that is safe to print on a terminal: control characters are escaped.
fn tamed(label: &str) -> String {
    let tame = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    label.chars().map(tame).collect()
}

/// The first line of CSV.
pub const CSV_HEADER: &str = "input,rank,index,label,probability\n";

impl Answer<'_> {
    /// A JSON object and a line end.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(self).map_err(|e| Error::file("stdout", e))? + "\n")
    }

    /// One line of CSV per prediction.
    pub fn csv(&self) -> Vec<u8> {
        let input = csv_bytes(&bytes(self.input));
        let line = |(rank, p): (usize, &Prediction)| {
            let rest = format!(",{},{},{},{}\n", rank + 1, p.index, csv_field(&p.label), p.probability);
            [&input, rest.as_bytes()].concat()
        };
        self.predictions.iter().enumerate().flat_map(line).collect()
    }

    /// For people.
    pub fn text(&self) -> Vec<u8> {
        let line = |p: &Prediction| format!("  {:6.2} %  {}\n", p.probability * 100.0, tamed(&p.label));
        let list: String = match self.predictions.is_empty() {
            true => "       –     no class is likely enough\n".into(),
            false => self.predictions.iter().map(line).collect(),
        };
        [&*bytes(self.input), b"\n", list.as_bytes()].concat()
    }
}

/// [`csv_field`] of bytes.
fn csv_bytes(field: &[u8]) -> Vec<u8> {
    if !field.iter().any(|byte| b",\"\n\r".contains(byte)) {
        return field.to_vec();
    }
    let escaped = field.iter().flat_map(|&byte| std::iter::repeat_n(byte, if byte == b'"' { 2 } else { 1 }));
    std::iter::once(b'"').chain(escaped).chain([b'"']).collect()
}

/// A field of a CSV line (RFC 4180).
pub fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predict::predictions;

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text_are_kept_where_the_form_allows() {
        use std::os::unix::ffi::OsStrExt;
        let predictions = vec![Prediction { index: 1, label: "a,b".into(), probability: 0.5 }];
        let answer = |name| Answer { input: OsStr::from_bytes(name), predictions: predictions.clone(), grad_cam: None };
        let name = b"caf\xe9,\"1\".png";
        assert_eq!(answer(name).csv(), b"\"caf\xe9,\"\"1\"\".png\",1,1,\"a,b\",0.5\n");
        assert_eq!(answer(name).text(), b"caf\xe9,\"1\".png\n   50.00 %  a,b\n");
        let json = answer(name).json().unwrap();
        assert!(json.starts_with("{\"input\":\"caf\u{fffd},\\\"1\\\".png\","), "{json}");
        assert!(answer(b"plain.png").csv().starts_with(b"plain.png,1,"));
    }

    #[test]
    fn one_output_gives_two_predictions_in_every_form() {
        let labels = ["not hotdog", "hotdog"].map(String::from);
        let answer = |threshold| Answer {
            input: OsStr::new("a"),
            predictions: predictions(&[-10.0], &labels, 5, threshold),
            grad_cam: None,
        };
        let both = answer(0.0);
        assert_eq!(both.text(), b"a\n  100.00 %  not hotdog\n    0.00 %  hotdog\n");
        let csv = String::from_utf8(both.csv()).unwrap();
        let rows: Vec<&str> = csv.lines().collect();
        assert!(
            rows[0].starts_with("a,1,0,not hotdog,0.99995460") && rows[1].starts_with("a,2,1,hotdog,0.0000453978"),
            "{csv}"
        );
        assert!(both.json().unwrap().contains("\"index\":1,\"label\":\"hotdog\",\"probability\":0.0000453978"));
        assert_eq!(answer(0.5).predictions.len(), 1);
    }
}
