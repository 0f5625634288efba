//! What the end of a Parquet file says of its columns and where they lie
//! (<https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>). The parquet crate reads it too; but a schema of
//! some kilobytes makes it overflow the stack, and a number in it reserve gigabytes.

use std::io::{Read, Seek, SeekFrom};

use parquet::basic::Type;
use parquet::errors::{ParquetError, Result};

use super::thrift::{Input, Kind, broken};

/// How deep groups of a schema may stand in one another.
const MAX_DEPTH: usize = 32;

/// The last bytes of a file but for their length and its mark; and the length of the file.
pub fn read(mut file: impl Read + Seek) -> Result<(Vec<u8>, u64)> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut end = [0; 8];
    let at = length.checked_sub(12).ok_or_else(|| broken("it is too short"))?;
    file.seek(SeekFrom::Start(at + 4))?;
    file.read_exact(&mut end)?;
    match &end[4..] {
        b"PAR1" => {}
        b"PARE" => return Err(broken("it is encrypted")),
        _ => return Err(broken("it does not end as one")),
    }
    let size = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
    file.seek(SeekFrom::Start((at + 4).checked_sub(size).ok_or_else(|| broken("its description is cut"))?))?;
    let mut bytes = Vec::new();
    file.take(size).read_to_end(&mut bytes)?;
    Ok((bytes, length))
}

/// What a file says of itself.
pub struct Footer<'a> {
    /// The names of the columns and groups of columns.
    pub names: Vec<&'a str>,
    /// The columns of values.
    pub leaves: Vec<Leaf<'a>>,
    /// Keys and values that a writer added.
    pub pairs: Vec<(&'a str, Option<&'a str>)>,
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
    /// The definition level of a value that is there.
    pub definition: i16,
    /// The most lists of lists.
    pub repetition: i16,
}

/// Where the pages of a column lie in a row group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chunk {
    pub codec: Codec,
    pub start: u64,
    pub length: u64,
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
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let (mut names, mut leaves, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        let mut groups = (0, Input::new(&[]));
        Input::new(bytes).fields(|input, number, kind| {
            match number {
                2 => {
                    let count = input.structures(kind)?;
                    (names, leaves) = schema(input, count)?;
                }
                4 => {
                    let mut list = *input;
                    groups = (list.structures(kind)?, list);
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
        Ok(Self { names, leaves, pairs, groups })
    }

    /// The row groups of a file of `length` bytes, with the columns `wanted`.
    pub fn row_groups(&self, wanted: &[usize], length: u64) -> Result<Vec<RowGroup>> {
        let (count, mut input) = self.groups;
        let mut groups = Vec::new();
        for _ in 0..count {
            let (mut rows, mut chunks) = (None, vec![None; wanted.len()]);
            input.fields(|input, number, kind| {
                match number {
                    1 => {
                        for column in 0..input.structures(kind)? {
                            match wanted.iter().position(|&is| is == column) {
                                Some(place) => chunks[place] = Some(chunk(input, length)?),
                                None => input.skip(Kind::STRUCT)?,
                            }
                        }
                    }
                    3 => rows = usize::try_from(input.int(kind)?).ok(),
                    _ => input.skip(kind)?,
                }
                Ok(())
            })?;
            let rows = rows.ok_or_else(|| broken("a row group does not say how many rows it has"))?;
            let chunks = chunks.into_iter().collect::<Option<Vec<_>>>();
            let chunks = chunks.ok_or_else(|| broken("a row group has fewer columns than the file"))?;
            groups.push(RowGroup { rows, chunks });
        }
        Ok(groups)
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
#[derive(Default)]
struct Element<'a> {
    name: &'a str,
    kind: Option<i64>,
    repetition: i64,
    children: i64,
}

fn element<'a>(input: &mut Input<'a>) -> Result<Element<'a>> {
    let mut found = Element::default();
    input.fields(|input, number, kind| {
        match number {
            1 => found.kind = Some(input.int(kind)?),
            3 => found.repetition = input.int(kind)?,
            4 => found.name = input.text(kind)?,
            5 => found.children = input.int(kind)?,
            _ => input.skip(kind)?,
        }
        Ok(())
    })?;
    Ok(found)
}

/// A group of a schema whose elements are being read.
struct Group<'a> {
    /// Its elements that are still to come.
    left: i64,
    name: &'a str,
    definition: i16,
    repetition: i16,
}

/// The outermost names of a schema, and its columns. Its elements stand in a row, each group before what is in it.
fn schema<'a>(input: &mut Input<'a>, count: usize) -> Result<(Vec<&'a str>, Vec<Leaf<'a>>)> {
    let (mut names, mut leaves) = (Vec::new(), Vec::new());
    let mut open: Vec<Group> = Vec::new();
    for i in 0..count {
        let Element { name, kind, repetition, children } = element(input)?;
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
            leaves.push(Leaf { name, is_outermost, values: Values { kind: type_of(kind)?, definition, repetition } });
        }
    }
    if open.iter().any(|group| group.left > 0) {
        return Err(broken("its schema has fewer columns than it says"));
    }
    Ok((names, leaves))
}

fn type_of(number: Option<i64>) -> Result<Type> {
    Ok(match number {
        Some(0) => Type::BOOLEAN,
        Some(1) => Type::INT32,
        Some(2) => Type::INT64,
        Some(3) => Type::INT96,
        Some(4) => Type::FLOAT,
        Some(5) => Type::DOUBLE,
        Some(6) => Type::BYTE_ARRAY,
        Some(7) => Type::FIXED_LEN_BYTE_ARRAY,
        _ => return Err(broken("a column is of no known type")),
    })
}

/// A column of a row group.
fn chunk(input: &mut Input, length: u64) -> Result<Chunk> {
    let (mut codec, mut size, mut data, mut dictionary, mut is_elsewhere) = (0, None, None, None, false);
    input.fields(|input, number, kind| {
        match number {
            1 => is_elsewhere = !input.text(kind)?.is_empty(),
            3 if kind == Kind::STRUCT => input.fields(|input, number, kind| {
                match number {
                    4 => codec = input.int(kind)?,
                    7 => size = Some(input.int(kind)?),
                    9 => data = Some(input.int(kind)?),
                    11 => dictionary = Some(input.int(kind)?),
                    _ => input.skip(kind)?,
                }
                Ok(())
            })?,
            _ => input.skip(kind)?,
        }
        Ok(())
    })?;
    if is_elsewhere {
        return Err(broken("its columns are in other files"));
    }
    let codec = match codec {
        0 => Codec::None,
        1 => Codec::Snappy,
        other => {
            let names = ["gzip", "LZO", "Brotli", "LZ4", "Zstandard", "LZ4"];
            let name = usize::try_from(other - 2).ok().and_then(|i| names.get(i)).unwrap_or(&"an unknown method");
            return Err(ParquetError::NYI(format!("it is compressed by {name}")));
        }
    };
    // Some writers give 0 where there is none.
    let start = dictionary.filter(|&at| at > 0).or(data).and_then(|at| u64::try_from(at).ok());
    let size = size.and_then(|size| u64::try_from(size).ok());
    match (start, size) {
        (Some(start), Some(size)) if start.checked_add(size).is_some_and(|end| end <= length) => {
            Ok(Chunk { codec, start, length: size })
        }
        _ => Err(broken("a column lies outside of it")),
    }
}
