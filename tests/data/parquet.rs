//! Parquet files of features as writers make them, and such that mean harm.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gpu_resnet::data::FeatureTable;
use parquet::basic::{Compression, Encoding};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::parquet_file::{DATA, DELTA_LENGTHS, DELTA_PREFIXES, DICTIONARY, INDEX, PLAIN, RLE_DICTIONARY, SPLIT_BYTES};
use super::parquet_file::{
    Fields, Pages, columns, differences, element, file, file_of_rows, overlapping, page, schema, varint,
};
use super::{assert_error, golden_file, put};

const ROWS: usize = 3_000;
const WIDTH: usize = 5;

fn feature(row: usize, column: usize) -> f32 {
    if column == 0 { 0.5 } else { (row * WIDTH + column) as f32 * 0.25 }
}

/// What a table holds: for each row its id, its class' name and its features.
type Rows = Vec<(String, String, Vec<f32>)>;

/// Writes the next column of a group.
fn column<T: DataType>(group: &mut SerializedRowGroupWriter<Vec<u8>>, values: &[T::T], levels: [Option<&[i16]>; 2]) {
    let mut writer = group.next_column().unwrap().unwrap();
    writer.typed::<T>().write_batch(values, levels[0], levels[1]).unwrap();
    writer.close().unwrap();
}

/// A table of [`ROWS`] rows in two groups. Labels are texts or numbers; what is optional has every value.
fn table(optional: bool, label: &str, number: &str, properties: WriterPropertiesBuilder) -> Vec<u8> {
    let kind = if optional { "optional" } else { "required" };
    let schema = format!(
        "message schema {{ {kind} binary id (STRING); {kind} {label}; {kind} group features (LIST) {{
         repeated group list {{ {kind} {number} element; }} }} required int64 other; }}"
    );
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build())).unwrap();
    for rows in [0..ROWS / 3, ROWS / 3..ROWS] {
        let mut group = writer.next_row_group().unwrap();
        let there = vec![1; rows.len()];
        let there = [optional.then_some(&there[..]), None];
        let ids: Vec<ByteArray> = rows.clone().map(|row| format!("folder/image {row:05}").as_str().into()).collect();
        column::<ByteArrayType>(&mut group, &ids, there);
        let labels: Vec<i32> = rows.clone().map(|row| row as i32 % 7).collect();
        let texts: Vec<ByteArray> = labels.iter().map(|label| label.to_string().as_str().into()).collect();
        match label.split(' ').next().unwrap() {
            "int32" => column::<Int32Type>(&mut group, &labels, there),
            "int64" => column::<Int64Type>(&mut group, &labels.iter().map(|&n| n.into()).collect::<Vec<_>>(), there),
            _ => column::<ByteArrayType>(&mut group, &texts, there),
        }
        let values: Vec<f32> = rows.clone().flat_map(|row| (0..WIDTH).map(move |i| feature(row, i))).collect();
        let begins: Vec<i16> = rows.clone().flat_map(|_| (0..WIDTH).map(|i| i16::from(i > 0))).collect();
        let levels = vec![if optional { 3 } else { 1 }; begins.len()];
        let levels = [Some(&levels[..]), Some(&begins[..])];
        match number {
            "double" => column::<DoubleType>(&mut group, &values.iter().map(|&v| v.into()).collect::<Vec<_>>(), levels),
            _ => column::<FloatType>(&mut group, &values, levels),
        }
        column::<Int64Type>(&mut group, &vec![7; rows.len()], [None; 2]);
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

/// Reads all rows that have no error.
fn read(bytes: &[u8], width: usize) -> gpu_resnet::Result<Rows> {
    let folder = tempfile::tempdir().unwrap();
    let table = FeatureTable::open(&[put(folder.path().join("f.parquet"), bytes)], width)?;
    let all: Vec<usize> = (0..table.rows()).filter(|&i| !table.has_failed(i)).collect();
    let name = |&i: &usize| (table.id(i).to_owned(), table.class_names()[table.class(i)].clone(), Vec::new());
    let mut rows: Rows = all.iter().map(name).collect();
    table.read(&all, |i, features| {
        rows[i].2 = features.to_vec();
        Ok(())
    })?;
    Ok(rows)
}

#[test]
fn every_encoding_that_writers_use_gives_the_same_rows() {
    let plain = || WriterProperties::builder().set_dictionary_enabled(false);
    let expected = {
        let features = |row| (0..WIDTH).map(|i| feature(row, i)).collect();
        let row = |row: usize| (format!("folder/image {row:05}"), (row % 7).to_string(), features(row));
        let mut rows: Rows = (0..ROWS).map(row).collect();
        rows.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
        rows
    };
    let of = |path: &str| path.into();
    let features = || of("features.list.element");
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
            for (name, properties) in [
                ("dictionary", WriterProperties::builder()),
                (
                    "small pages",
                    WriterProperties::builder().set_data_page_row_count_limit(100).set_write_batch_size(64),
                ),
                ("plain", plain().set_encoding(Encoding::PLAIN)),
                ("lengths", plain().set_column_encoding(of("id"), Encoding::DELTA_LENGTH_BYTE_ARRAY)),
                ("prefixes", plain().set_column_encoding(of("id"), Encoding::DELTA_BYTE_ARRAY)),
                ("split bytes", plain().set_column_encoding(features(), Encoding::BYTE_STREAM_SPLIT)),
            ] {
                for (optional, label, number) in [
                    (false, "binary label (STRING)", "float"),
                    (true, "int32 label", "double"),
                    (true, "int64 label", "float"),
                ] {
                    let properties = properties.clone().set_writer_version(version).set_compression(compression);
                    let properties = match label {
                        "binary label (STRING)" => properties,
                        _ if name == "dictionary" => properties,
                        _ => properties.set_column_encoding(of("label"), Encoding::DELTA_BINARY_PACKED),
                    };
                    let rows = read(&table(optional, label, number, properties), WIDTH).unwrap();
                    assert!(rows == expected, "{version:?} {compression} {name} {label} {number}");
                }
            }
        }
    }
    let bytes = table(true, "int32 label", "float", plain());
    assert_error(read(&bytes, WIDTH - 1), &["a row of 5 features, where the network has 4"]);
    assert_error(read(&bytes, WIDTH + 1), &["a row of 5 features, where the network has 6"]);
}

