//! Names of files to write: an extension of another format than the one written is refused before the work.

use std::path::Path;

use crate::error::{Error, Result};

/// Extensions of known formats. Any other is part of the name.
const KNOWN: [&str; 42] = [
    "arrow",
    "avif",
    "bmp",
    "csv",
    "db",
    "doc",
    "docx",
    "eps",
    "feather",
    "gif",
    "h5",
    "hdf5",
    "htm",
    "html",
    "jpeg",
    "jpg",
    "json",
    "jsonl",
    "mat",
    "md",
    "ndjson",
    "npy",
    "npz",
    "onnx",
    "parquet",
    "pdf",
    "pickle",
    "pkl",
    "png",
    "pt",
    "pth",
    "safetensors",
    "svg",
    "tif",
    "tiff",
    "toml",
    "tsv",
    "webp",
    "xlsx",
    "xml",
    "yaml",
    "yml",
];

/// Extensions of compressed files and archives, which are never written.
const COMPRESSED: [&str; 14] =
    ["7z", "br", "bz2", "gz", "lz4", "lzma", "rar", "svgz", "tar", "tbz2", "tgz", "xz", "zip", "zst"];

/// A format that is written, and its extensions, the usual one first.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    what: &'static str,
    endings: &'static [&'static str],
}

pub const SVG: Written = Written { what: "an SVG picture", endings: &["svg"] };
pub const HTML: Written = Written { what: "an HTML page", endings: &["html", "htm"] };
pub const MARKDOWN: Written = Written { what: "Markdown", endings: &["md"] };
pub const CSV: Written = Written { what: "CSV", endings: &["csv"] };
pub const JSON: Written = Written { what: "JSON", endings: &["json"] };
pub const JSON_LINES: Written = Written { what: "JSON lines", endings: &["jsonl", "json", "ndjson"] };
pub const PARQUET: Written = Written { what: "Parquet", endings: &["parquet"] };
pub const SAFETENSORS: Written = Written { what: "safetensors", endings: &["safetensors"] };
pub const TEXT: Written = Written { what: "text", endings: &["txt"] };

/// Refuses a name with the extension of another format than `written`.
pub fn check(path: &Path, written: Written) -> Result<()> {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let Written { what, endings } = written;
    if COMPRESSED.contains(&&*ending) {
        let problem =
            format!("what is written is not compressed, so .{ending} would mislead; end the name in .{}", endings[0]);
        return Err(Error::Usage(format!("{}: {problem}", path.display())));
    }
    if endings.contains(&&*ending) || !KNOWN.contains(&&*ending) {
        return Ok(());
    }
    let problem = format!("what is written is {what}, not .{ending}; end the name in .{}", endings[0]);
    Err(Error::Usage(format!("{}: {problem}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_of_another_format_is_refused() {
        for (name, written, expected) in [
            ("c.png", SVG, "an SVG picture, not .png; end the name in .svg"),
            ("a/r.PDF", HTML, "an HTML page, not .pdf; end the name in .html"),
            ("r.html", JSON, "JSON, not .html"),
            ("p.parquet", TEXT, "text, not .parquet; end the name in .txt"),
            ("l.npy", SAFETENSORS, "safetensors, not .npy"),
            ("l.pkl", SAFETENSORS, "safetensors, not .pkl"),
            ("x.svg.gz", SVG, "not compressed, so .gz would mislead; end the name in .svg"),
            ("p.csv.ZST", CSV, "not compressed, so .zst would mislead; end the name in .csv"),
            ("p.zip", JSON, "not compressed, so .zip would mislead"),
        ] {
            let error = check(Path::new(name), written).unwrap_err();
            assert!(error.to_string().contains(expected) && error.exit_status() == 2, "{error}");
            assert!(error.to_string().starts_with(name), "{error}");
        }
        for (name, written) in [
            ("c.svg", SVG),
            ("c.SVG", SVG),
            ("r.htm", HTML),
            ("p.json", JSON_LINES),
            ("p.txt", TEXT),
            ("/dev/stdout", JSON),
            ("confusion.2026-11-28", SVG),
            ("p.part", CSV),
        ] {
            assert!(check(Path::new(name), written).is_ok(), "{name}");
        }
    }
}
