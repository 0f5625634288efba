//! A CSV of `path,label`: paths relative to the CSV's own folder, a header line if there is one, RFC 4180 quoting.

use std::path::{Path, PathBuf};

use super::bytes::read_limited;
use super::folder::{FileSet, sort_class_names};
use super::{Dataset, count};
use crate::error::{Error, Result};

/// Longer files are refused.
const MAX_BYTES: u64 = 1 << 30;

/// Opens such a list. Every file must exist; every missing one is counted and the first is named.
pub(crate) fn open(path: &Path) -> Result<Box<dyn Dataset>> {
    let bytes = read_limited(path, MAX_BYTES)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|e| Error::file(path, format!("is not UTF-8 text (byte {}); save it as UTF-8", e.valid_up_to())))?;
    let rows = parse(text).map_err(|(line, e)| Error::file(path, format!("line {line} {e}")))?;
    let folder = path.parent().unwrap_or(Path::new(""));

    let mut items: Vec<(PathBuf, String)> = Vec::new();
    let mut missing: Vec<(usize, PathBuf)> = Vec::new();
    for (row, (line, fields)) in rows.into_iter().enumerate() {
        let [file, label] = match <[String; 2]>::try_from(fields) {
            Ok(pair) => pair.map(|f| f.trim().to_string()),
            Err(fields) => {
                let found = count(fields.len(), "field");
                return Err(Error::file(
                    path,
                    format!("line {line} has {found} instead of two; each line is path,label"),
                ));
            }
        };
        if row == 0 && is_header(&file, &label) {
            continue;
        }
        if file.is_empty() || label.is_empty() {
            return Err(Error::file(path, format!("line {line} has an empty field; each line is path,label")));
        }
        let full = folder.join(&file);
        if !full.is_file() {
            missing.push((line, full.clone()));
        }
        items.push((full, label));
    }
    if let Some((line, first)) = missing.first() {
        let more = match missing.len() - 1 {
            0 => String::new(),
            n => format!(" ({n} more are missing too)"),
        };
        let first = first.display();
        return Err(Error::file(
            path,
            format!("line {line} names {first}, which does not exist{more}; correct the list"),
        ));
    }
    if items.is_empty() {
        return Err(Error::file(path, "lists no images; each line is path,label"));
    }
    let mut classes: Vec<String> = items.iter().map(|(_, label)| label.clone()).collect();
    sort_class_names(&mut classes);
    classes.dedup();
    let place: std::collections::HashMap<&String, usize> = classes.iter().zip(0..).collect();
    let files = items.iter().map(|(file, label)| (file.clone(), place[label])).collect();
    Ok(Box::new(FileSet { files, classes: classes.clone(), remarks: Vec::new() }))
}

fn is_header(file: &str, label: &str) -> bool {
    let one_of = |word: &str, words: &[&str]| words.iter().any(|w| w.eq_ignore_ascii_case(word));
    one_of(file, &["path", "file", "filename", "file_name", "filepath", "image", "name"])
        && one_of(label, &["label", "class", "target", "category", "labels"])
}

/// The number of the line on which a row starts, and its fields.
type Row = (usize, Vec<String>);

/// The rows of a CSV, or the line and what is wrong there; blank lines are left out.
fn parse(text: &str) -> Result<Vec<Row>, (usize, &'static str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut rows, mut fields, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut start, mut quoted, mut was_quoted) = (1, 1, false, false);
    let mut chars = text.chars().peekable();
    loop {
        let c = chars.next();
        match c {
            Some('"') if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            Some('"') if quoted => quoted = false,
            Some('"') if field.is_empty() && !was_quoted => (quoted, was_quoted) = (true, true),
            Some(',') if !quoted => {
                fields.push(std::mem::take(&mut field));
                was_quoted = false;
            }
            None if quoted => return Err((start, "opens a quote that is never closed")),
            Some('\n') | None if !quoted => {
                if field.ends_with('\r') && !was_quoted {
                    field.pop();
                }
                if !fields.is_empty() || !field.is_empty() {
                    fields.push(std::mem::take(&mut field));
                    rows.push((start, std::mem::take(&mut fields)));
                }
                (line, was_quoted) = (line + 1, false);
                start = line;
                if c.is_none() {
                    return Ok(rows);
                }
            }
            // The carriage return of a line that ends in a quoted field.
            Some('\r') if was_quoted && !quoted => {}
            Some(c) => {
                line += usize::from(c == '\n');
                field.push(c);
            }
            None => unreachable!("the end of the text is handled above, quoted or not"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_line_ends_and_byte_order_marks() {
        let rows = parse("\u{feff}a,b\r\n\n\"x, \"\"y\"\"\",2\r\n\"two\nlines\",3\nlast,4").unwrap();
        let expect: Vec<(usize, Vec<&str>)> =
            vec![(1, vec!["a", "b"]), (3, vec!["x, \"y\"", "2"]), (4, vec!["two\nlines", "3"]), (6, vec!["last", "4"])];
        let rows: Vec<(usize, Vec<&str>)> =
            rows.iter().map(|(l, f)| (*l, f.iter().map(String::as_str).collect())).collect();
        assert_eq!(rows, expect);
        assert_eq!(parse("a,b\n\"c,d").unwrap_err().0, 2);
    }
}