/// `tests/golden/parquet.py` has the table.
#[test]
fn files_of_other_programs_hold_what_they_wrote() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/parquet");
    let mut programs = BTreeMap::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        *programs.entry(name.split('-').next().unwrap().to_owned()).or_insert(0) += 1;
        let found = read(&std::fs::read(&path).unwrap(), 4);
        if name.starts_with("refused") {
            assert_error(found, &["it is compressed by", "write it uncompressed or with snappy"]);
            continue;
        }
        let mut found = found.unwrap();
        found.sort_by_key(|row| row.2[0] as usize);
        let rows = if name == "pyarrow-error" { 6 } else { 7 };
        let expected: Rows = (0..rows)
            .map(|row| {
                let kind = ["cat", "dog"][row % 2];
                let is_number = matches!(&*name, "pyarrow-second" | "pyarrow-delta-numbers");
                let label = if is_number { (row % 2).to_string() } else { kind.into() };
                let features = (0..4).map(|k| (row * 4 + k) as f32 / 8.0).collect();
                (format!("photos/{kind}/ü {row}.jpg"), label, features)
            })
            .collect();
        assert!(found == expected, "{name}: {found:?}");
    }
    let expected = [("duckdb", 2), ("polars", 2), ("pyarrow", 12), ("refused", 2)];
    assert_eq!(programs, expected.map(|(name, count)| (name.to_owned(), count)).into());
}

