//! What the end of a Parquet file says of its columns and where they lie
//! (<https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>).

use super::problem::{Problem, Result, broken};
use super::thrift::{Input, Kind};

/// How deep groups of a schema may stand in one another.
const MAX_DEPTH: usize = 32;

/// What a file says of itself.
pub struct Footer<'a> {
    /// The names of the columns and groups of columns.
    pub names: Vec<&'a str>,
    /// The columns of values.
    pub leaves: Vec<Leaf<'a>>,
    /// Keys and values that a writer added.
    pub pairs: Vec<(&'a str, Option<&'a str>)>,
    rows: usize,
    /// How many row groups there are, and their descriptions.
    groups: (usize, Input<'a>),
}

/// A column of values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leaf<'a> {
    /// The name of the outermost group that it is in, or its own.
    pub name: &'a str,
    /// Whether it is in no group.
    pub is_outermost: bool,
    pub values: Values,
}

/// What values of a column are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Values {
    pub kind: Type,
    pub meaning: Meaning,
    /// The definition level of a value that is there.
    pub definition: u8,
    /// The most lists of lists.
    pub repetition: u8,
}

/// How values are stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Type {
    Bool,
    Int32,
    Int64,
    Int96,
    Float,
    Double,
    Bytes,
    FixedBytes,
}

/// What stored values stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Meaning {
    /// Themselves.
    Plain,
    /// Whole numbers without a sign.
    Unsigned,
    /// Decimals, dates, times and others.
    Other,
}

/// Where the pages of a column lie in a row group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chunk {
    pub codec: Codec,
    pub start: usize,
    pub end: usize,
    /// Entries: values, and those that are missing.
    pub entries: usize,
}

/// A part of a file: so many rows, and where each of some columns lies.
#[derive(Debug, Clone, PartialEq)]
pub struct RowGroup {
    pub rows: usize,
    pub chunks: Vec<Chunk>,
}

/// How pages are compressed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Codec {
    None,
    Snappy,
}

impl<'a> Footer<'a> {
    /// Reads the end of a file.
    pub fn of(file: &'a [u8]) -> Result<Self> {
        let (rest, mark) = file.split_last_chunk().ok_or_else(|| broken("it is too short"))?;
        match mark {
            b"PAR1" => {}
            b"PARE" => return Err(broken("it is encrypted")),
            _ => return Err(broken("it does not end as one")),
        }
        let (rest, size) = rest.split_last_chunk().ok_or_else(|| broken("it is too short"))?;
        let size = u32::from_le_bytes(*size) as usize;
        let bytes = rest.len().checked_sub(size).and_then(|from| rest.get(from..));
        Self::parse(bytes.ok_or_else(|| broken("its description is cut"))?)
    }

