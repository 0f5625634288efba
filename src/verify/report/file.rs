//! The report as a file. Files from outside are hostile: the size is checked before reading.

use std::io::Read;
use std::path::Path;

use super::types::{Report, SCHEMA};
use crate::error::{Error, Result};
use crate::files;

/// Largest report that is read: a full suite on eight adapters takes a tenth of it.
const MOST_BYTES: u64 = 64 << 20;

impl Report {
    /// Reads a report.
    ///
    /// # Errors
    /// A file that is too large, is not a report, or has a newer schema.
    pub fn read(path: &Path) -> Result<Self> {
        let file = std::fs::File::open(path).map_err(|e| Error::file(path, format!("could not be opened: {e}")))?;
        let about = file.metadata().map_err(|e| Error::file(path, e))?;
        if !about.is_file() {
            return Err(Error::file(path, "is not a regular file; name a report that verify --report wrote"));
        }
        let mut bytes = Vec::new();
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|e| Error::file(path, e))?;
        Self::parse(&bytes).map_err(|problem| Error::file(path, problem))
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        #[derive(serde::Deserialize)]
        struct Version {
            schema: u32,
        }
        if bytes.len() as u64 > MOST_BYTES {
            return Err(format!("is larger than {} MiB, more than any report", MOST_BYTES >> 20));
        }
        let no_report = |e| format!("is not a report of verify: {e}; name a file that verify --report wrote");
        let Version { schema } = serde_json::from_slice(bytes).map_err(no_report)?;
        if schema != SCHEMA {
            return Err(format!("has schema {schema} and this program reads {SCHEMA}; use the version that wrote it"));
        }
        serde_json::from_slice(bytes).map_err(no_report)
    }

    /// The report as JSON text.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|e| Error::Usage(format!("the report can't be written: {e}")))
    }

    /// Writes the report, [redacted](Self::redacted).
    pub fn write(&self, path: &Path) -> Result<()> {
        files::write(path, (self.clone().redacted().to_json()? + "\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::report::sample::sample;

    #[test]
    fn reports_survive_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let report = sample();
        report.write(&path).unwrap();
        let back = Report::read(&path).unwrap();
        // NaN is unequal to itself, so the texts are compared.
        assert_eq!(back.to_json().unwrap(), report.to_json().unwrap());
        let values: Vec<Option<f64>> = back.adapters[0].cases.iter().map(|case| case.nmse).collect();
        assert!(values.contains(&None) && values.contains(&Some(f64::INFINITY)));
        assert!(values.iter().flatten().any(|value| value.is_nan()));
        assert_eq!(back.verdict(), report.verdict());
    }

    #[test]
    fn what_is_no_report_is_refused() {
        let text = sample().to_json().unwrap();
        let newer = text.replacen("\"schema\": 1", "\"schema\": 2", 1);
        assert!(Report::parse(newer.as_bytes()).unwrap_err().contains("schema 2"));
        let status = text.replacen("\"pass\"", "\"splendid\"", 1);
        for bad in ["", "{}", "[]", "{\"schema\": 1}", &text[..text.len() / 2], &"[".repeat(1 << 20), &status] {
            let problem = Report::parse(bad.as_bytes()).unwrap_err();
            assert!(problem.contains("is not a report"), "{problem}");
        }
        let folder = tempfile::tempdir().unwrap();
        let large = folder.path().join("large.json");
        std::fs::File::create(&large).unwrap().set_len(MOST_BYTES + 1).unwrap();
        assert!(Report::read(&large).unwrap_err().to_string().contains("larger than 64 MiB"));
        assert!(Report::read(folder.path()).unwrap_err().to_string().contains("not a regular file"));
    }
}
