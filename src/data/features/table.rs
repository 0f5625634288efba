//! The rows of several files, in an order that does not depend on how they are spread over files.

mod columns;
mod differences;
mod footer;
mod lists;
mod pages;
mod problem;
mod runs;
mod texts;
mod thrift;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use columns::Columns;

use super::{FeatureOrigin, by_folder};
use crate::data::names::ClassOrder;
use crate::error::{Error, Result};

/// The most rows.
const MAX_ROWS: usize = 200_000_000;
/// The most bytes of all ids and classes: so many, and so many for each of the files. Compressed, long ones may take hardly any there.
const SOME_TEXTS: usize = 32 << 20;
const TEXTS_A_BYTE: usize = 32;
/// Bytes that a class takes beside its name.
const OF_CLASS: usize = 400;

/// Rows of features in Parquet files, with an id and a class each: by class and then by id, as a folder of class folders has
/// its images.
#[derive(Debug)]
pub struct FeatureTable {
    files: Vec<PathBuf>,
    rows: Vec<Row>,
    classes: Vec<String>,
    columns: usize,
    origin: FeatureOrigin,
}

#[derive(Debug)]
struct Row {
    id: Arc<str>,
    class: u32,
    file: u32,
    /// Its number in the file.
    number: u32,
    /// Whether it has an error in place of features.
    has_failed: bool,
}

impl FeatureTable {
    /// Reads ids and labels of `files`, whose rows must have `columns` features.
    ///
    /// # Errors
    /// A file that is no such table, or was computed otherwise than the first; an id that comes twice.
    pub fn open(files: &[PathBuf], columns: usize) -> Result<Self> {
        let mut labels: HashMap<String, u32> = HashMap::new();
        let mut rows = Vec::new();
        let mut ids: HashSet<Arc<str>> = HashSet::new();
        let mut origin: Option<FeatureOrigin> = None;
        let (mut all_rows, mut bytes, mut most) = (0, 0, SOME_TEXTS);
        for (file, path) in files.iter().enumerate() {
            let table = Columns::open(path, columns)?;
            let found = table.origin();
            if origin.get_or_insert_with(|| found.clone()) != found {
                let first = files[0].display();
                let problem =
                    format!("was computed by another network, or from images prepared another way, than {first}");
                return Err(Error::file(path, format!("{problem}; name files of one network")));
            }
            most = table.size().saturating_mul(TEXTS_A_BYTE).saturating_add(most);
            let mut number = 0;
            table.names(|id, label, has_failed| {
                number += 1;
                all_rows += 1;
                bytes += id.len();
                if all_rows > MAX_ROWS || bytes > most {
                    let problem = format!("makes more than {MAX_ROWS} rows, or {most} bytes of ids and labels");
                    return Err(Error::file(path, problem));
                }
                // At once, since a small file may hold one id a billion times.
                let id: Arc<str> = id.into();
                if !ids.insert(id.clone()) {
                    let problem = format!("holds the id {} a second time; every image may be there once", shown(&id));
                    return Err(Error::file(path, problem));
                }
                // An image that could not be read may be of no class.
                let Some(label) = label else { return Ok(()) };
                let class = match labels.get(label) {
                    Some(&class) => class,
                    None => {
                        bytes += label.len() + OF_CLASS;
                        let next = labels.len() as u32;
                        labels.insert(label.to_owned(), next);
                        next
                    }
                };
                rows.push(Row { id, class, file: file as u32, number: number - 1, has_failed });
                Ok(())
            })?;
        }
        let order = ClassOrder::of(labels.keys().map(String::as_str));
        let mut place = vec![0; labels.len()];
        labels.iter().for_each(|(label, &class)| place[class as usize] = order.place(label) as u32);
        rows.iter_mut().for_each(|row| row.class = place[row.class as usize]);
        rows.sort_by(|a, b| a.class.cmp(&b.class).then_with(|| by_folder(&a.id, &b.id)));
        Ok(Self { files: files.to_vec(), rows, classes: order.classes, columns, origin: origin.unwrap_or_default() })
    }

    /// How the features were computed, as far as the files say so.
    pub fn origin(&self) -> &FeatureOrigin {
        &self.origin
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The classes, in the order in which data sets number them.
    pub fn class_names(&self) -> &[String] {
        &self.classes
    }

    /// The id of row `i`.
    pub fn id(&self, i: usize) -> &str {
        &self.rows[i].id
    }

    /// The class of row `i`.
    pub fn class(&self, i: usize) -> usize {
        self.rows[i].class as usize
    }

    /// Whether row `i` has an error in place of features: its image could not be read.
    pub fn has_failed(&self, i: usize) -> bool {
        self.rows[i].has_failed
    }

    /// Reads the features of the rows `wanted`, no row twice, and hands `each` the place in `wanted` and the features, in the
    /// order of the files.
    ///
    /// # Errors
    /// A file that changed or can't be read, a feature that is not finite, and what `each` gives.
    pub fn read(&self, wanted: &[usize], mut each: impl FnMut(usize, &[f32]) -> Result<()>) -> Result<()> {
        let mut order: Vec<(u32, u32, u32)> = Vec::with_capacity(wanted.len());
        order.extend(wanted.iter().zip(0..).map(|(&i, place)| (self.rows[i].file, self.rows[i].number, place)));
        order.sort_unstable();
        for part in order.chunk_by(|a, b| a.0 == b.0) {
            let path = &self.files[part[0].0 as usize];
            let mut next = part.iter().peekable();
            Columns::open(path, self.columns)?.features(|row, features| {
                let Some(&(_, _, place)) = next.next_if(|&&(_, number, _)| number as usize == row) else {
                    return Ok(());
                };
                let id = &self.rows[wanted[place as usize]].id;
                if features.is_empty() {
                    let problem = format!("has no features of {}", shown(id));
                    return Err(Error::file(path, format!("{problem}; leave the row out, or compute them")));
                }
                if features.iter().any(|value| !value.is_finite()) {
                    let problem = format!("holds features of {} that are not finite", shown(id));
                    return Err(Error::file(path, format!("{problem}; leave the row out, or compute them again")));
                }
                each(place as usize, features)
            })?;
            if next.next().is_some() {
                return Err(Error::file(path, "has fewer features than rows; write it again"));
            }
        }
        Ok(())
    }
}

/// An id in a message, which goes on behind it.
fn shown(id: &str) -> String {
    match id.char_indices().nth(200) {
        Some((end, _)) => format!("{:?}…", &id[..end]),
        None => format!("{id:?}"),
    }
}