    fn parse(bytes: &'a [u8]) -> Result<Self> {
        let (mut names, mut leaves, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        let (mut rows, mut groups) = (None, None);
        let mut input = Input::new(bytes);
        input.fields(|input, number, kind| {
            match number {
                2 => {
                    let count = input.structures(kind)?;
                    (names, leaves) = schema(input, count)?;
                }
                3 => rows = Some(input.count(kind)?),
                4 => {
                    let mut list = *input;
                    groups = Some((list.structures(kind)?, list));
                    input.skip(kind)?;
                }
                5 => {
                    for _ in 0..input.structures(kind)? {
                        pairs.push(pair(input)?);
                    }
                }
                _ => input.skip(kind)?,
            }
            Ok(())
        })?;
        match (rows, groups, input.left()) {
            (Some(rows), Some(groups), 0) => Ok(Self { names, leaves, pairs, rows, groups }),
            _ => Err(broken("its description is not whole")),
        }
    }

    /// The row groups with the columns `wanted`, in a file of `length` bytes.
    pub fn row_groups(&self, wanted: &[usize], length: usize) -> Result<Vec<RowGroup>> {
        let (count, mut input) = self.groups;
        let mut groups = Vec::new();
        for _ in 0..count {
            let (mut rows, mut chunks) = (None, vec![None; wanted.len()]);
            input.fields(|input, number, kind| {
                match number {
                    1 => {
                        if input.structures(kind)? != self.leaves.len() {
                            return Err(broken("a row group has other columns than the file"));
                        }
                        for (column, leaf) in self.leaves.iter().enumerate() {
                            let place = wanted.iter().position(|&is| is == column);
                            let found = stored(input, leaf.values.kind)?;
                            if let Some(place) = place {
                                chunks[place] = Some(found.chunk(length)?);
                            }
                        }
                    }
                    3 => rows = Some(input.count(kind)?),
                    _ => input.skip(kind)?,
                }
                Ok(())
            })?;
            let rows = rows.ok_or_else(|| broken("a row group does not say how many rows it has"))?;
            let chunks = chunks.into_iter().collect::<Option<Vec<_>>>();
            let chunks = chunks.ok_or_else(|| broken("a row group has other columns than the file"))?;
            groups.push(RowGroup { rows, chunks });
        }
        check_places(&groups)?;
        let rows = groups.iter().fold(0, |rows: usize, group| rows.saturating_add(group.rows));
        if rows != self.rows {
            return Err(broken(format!("row groups of {rows} rows make a file of {}", self.rows)));
        }
        Ok(groups)
    }
}

/// No column may lie in another: a small file would hold any number of them.
fn check_places(groups: &[RowGroup]) -> Result<()> {
    let all = groups.iter().flat_map(|group| &group.chunks);
    let mut places: Vec<_> = all.map(|chunk| (chunk.start, chunk.end)).filter(|(start, end)| start < end).collect();
    places.sort_unstable();
    match places.windows(2).all(|pair| pair[0].1 <= pair[1].0) {
        true => Ok(()),
        false => Err(broken("columns lie in one another")),
    }
}

/// A key and its value.
fn pair<'a>(input: &mut Input<'a>) -> Result<(&'a str, Option<&'a str>)> {
    let (mut key, mut value) = ("", None);
    input.fields(|input, number, kind| {
        match number {
            1 => key = input.text(kind)?,
            2 => value = Some(input.text(kind)?),
            _ => input.skip(kind)?,
        }
        Ok(())
    })?;
    Ok((key, value))
}

/// An element of a schema: a column or a group.
struct Element<'a> {
    name: Option<&'a str>,
    kind: Option<i64>,
    meaning: Meaning,
    repetition: i64,
    children: i64,
}

fn element<'a>(input: &mut Input<'a>) -> Result<Element<'a>> {
    let mut found = Element { name: None, kind: None, meaning: Meaning::Plain, repetition: 0, children: 0 };
    input.fields(|input, number, kind| {
        match number {
            1 => found.kind = Some(input.int(kind)?),
            3 => found.repetition = input.int(kind)?,
            4 => found.name = Some(input.text(kind)?),
            5 => found.children = input.int(kind)?,
            // The older and the newer way to say it.
            6 => match input.int(kind)? {
                // UTF8, ENUM, INT_8 to INT_64, JSON.
                0 | 4 | 15..=18 | 19 => {}
                11..=14 => found.meaning = Meaning::Unsigned,
                _ => found.meaning = Meaning::Other,
            },
            10 if kind == Kind::STRUCT => logical_type(input, &mut found.meaning)?,
            _ => input.skip(kind)?,
        }
        Ok(())
    })?;
    Ok(found)
}

/// What values are, as newer writers say it.
fn logical_type(input: &mut Input, meaning: &mut Meaning) -> Result<()> {
    input.fields(|input, number, kind| {
        match number {
            // STRING, ENUM, JSON.
            1 | 4 | 12 => {}
            10 if kind == Kind::STRUCT => {
                return input.fields(|input, number, kind| match number {
                    2 if !input.is_true(kind)? => {
                        *meaning = Meaning::Unsigned;
                        Ok(())
                    }
                    _ => input.skip(kind),
                });
            }
            _ => *meaning = Meaning::Other,
        }
        input.skip(kind)
    })
}

/// A group of a schema whose elements are being read.
struct Group<'a> {
    /// Its elements that are still to come.
    left: i64,
    name: &'a str,
    definition: u8,
    repetition: u8,
}

