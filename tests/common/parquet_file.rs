//! Parquet files, byte by byte: also such that no writer makes.

/// A structure of Thrift's compact protocol, field by field; a field's number is that of the one before and `more`.
#[derive(Default)]
pub struct Fields(Vec<u8>);

pub fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

impl Fields {
    pub fn with(mut self, head: u8, bytes: &[u8]) -> Self {
        self.0.push(head);
        self.0.extend(bytes);
        self
    }

    pub fn i32(self, more: u8, number: i64) -> Self {
        self.with(more << 4 | 5, &varint((number << 1) as u64))
    }

    pub fn i64(self, more: u8, number: i64) -> Self {
        self.with(more << 4 | 6, &varint((number << 1) as u64))
    }

    pub fn text(self, more: u8, text: &str) -> Self {
        self.with(more << 4 | 8, &[varint(text.len() as u64), text.as_bytes().to_vec()].concat())
    }

    pub fn fields(self, more: u8, fields: Self) -> Self {
        self.with(more << 4 | 12, &fields.end())
    }

    pub fn list(self, more: u8, all: Vec<Self>) -> Self {
        let bytes: Vec<u8> = all.iter().flat_map(|fields| fields.end()).collect();
        let length = varint(all.len() as u64);
        self.with(more << 4 | 9, &[vec![0xfc], length, bytes].concat())
    }

    pub fn end(&self) -> Vec<u8> {
        [&self.0[..], &[0]].concat()
    }
}

/// Pages of a column, and how many values they have.
#[derive(Clone, Default)]
pub struct Pages {
    pub values: i64,
    pub bytes: Vec<u8>,
}

impl Pages {
    pub fn and(self, next: Self) -> Self {
        Self { values: self.values + next.values, bytes: [self.bytes, next.bytes].concat() }
    }
}

/// A page as it lies in a file: its kind, its values, their encoding, how many bytes it has when decompressed, and its bytes.
pub fn page(kind: i64, values: i64, encoding: i64, whole: i64, bytes: &[u8]) -> Pages {
    let head = Fields::default().i32(1, kind).i32(1, whole).i32(1, bytes.len() as i64);
    let of = Fields::default().i32(1, values).i32(1, encoding);
    let head = match kind {
        DATA => head.fields(2, of.i32(1, 3).i32(1, 3)),
        _ => head.fields(4, of),
    };
    Pages { values: if kind == DATA { values } else { 0 }, bytes: [&head.end()[..], bytes].concat() }
}

/// Whole numbers as their differences, in blocks of 128 of one width.
pub fn differences(numbers: &[i64]) -> Vec<u8> {
    let zigzag = |number: i64| varint((number << 1 ^ number >> 63) as u64);
    let mut bytes = [vec![0x80, 1, 1], varint(numbers.len() as u64), zigzag(numbers[0])].concat();
    let all: Vec<i64> = numbers.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for block in all.chunks(128) {
        let least = *block.iter().min().unwrap();
        let width = 64 - block.iter().map(|number| number - least).max().unwrap().leading_zeros();
        bytes.extend([zigzag(least), vec![width as u8]].concat());
        let mut bits = vec![0u8; 16 * width as usize];
        for (at, number) in block.iter().enumerate() {
            for bit in (0..width as usize).filter(|bit| (number - least) >> bit & 1 == 1) {
                let place = at * width as usize + bit;
                bits[place / 8] |= 1 << (place % 8);
            }
        }
        bytes.extend(bits);
    }
    bytes
}

pub const DATA: i64 = 0;
pub const INDEX: i64 = 1;
pub const DICTIONARY: i64 = 2;
pub const PLAIN: i64 = 0;
pub const RLE_DICTIONARY: i64 = 8;
pub const SPLIT_BYTES: i64 = 9;
pub const DELTA_LENGTHS: i64 = 6;
pub const DELTA_PREFIXES: i64 = 7;

/// A column or a group of a schema.
pub fn element(name: &str, kind: Option<i64>, repetition: i64, children: i64) -> Fields {
    let first = kind.map_or(Fields::default(), |kind| Fields::default().i32(1, kind));
    let named = first.i32(if kind.is_some() { 2 } else { 3 }, repetition).text(1, name);
    if children > 0 { named.i32(1, children) } else { named }
}

pub fn schema() -> Vec<Fields> {
    vec![
        element("schema", None, 0, 3),
        element("id", Some(6), 0, 0),
        element("label", Some(6), 0, 0),
        element("features", Some(4), 2, 0),
    ]
}

/// A file with `schema` and a row group of one row with these columns, compressed by `codec` (0 none, 1 snappy).
pub fn file(schema: Vec<Fields>, pages: &[Pages], codec: i64) -> Vec<u8> {
    file_of_rows(1, schema, &[6, 6, 4, 6].map(|kind| (kind, codec)), pages)
}

/// A file whose row group has so many rows, and whose columns have these types and codecs.
pub fn file_of_rows(rows: i64, schema: Vec<Fields>, kinds: &[(i64, i64)], pages: &[Pages]) -> Vec<u8> {
    let mut bytes = b"PAR1".to_vec();
    let mut columns = Vec::new();
    for (pages, &kind) in pages.iter().zip(kinds) {
        columns.push(place(kind, pages, bytes.len() as i64));
        bytes.extend(&pages.bytes);
    }
    ended(bytes, rows, schema, columns)
}

/// A file whose id and label are the same bytes.
pub fn overlapping() -> Vec<u8> {
    let [id, _, features] = columns();
    let bytes = [b"PAR1", &id.bytes[..], &features.bytes].concat();
    let at = 4 + id.bytes.len() as i64;
    let columns = vec![place((6, 0), &id, 4), place((6, 0), &id, 4), place((4, 0), &features, at)];
    ended(bytes, 1, schema(), columns)
}

/// What a file says of a column of a type and codec whose pages lie at a place.
fn place((kind, codec): (i64, i64), pages: &Pages, at: i64) -> Fields {
    let size = pages.bytes.len() as i64;
    // What readers need not look at is there: encodings, the path, the file's own offset.
    let place = Fields::default().i32(1, kind).with(0x19, &[0x05]).with(0x19, &[0x08]).i32(1, codec);
    let place = place.i64(1, pages.values).i64(1, size).i64(1, size).i64(2, at);
    Fields::default().i64(2, at).fields(1, place)
}

/// A file with its end.
fn ended(bytes: Vec<u8>, rows: i64, schema: Vec<Fields>, columns: Vec<Fields>) -> Vec<u8> {
    let group = Fields::default().list(1, columns).i64(1, 100).i64(1, rows);
    let footer = Fields::default().i32(1, 1).list(1, schema).i64(1, rows).list(1, vec![group]).end();
    [&bytes[..], &footer, &(footer.len() as u32).to_le_bytes(), b"PAR1"].concat()
}

/// The id `a`, the label `b` and the feature 1, each with levels where it has some.
pub fn columns() -> [Pages; 3] {
    let text = |text: &[u8]| page(DATA, 1, PLAIN, 5, &[&[1, 0, 0, 0], text].concat());
    // A run of one 0 as repetition, and of one 1 as definition.
    let feature = [&[2, 0, 0, 0, 2, 0, 2, 0, 0, 0, 2, 1][..], &1f32.to_le_bytes()].concat();
    [text(b"a"), text(b"b"), page(DATA, 1, PLAIN, feature.len() as i64, &feature)]
}
