//! The files of a folder of measurements. They come from another machine: they are read up to a limit, and an unreadable file counts as
//! missing.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::files;

/// The largest file that is read. Measurements are smaller.
const MAX_BYTES: u64 = 64 << 20;

/// The folder.
pub struct Folder {
    path: PathBuf,
    steps: Vec<Step>,
    about: Vec<[String; 2]>,
}

/// A step of the script.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub name: String,
    /// `done`, `failed`, `time-out` or `left out`.
    pub status: String,
    pub seconds: String,
    /// The last line on stderr, or why it was left out.
    pub message: String,
}

impl Folder {
    /// # Errors
    /// The folder does not exist.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Err(Error::file(path, "is not a folder; name one that scripts/measure-gpu.sh has filled"));
        }
        let rows = |name: &str| -> Vec<Vec<String>> {
            let text = files::read_text(&path.join(name), MAX_BYTES).ok().flatten().unwrap_or_default();
            text.lines().map(|line| line.split('\t').map(plain).collect()).collect()
        };
        let mut steps = Vec::new();
        for row in rows("steps.tsv") {
            if let [name, status, seconds, message] = &row[..] {
                let [name, status, seconds, message] = [name, status, seconds, message].map(Clone::clone);
                steps.push(Step { name, status, seconds, message });
            }
        }
        let about = rows("about.tsv").into_iter().filter_map(|row| <[String; 2]>::try_from(row).ok()).collect();
        Ok(Self { path: path.to_owned(), steps, about })
    }

    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What the script says about the machine: names and values.
    pub fn about(&self) -> &[[String; 2]] {
        &self.about
    }

    /// Whether there is a file of that name.
    pub fn has(&self, name: &str) -> bool {
        self.path.join(name).is_file()
    }

    /// The JSON of `NAME.json`, or of `NAME.json.gz`; null if it is missing or can't be read.
    pub fn json(&self, name: &str) -> Value {
        let plain = files::read_limited(&self.path.join(format!("{name}.json")), MAX_BYTES).ok().flatten();
        let bytes = plain.or_else(|| {
            let packed = files::read_limited(&self.path.join(format!("{name}.json.gz")), MAX_BYTES).ok().flatten()?;
            let mut bytes = Vec::new();
            flate2::read::GzDecoder::new(&packed[..]).take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
            Some(bytes)
        });
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }
}

/// Text escaped for Markdown, on one line.
pub fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in text.trim().chars().filter(|c| !c.is_control()).take(500) {
        if "\\`*_[]<>|#".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A number as text with `digits` decimals; a dash for none.
pub fn number(value: &Value, digits: usize) -> String {
    value.as_f64().map_or("-".into(), |value| format!("{value:.digits$}"))
}

/// A string; a dash for none.
pub fn text(value: &Value) -> String {
    value.as_str().map_or("-".into(), plain)
}

/// The elements of an array; empty for anything else.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