/// The outermost names of a schema, and its columns. Its elements stand in a row, each group before what is in it.
fn schema<'a>(input: &mut Input<'a>, count: usize) -> Result<(Vec<&'a str>, Vec<Leaf<'a>>)> {
    let (mut names, mut leaves) = (Vec::new(), Vec::new());
    let mut open: Vec<Group> = Vec::new();
    for i in 0..count {
        let Element { name, kind, meaning, repetition, children } = element(input)?;
        if i == 0 {
            open.push(Group { left: children, name: "", definition: 0, repetition: 0 });
            continue;
        }
        while open.last().is_some_and(|group| group.left <= 0) {
            open.pop();
        }
        let depth = open.len();
        let group = open.last_mut().ok_or_else(|| broken("its schema has more columns than it says"))?;
        group.left -= 1;
        let (more_definition, more_repetition) = match repetition {
            0 => (0, 0),
            1 => (1, 0),
            2 => (1, 1),
            _ => return Err(broken("a column repeats in an unknown way")),
        };
        let (definition, repetition) = (group.definition + more_definition, group.repetition + more_repetition);
        let is_outermost = depth == 1;
        let name = name.ok_or_else(|| broken("a column has no name"))?;
        let name = if is_outermost { name } else { group.name };
        if is_outermost {
            names.push(name);
        }
        if children > 0 {
            if depth == MAX_DEPTH {
                return Err(broken(format!("its schema is more than {MAX_DEPTH} groups deep")));
            }
            open.push(Group { left: children, name, definition, repetition });
        } else {
            let values = Values { kind: type_of(kind)?, meaning, definition, repetition };
            leaves.push(Leaf { name, is_outermost, values });
        }
    }
    if open.iter().any(|group| group.left > 0) {
        return Err(broken("its schema has fewer columns than it says"));
    }
    Ok((names, leaves))
}

fn type_of(number: Option<i64>) -> Result<Type> {
    const ALL: [Type; 8] =
        [Type::Bool, Type::Int32, Type::Int64, Type::Int96, Type::Float, Type::Double, Type::Bytes, Type::FixedBytes];
    let found = number.and_then(|number| ALL.get(usize::try_from(number).ok()?));
    found.copied().ok_or_else(|| broken("a column is of no known type"))
}

/// What a row group says of a column.
#[derive(Default)]
struct Stored {
    is_elsewhere: bool,
    kind: Option<i64>,
    codec: i64,
    entries: Option<usize>,
    size: Option<usize>,
    data: Option<usize>,
    dictionary: Option<usize>,
}

/// Reads what a row group says of a column, whose values must be of the type `kind`.
fn stored(input: &mut Input, kind: Type) -> Result<Stored> {
    let mut found = Stored::default();
    input.fields(|input, number, kind| {
        match number {
            1 => found.is_elsewhere = !input.text(kind)?.is_empty(),
            3 if kind == Kind::STRUCT => input.fields(|input, number, kind| {
                match number {
                    1 => found.kind = Some(input.int(kind)?),
                    4 => found.codec = input.int(kind)?,
                    5 => found.entries = Some(input.count(kind)?),
                    7 => found.size = Some(input.count(kind)?),
                    9 => found.data = Some(input.count(kind)?),
                    11 => found.dictionary = Some(input.count(kind)?),
                    _ => input.skip(kind)?,
                }
                Ok(())
            })?,
            _ => input.skip(kind)?,
        }
        Ok(())
    })?;
    if type_of(found.kind)? != kind {
        return Err(broken("a column is of two types"));
    }
    Ok(found)
}

impl Stored {
    /// Where the column lies in a file of `length` bytes.
    fn chunk(&self, length: usize) -> Result<Chunk> {
        if self.is_elsewhere {
            return Err(broken("its columns are in other files"));
        }
        let codec = match self.codec {
            0 => Codec::None,
            1 => Codec::Snappy,
            other => {
                let names = ["gzip", "LZO", "Brotli", "LZ4", "Zstandard", "LZ4"];
                let name = usize::try_from(other).ok().and_then(|i| names.get(i.checked_sub(2)?));
                let what = format!("it is compressed by {}", name.unwrap_or(&"an unknown method"));
                return Err(Problem::Unread(what, "uncompressed or with snappy"));
            }
        };
        // Some writers give 0 where there is no dictionary.
        let start = self.dictionary.filter(|&at| at > 0).or(self.data);
        let end = start.zip(self.size).and_then(|(start, size)| start.checked_add(size)).filter(|&end| end <= length);
        match (start, end, self.entries) {
            (Some(start), Some(end), Some(entries)) => Ok(Chunk { codec, start, end, entries }),
            _ => Err(broken("a column lies outside of it")),
        }
    }
}
