//! A CSV of paths and classes: paths relative to the CSV's own folder, columns by the header if there is one.

mod columns;
mod lookup;
mod records;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use super::bytes::read_limited;
use super::folder::FileSet;
use super::names::{ClassOrder, quoted};
use super::part_names::Part;
use super::table::MAX_CLASSES;
use super::{Dataset, count};
use crate::error::{Error, Result};
use columns::Columns;
use lookup::{Found, Look, Lookup};
use records::{Record, Records, separator};

/// Longer files are refused.
const MAX_BYTES: u64 = 1 << 30;
/// Longer lists are refused: each row takes some 200 bytes of memory.
const MAX_ROWS: usize = 1 << 24;

/// After this many missing files the search stops, because looking in every place takes time.
const MOST_MISSING: usize = 10_000;

const NO_IMAGES: &str = "lists no images; each line is path,label";

/// Opens such a list. Every file must exist; every missing one is counted and the first is named.
pub(crate) fn open(path: &Path) -> Result<Box<dyn Dataset>> {
    let bytes = read_limited(path, MAX_BYTES)?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    if let Some(at) = text.iter().position(|&b| b == 0) {
        return Err(Error::file(path, format!("is not UTF-8 text (byte {at} is zero); save it as UTF-8")));
    }
    let mut list = List::new(path);
    list.read(text)?;
    let order = ClassOrder::of(list.labels.iter().map(String::as_str));
    let place: Vec<usize> = list.labels.iter().map(|label| order.place(label)).collect();
    list.check_repeats(&place)?;
    let files = list.rows.into_iter().map(|row| (row.file, place[row.label])).collect();
    Ok(Box::new(FileSet { files, classes: order.classes, remarks: list.remarks }))
}

/// The text of the list at `path` without Excel's line `sep=;`, its separator, and the number of its first line.
fn separated<'a>(path: &Path, text: &'a [u8]) -> (&'a [u8], u8, usize) {
    if let [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', separator @ (b',' | b';' | b'\t' | b'|'), rest @ ..] = text {
        let end = match rest {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => 0,
        };
        if end > 0 || rest.is_empty() {
            return (&rest[end..], *separator, 2);
        }
    }
    let is_tsv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tsv"));
    (text, if is_tsv { b'\t' } else { separator(text) }, 1)
}

/// `file` with the canonical path of its folder, so that `a.png` and `sub/../a.png` are the same; `folders` caches known folders.
fn resolved<'a>(file: &'a Path, folders: &mut HashMap<&'a Path, PathBuf>) -> Cow<'a, Path> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return Cow::from(file) };
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let real = folders.entry(folder).or_insert_with(|| here.canonicalize().unwrap_or_else(|_| folder.to_owned()));
    Cow::from(real.join(name))
}

/// A row that names an image.
struct Row {
    line: usize,
    file: PathBuf,
    /// Place in [`List::labels`].
    label: usize,
}

/// The content of a list.
struct List<'a> {
    path: &'a Path,
    lookup: Lookup,
    rows: Vec<Row>,
    /// Each label once, in order of first appearance.
    labels: Vec<String>,
    ids: HashMap<String, usize>,
    /// The line and path of the first missing file, and the number of missing files.
    missing: Option<(usize, PathBuf)>,
    missing_count: usize,
    /// The number of labels with spaces around them, and without.
    padded: [usize; 2],
    /// The column that assigns rows to parts of the data, and the parts that it names.
    part_column: Option<usize>,
    parts: BTreeSet<Part>,
    remarks: Vec<String>,
}

impl<'a> List<'a> {
    fn new(path: &'a Path) -> Self {
        List {
            path,
            lookup: Lookup::new(path),
            rows: Vec::new(),
            labels: Vec::new(),
            ids: HashMap::new(),
            missing: None,
            missing_count: 0,
            padded: [0; 2],
            part_column: None,
            parts: BTreeSet::new(),
            remarks: Vec::new(),
        }
    }

    fn bad(&self, line: usize, problem: impl std::fmt::Display) -> Error {
        Error::file(self.path, format!("line {line} {problem}"))
    }

    fn read(&mut self, text: &[u8]) -> Result<()> {
        let (text, separator, line) = separated(self.path, text);
        let mut records = Records::new(text, separator).starting_at(line).peekable();
        let first = match records.peek() {
            None => return Err(Error::file(self.path, NO_IMAGES)),
            Some(Err((line, problem))) => return Err(self.bad(*line, problem)),
            Some(Ok(record)) => record,
        };
        let names: Vec<String> = first.fields.iter().map(|field| field.lossy().into_owned()).collect();
        let looks: Vec<Look> = first.fields.iter().map(|field| self.lookup.look(&field.bytes)).collect();
        let recurs = |i: usize| {
            let later = Records::new(text, separator).skip(1).map_while(Result::ok);
            later.into_iter().any(|record| record.fields.get(i).is_some_and(|f| f.bytes == first.fields[i].bytes))
        };
        let columns = columns::find(&names, |i| looks[i], recurs).map_err(|e| Error::file(self.path, e))?;
        if columns.header {
            records.next();
        }
        self.part_column = columns.part(&names);
        for record in records {
            let record = record.map_err(|(line, problem)| self.bad(line, problem))?;
            self.add(&record, &columns, names.len())?;
            if self.missing_count == MOST_MISSING {
                break;
            }
        }
        self.check_missing(&columns)?;
        if self.rows.is_empty() {
            return Err(Error::file(self.path, NO_IMAGES));
        }
        self.say(&names, &columns);
        Ok(())
    }