#[test]
fn what_a_file_declares_takes_no_memory() {
    let good = file(schema(), &columns(), 0);
    assert_eq!(read(&good, 1).unwrap(), [("a".to_owned(), "b".to_owned(), vec![1.0])]);
    let with = |place: usize, pages: Pages, codec: i64| {
        let mut all = columns();
        all[place] = pages;
        file(schema(), &all, codec)
    };
    let most = i64::from(i32::MAX);
    let dictionary = page(DICTIONARY, most, PLAIN, 5, b"\x01\0\0\0a").and(page(DATA, 1, RLE_DICTIONARY, 3, &[1, 2, 0]));
    assert_error(read(&with(0, dictionary, 0), 1), &["f.parquet: ", "a part ends early"]);
    // A list of two billion values by a run of repetition levels, all of them missing by one of definition levels.
    let run = [vec![2, 0], varint(0xffff_fffc), vec![1]].concat();
    let none = [varint(0xffff_fffe), vec![0]].concat();
    let row = [&(run.len() as u32).to_le_bytes()[..], &run, &(none.len() as u32).to_le_bytes(), &none].concat();
    let row = page(DATA, most, PLAIN, row.len() as i64, &row);
    assert_error(read(&with(2, row, 0), 1), &["a row of over 1048576 features, where the network has 1"]);
    // Blocks of 128 numbers by 4, 2^31 - 1 numbers, the first is 1.
    let numbers = [&[0x80, 1, 4][..], &varint(most as u64), &[2]].concat();
    for encoding in [DELTA_LENGTHS, DELTA_PREFIXES] {
        let texts = page(DATA, most, encoding, numbers.len() as i64, &numbers);
        assert_error(read(&with(0, texts, 0), 1), &["a part ends early"]);
    }
    let numbers = [vec![0x80, 1, 4], varint(1 << 60), vec![2]].concat();
    let texts = page(DATA, 1, DELTA_LENGTHS, numbers.len() as i64, &numbers);
    assert_error(read(&with(0, texts, 0), 1), &["a part ends early"]);
    // Snappy's own length, and the page's.
    let packed = [varint(u64::from(u32::MAX)), vec![0, b'a']].concat();
    let texts = page(DATA, 1, PLAIN, most, &packed);
    assert_error(read(&with(0, texts, 1), 1), &["a page of 7 bytes says that it has 2147483647, or 4294967295"]);
    // A text of 70,000 bytes a hundred thousand times, each by the one before.
    let again = 100_000;
    let lengths: Vec<i64> = [0].into_iter().chain(std::iter::repeat_n(70_000, again)).collect();
    let more: Vec<i64> = [70_000].into_iter().chain(std::iter::repeat_n(0, again)).collect();
    let texts = [differences(&lengths), differences(&more), vec![b'a'; 70_000]].concat();
    let texts = page(DATA, lengths.len() as i64, DELTA_PREFIXES, texts.len() as i64, &texts);
    assert_error(read(&with(0, texts, 0), 1), &["a text of 70000 bytes"]);
}

/// A file whose first column has other texts than `a`: so many, of so many bytes, each by the one before.
fn with_long_texts(column: usize, count: usize, length: i64) -> Vec<u8> {
    let same: Vec<i64> = [0].into_iter().chain(std::iter::repeat_n(length - 4, count - 1)).collect();
    let more: Vec<i64> = [length].into_iter().chain(std::iter::repeat_n(4, count - 1)).collect();
    let ends = (1..count).flat_map(|i| format!("{i:04x}").into_bytes()[..4].to_vec());
    let bytes: Vec<u8> = vec![b'x'; length as usize].into_iter().chain(ends).collect();
    let long = [differences(&same), differences(&more), bytes].concat();
    let short: Vec<u8> =
        (0..count).flat_map(|i| [vec![4, 0, 0, 0], format!("{i:04x}").into_bytes()].concat()).collect();
    let mut all = [0, 1].map(|_| page(DATA, count as i64, PLAIN, short.len() as i64, &short));
    all[column] = page(DATA, count as i64, DELTA_PREFIXES, long.len() as i64, &long);
    let [ids, labels] = all;
    file_of_rows(count as i64, schema(), &[(6, 0), (6, 0), (4, 0)], &[ids, labels, Pages::default()])
}

