//! Known driver bugs: cases that are expected to fail, with the reason and a link, so that they don't hide a new failure, and that a fix
//! is noticed.

use std::path::Path;

use regex_lite::Regex;
use serde::Deserialize;

use super::report::{Expectation, Status};
use crate::error::{Error, Result};
use crate::files;
use crate::gpu::{AdapterReport, BackendName};

/// The built-in list.
const SHIPPED: &str = include_str!("expectations.toml");
/// The largest list that is read.
const MOST_BYTES: u64 = 1 << 20;

/// Expected failures; the first that covers a case counts.
#[derive(Debug, Default)]
pub struct Expectations(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    backend: Option<BackendName>,
    vendor: Option<u32>,
    device: Option<Regex>,
    driver: Option<Regex>,
    case: Regex,
    expectation: Expectation,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    expect: Vec<Written>,
}

/// An entry of the file. A missing key matches everything.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    backend: Option<BackendName>,
    /// PCI vendor number, such as 0x1002.
    vendor: Option<u32>,
    /// Regular expression over the adapter's name.
    device: Option<String>,
    /// Regular expression over the driver's name and version.
    driver: Option<String>,
    /// Regular expression over the case's line.
    case: String,
    status: Option<Status>,
    reason: String,
    link: String,
}

impl Expectations {
    /// The entries of `file`, then the built-in ones.
    pub fn load(file: Option<&Path>) -> Result<Self> {
        let mut all = Vec::new();
        if let Some(path) = file {
            let text = files::read_text(path, MOST_BYTES)
                .map_err(|e| Error::file(path, format!("could not be read: {e}")))?
                .ok_or_else(|| Error::file(path, "is too large for a list of expectations"))?;
            all.extend(parse(&text).map_err(|problem| Error::file(path, problem))?);
        }
        all.extend(parse(SHIPPED).map_err(|problem| Error::file("expectations.toml", problem))?);
        Ok(Self(all))
    }

    /// What is expected of the case `line` on `adapter`, if anything is known.
    pub fn of(&self, adapter: &AdapterReport, line: &str) -> Option<Expectation> {
        let driver = format!("{} {}", adapter.driver, adapter.driver_info);
        let fits = |pattern: &Option<Regex>, text: &str| pattern.as_ref().is_none_or(|p| p.is_match(text));
        let found = self.0.iter().find(|entry| {
            entry.backend.is_none_or(|backend| backend == adapter.backend)
                && entry.vendor.is_none_or(|vendor| vendor == adapter.vendor)
                && fits(&entry.device, &adapter.name)
                && fits(&entry.driver, &driver)
                && entry.case.is_match(line)
        });
        found.map(|entry| entry.expectation.clone())
    }
}

fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let file: File = toml::from_str(text).map_err(|e| format!("is not a list of expectations: {e}"))?;
    let regex = |text: String| Regex::new(&text).map_err(|e| format!("{text:?} is not a regular expression: {e}"));
    let entries = file.expect.into_iter().map(|written| {
        let expected = written.status.unwrap_or(Status::Fail);
        if expected.is_good() {
            return Err(format!("expects {:?} to be {}, which is not a failure", written.case, expected.name()));
        }
        Ok(Entry {
            backend: written.backend,
            vendor: written.vendor,
            device: written.device.map(regex).transpose()?,
            driver: written.driver.map(regex).transpose()?,
            case: regex(written.case)?,
            expectation: Expectation { expected, reason: written.reason, link: written.link },
        })
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use pollster::FutureExt as _;

    use super::*;
    use crate::gpu::list_adapters;

    #[test]
    fn the_shipped_ones_can_be_read() {
        assert!(!parse(SHIPPED).unwrap().is_empty());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            ("expect = 3", "list of expectations"),
            ("[[expect]]\nreason = \"r\"\nlink = \"l\"", "case"),
            ("[[expect]]\ncase = \"(\"\nreason = \"r\"\nlink = \"l\"", "regular expression"),
            ("[[expect]]\ncase = \"a\"\nreason = \"r\"\nlink = \"l\"\ncolour = 1", "colour"),
            ("[[expect]]\ncase = \"a\"\nreason = \"r\"\nlink = \"l\"\nstatus = \"pass\"", "not a failure"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(word), "{text}: {problem}");
        }
    }

    #[test]
    fn every_part_of_an_entry_must_fit() {
        let adapter = &list_adapters(None).block_on()[0];
        let of = |more: &str| {
            let text = format!("[[expect]]\ncase = \"^relu count=1$\"\nreason = \"r\"\nlink = \"l\"\n{more}");
            Expectations(parse(&text).unwrap())
        };
        assert!(of("").of(adapter, "relu count=1").is_some_and(|e| e.expected == Status::Fail));
        assert!(of("").of(adapter, "relu count=12").is_none());
        assert!(of(&format!("vendor = {}", adapter.vendor)).of(adapter, "relu count=1").is_some());
        for other in ["vendor = 77777", "device = \"no such thing\"", "driver = \"^$\"", "backend = \"metal\""] {
            assert!(of(other).of(adapter, "relu count=1").is_none(), "{other}");
        }
    }
}