    fn add(&mut self, record: &Record, columns: &Columns, width: usize) -> Result<()> {
        let line = record.line;
        if record.fields.len() != width {
            let found = count(record.fields.len(), "field");
            let wanted = if width == 2 { "two".into() } else { width.to_string() };
            return Err(
                self.bad(line, format!("has {found} instead of {wanted}, as its first line; each line is path,label"))
            );
        }
        let (path, label) = (&record.fields[columns.path], &record.fields[columns.label]);
        if path.bytes.is_empty() || label.bytes.is_empty() {
            return Err(self.bad(line, "has an empty field; each line is path,label"));
        }
        let file = match self.lookup.find(&path.bytes) {
            Found::File(file) => file,
            Found::Missing(file) => {
                self.missing_count += 1;
                self.missing.get_or_insert_with(|| (line, file.clone()));
                return Ok(());
            }
            Found::Several(names) => {
                let names: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
                let names = quoted(names.iter().map(|name| &**name));
                return Err(
                    self.bad(line, format!("names `{}`, which may be {names}; give the extension", path.lossy()))
                );
            }
            Found::NoPath => {
                return Err(
                    self.bad(line, format!("names `{}`, which is not UTF-8; save the list as UTF-8", path.lossy()))
                );
            }
        };
        self.padded[usize::from(!label.padded)] += 1;
        self.parts.extend(self.part_column.and_then(|column| Part::called(&record.fields[column].lossy())));
        let label = std::str::from_utf8(&label.bytes).map_err(|_| {
            self.bad(line, format!("has the label `{}`, which is not UTF-8; save the list as UTF-8", label.lossy()))
        })?;
        let label = match self.ids.get(label) {
            Some(&id) => id,
            None => self.add_label(label, line)?,
        };
        if self.rows.len() == MAX_ROWS {
            return Err(Error::file(self.path, format!("lists more than {MAX_ROWS} images; split it")));
        }
        self.rows.push(Row { line, file, label });
        Ok(())
    }

    fn add_label(&mut self, label: &str, line: usize) -> Result<usize> {
        let id = self.labels.len();
        if id == MAX_CLASSES {
            let problem =
                format!("gives the {}th different label, which is not possible; check the column of labels", id + 1);
            return Err(self.bad(line, problem));
        }
        self.labels.push(label.to_owned());
        self.ids.insert(label.to_owned(), id);
        Ok(id)
    }

    fn check_missing(&self, columns: &Columns) -> Result<()> {
        let Some((line, first)) = &self.missing else { return Ok(()) };
        let more = match self.missing_count - 1 {
            0 => String::new(),
            n if n + 1 == MOST_MISSING => format!(" (and {n} or more others)"),
            n => format!(" ({n} more are missing too)"),
        };
        if let Some(image) = self.lookup.unread(first) {
            let problem = format!("names {}, an image in a format that is not read{more}; convert it", image.display());
            return Err(self.bad(*line, problem));
        }
        let correct = match first.to_str() {
            None => "save the list as UTF-8, or correct it",
            Some(_) if *line == 1 && !columns.header => {
                "correct the list, or if that line is a header, make it path,label"
            }
            Some(_) => "correct the list",
        };
        Err(self.bad(*line, format!("names {}, which does not exist{more}; {correct}", first.display())))
    }

    /// Refuses a file that has two classes, and counts the rows that only repeat one; `place` is the class of each label.
    fn check_repeats(&mut self, place: &[usize]) -> Result<()> {
        let mut first: HashMap<Cow<Path>, &Row> = HashMap::with_capacity(self.rows.len());
        let mut folders = HashMap::new();
        let goes_up = |row: &Row| row.file.components().any(|part| part == Component::ParentDir);
        let resolves = self.rows.iter().any(goes_up);
        let (mut repeats, mut example) = (0, None);
        for row in &self.rows {
            let file = if resolves { resolved(&row.file, &mut folders) } else { Cow::from(&row.file) };
            let Some(other) = first.get(&file) else {
                first.insert(file, row);
                continue;
            };
            if place[row.label] != place[other.label] {
                let (label, other_label) = (&self.labels[row.label], &self.labels[other.label]);
                let problem = format!(
                    "calls {} `{label}`, and line {} calls it `{other_label}`; an image has one class, so remove one of the \
                     two",
                    row.file.display(),
                    other.line
                );
                return Err(self.bad(row.line, problem));
            }
            repeats += 1;
            example.get_or_insert((row.line, other.line));
        }
        if let Some((line, other)) = example {
            let rows =
                if repeats == 1 { "1 row repeats another".into() } else { format!("{repeats} rows repeat others") };
            self.remarks
                .push(format!("{rows} of {} and count again: line {line} is line {other}", self.path.display()));
        }
        Ok(())
    }

    /// What the user should know about how the list was read.
    fn say(&mut self, names: &[String], columns: &Columns) {
        let list = self.path.display();
        if columns.header && names.len() > 2 {
            let (path, label) = (&names[columns.path], &names[columns.label]);
            self.remarks.push(format!("files by the column `{path}` of {list}, classes by `{label}`"));
        }
        if let Some(column) = self.part_column.filter(|_| !self.parts.is_empty()) {
            self.remarks.push(format!(
                "the column `{}` of {list} is left out, so the rows of all parts are read as one; give each part a list of \
                 its own (`train.csv` beside `val.csv`)",
                names[column]
            ));
        }
        if let Some((file, count_of)) = &self.lookup.elsewhere {
            let files = count(*count_of, "file");
            self.remarks
                .push(format!("{files} of {list} found by id or in a folder beside it, the first: {}", file.display()));
        }
        if self.padded.iter().all(|&count| count > 0) {
            let labels = count(self.padded[0], "label");
            self.remarks.push(format!("{labels} of {list} taken without the spaces around"));
        }
    }
}