#[test]
fn texts_are_bounded_by_the_size_of_the_file() {
    for (column, most) in [(0, 4_096), (1, 1_024)] {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str, bytes: Vec<u8>| FeatureTable::open(&[put(folder.path().join(name), bytes)], 1);
        assert_eq!(open("some", with_long_texts(column, 5_000, most)).unwrap().rows(), 5_000);
        assert_error(
            open("many", with_long_texts(column, 65_000, most)),
            &["many: makes more than", "bytes of ids and labels"],
        );
        assert_error(open("long", with_long_texts(column, 2, most + 1)), &[&format!("a text of {} bytes", most + 1)]);
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let with = |place: usize, pages: Pages| {
        let mut all = columns();
        all[place] = pages;
        read(&file(schema(), &all, 0), 1)
    };
    let feature = |repetition: &[u8], definition: &[u8], values: &[u8], encoding: i64| {
        let levels = [repetition, definition].map(|levels| [&(levels.len() as u32).to_le_bytes(), levels].concat());
        let bytes = [levels.concat(), values.to_vec()].concat();
        page(DATA, 1, encoding, bytes.len() as i64, &bytes)
    };
    let one = 1f32.to_le_bytes();
    assert_eq!(with(2, feature(&[2, 0], &[2, 1], &one, PLAIN)).unwrap()[0].2, [1.0]);
    // A run of none, which some take for padding of a byte and others for a run.
    assert_error(with(2, feature(&[0, 0, 2, 0], &[2, 1], &one, PLAIN)), &["a run of no numbers"]);
    assert_error(with(2, feature(&[2, 1], &[2, 1], &one, PLAIN)), &["a list goes on that did not begin"]);
    assert_error(with(2, feature(&[2, 0], &[2, 2], &one, PLAIN)), &["a level of 2, where 1 is the most"]);
    assert_error(with(2, feature(&[4, 0], &[2, 1], &one, PLAIN)), &["a page has more levels than values"]);
    assert_error(with(2, feature(&[2, 0], &[2, 1, 2, 1], &one, PLAIN)), &["a page has more levels than values"]);
    assert_error(with(2, feature(&[2, 0], &[2, 1], &[0; 8], PLAIN)), &["a page has more values than it says"]);
    assert_error(with(2, feature(&[2, 0], &[2, 1], &[0; 8], SPLIT_BYTES)), &["a page has more values than it says"]);
    assert_error(with(2, feature(&[2, 0], &[2, 1], &[0; 6], SPLIT_BYTES)), &["no whole values"]);
    assert_error(with(2, feature(&[2, 0], &[2, 1], &[1, 2, 0], RLE_DICTIONARY)), &["a dictionary is missing"]);
    assert_error(with(2, feature(&[2, 0], &[2, 1], &[33, 2, 0], RLE_DICTIONARY)), &["a dictionary is missing"]);
    assert_error(with(2, feature(&[2, 0], &[2, 1], &one, 10)), &["a page has the encoding 10"]);
    assert_error(with(0, page(DATA, 1, PLAIN, 6, &[1, 0, 0, 0, b'a', 0])), &["a page has more values than it says"]);
    assert_error(with(0, page(DATA, 1, PLAIN, 5, &[1, 0, 0, 0, 0xff])), &["a text is not UTF-8"]);
    assert_error(with(0, page(DATA, 1, PLAIN, 6, &[1, 0, 0, 0, b'a'])), &["a page of 5 bytes says that it has 6"]);
    let dictionary = |count: i64| page(DICTIONARY, count, PLAIN, 5, &[1, 0, 0, 0, b'a']);
    let place = |place: u8| page(DATA, 1, RLE_DICTIONARY, 3, &[1, 2, place]);
    assert_eq!(with(0, dictionary(1).and(place(0))).unwrap()[0].0, "a");
    assert_error(with(0, dictionary(1).and(place(1))), &["a value is not in its dictionary"]);
    assert_error(with(0, dictionary(0).and(place(0))), &["a dictionary has 5 bytes too many"]);
    assert_error(with(0, place(0).and(dictionary(1))), &["a dictionary is not the first page"]);
    // Pages of an index, and pages without values, are passed over wherever they stand.
    let index = || page(INDEX, 0, PLAIN, 3, b"abc");
    let empty = || page(DATA, 0, PLAIN, 0, b"");
    let [id, ..] = columns();
    assert_eq!(with(0, empty().and(index()).and(id.clone()).and(index()).and(empty())).unwrap()[0].0, "a");
    assert_error(with(0, Pages { values: 2, ..id.clone() }), &["a column has 1 values fewer than it says"]);
    assert_error(with(0, Pages { values: 0, ..id }), &["a column has more values than it says"]);
    let kinds = [(6, 0), (6, 0), (5, 0)];
    assert_error(read(&file_of_rows(1, schema(), &kinds, &columns()), 1), &["a column is of two types"]);
    let kinds = [(6, 0), (6, 0), (4, 0)];
    assert_error(read(&file_of_rows(2, schema(), &kinds, &columns()), 1), &["a row group of 2 rows has fewer"]);
    let mut optional = schema();
    optional[1] = element("id", Some(6), 1, 0);
    assert_error(read(&file(optional, &columns(), 0), 1), &["a part ends early"]);
    assert_error(read(&overlapping(), 1), &["columns lie in one another"]);
}

/// Rows that have an error are left out, so an `error` that is damaged must not be taken for none.
#[test]
fn errors_are_text_or_no_errors() {
    let with = |kind: i64, repetition: i64, stored: i64, pages: Pages| {
        let mut all = schema();
        all[0] = element("schema", None, 0, 4);
        all.push(element("error", Some(kind), repetition, 0));
        let columns = [&columns()[..], &[pages]].concat();
        read(&file_of_rows(1, all, &[(6, 0), (6, 0), (4, 0), (stored, 0)], &columns), 1).map(|rows| rows.len())
    };
    let text = |levels: &[u8], text: &[u8]| {
        let length: &[u8] = if text.is_empty() { &[] } else { &[3, 0, 0, 0] };
        page(DATA, 1, PLAIN, (levels.len() + length.len() + text.len()) as i64, &[levels, length, text].concat())
    };
    assert_eq!(with(6, 1, 6, text(&[2, 0, 0, 0, 2, 1], b"cut")).unwrap(), 0);
    assert_eq!(with(6, 1, 6, text(&[2, 0, 0, 0, 2, 0], b"")).unwrap(), 1);
    assert_eq!(with(6, 0, 6, page(DATA, 1, PLAIN, 4, &[0; 4])).unwrap(), 1);
    // One number for each row is something else.
    assert_eq!(with(4, 0, 4, page(DATA, 1, PLAIN, 4, &[0; 4])).unwrap(), 1);
    assert_error(with(4, 0, 6, page(DATA, 1, PLAIN, 4, &[0; 4])), &["a column is of two types"]);
    assert_error(with(6, 2, 6, text(&[], b"cut")), &["has a column `error` that is no text"]);
}

/// No bit of a file with checksums may change what is read without a word.
#[test]
fn a_flipped_bit_is_an_error_or_changes_nothing() {
    let good = golden_file("parquet/pyarrow-checksums.parquet");
    let expected = read(&good, 4).unwrap();
    let (mut refused, mut same) = (0, 0);
    for bit in (0..8 * good.len()).step_by(3) {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match read(&bytes, 4) {
            Err(_) => refused += 1,
            Ok(rows) => {
                assert!(rows == expected, "bit {bit} of {}: {rows:?}", 8 * good.len());
                same += 1;
            }
        }
    }
    assert!(refused > 2_000 && same > 2_000, "{refused} refused, {same} the same");
}

#[test]
fn schemas_that_overflow_the_stack_or_reserve_memory_are_refused() {
    let deep = |depth: usize| {
        let mut all = schema();
        all[0] = element("schema", None, 0, 4);
        all.extend((0..depth).map(|_| element("group", None, 0, 1)));
        all.push(element("leaf", Some(6), 0, 0));
        let pages = [&columns()[..], &columns()[..1]].concat();
        file(all, &pages, 0)
    };
    assert_eq!(read(&deep(30), 1).unwrap().len(), 1);
    assert_error(read(&deep(200_000), 1), &["its schema is more than 32 groups deep"]);
    let with = |place: usize, changed: Fields| {
        let mut all = schema();
        all[place] = changed;
        read(&file(all, &columns(), 0), 1)
    };
    assert_error(with(0, element("schema", None, 0, i64::from(i32::MAX))), &["fewer columns than it says"]);
    assert_error(with(0, element("schema", None, 0, 2)), &["more columns than it says"]);
    assert_error(with(3, element("features", Some(4), 3, 0)), &["repeats in an unknown way"]);
    assert_error(with(3, element("features", Some(9), 2, 0)), &["of no known type"]);
    assert_error(with(3, element("features", Some(4), 1, 0)), &["has no column `features` of lists of floats"]);
    assert_error(with(1, element("id", Some(4), 0, 0)), &["has no column `id` of text"]);
}

#[test]
fn other_files_are_refused_by_what_they_are() {
    let good = file(schema(), &columns(), 0);
    let end = good.len();
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = good.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        read(&changed, 1)
    };
    assert_error(with(end - 4, b"PARE"), &["it is encrypted"]);
    assert_error(with(end - 4, b"CSV\n"), &["it does not end as one"]);
    assert_error(with(end - 8, &[0xff; 4]), &["its description is cut"]);
    assert_error(read(b"PAR1PA", 1), &["it does not end as one"]);
    assert_error(read(b"\0PAR1", 1), &["it is too short"]);
    assert_error(
        read(&file(schema(), &columns(), 6), 1),
        &["it is compressed by Zstandard", "uncompressed or with snappy"],
    );
    assert_error(read(&file(schema(), &columns(), 99), 1), &["it is compressed by an unknown method"]);
    assert_error(read(&file(schema(), &columns()[..2], 0), 1), &["a row group has other columns than the file"]);
    let with = |place: usize, pages: Pages| {
        let mut all = columns();
        all[place] = pages;
        read(&file(schema(), &all, 0), 1)
    };
    let two = [&[2, 0, 0, 0, 4, 0, 2, 0, 0, 0, 4, 1][..], &[0; 8]].concat();
    assert_error(with(2, page(DATA, 2, PLAIN, 20, &two)), &["a row group of 1 rows has more lists of features"]);
    assert_error(with(2, Pages::default()), &["a row group of 1 rows has fewer lists of features"]);
    assert_error(
        with(0, page(DATA, 2, PLAIN, 10, &[1, 0, 0, 0, b'a', 1, 0, 0, 0, b'b'])),
        &["a row group of 1 rows has more values"],
    );
    let mut all = columns();
    all[0] = page(DATA, 2, PLAIN, 10, &[1, 0, 0, 0, b'a', 1, 0, 0, 0, b'b']);
    all[1] = all[0].clone();
    assert_error(read(&file(schema(), &all, 0), 1), &["a row group of 1 rows has more values"]);
    // The last column begins a byte later than the file ends.
    let mut outside = columns();
    outside[2].bytes = vec![0; 1 << 20];
    let mut bytes = file(schema(), &outside, 0);
    let from = bytes.len() - (1 << 20) - 1;
    bytes.drain(4..from.min(1 << 20));
    assert_error(read(&bytes, 1), &["a column lies outside of it"]);
}
