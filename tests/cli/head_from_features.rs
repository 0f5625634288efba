//! `finetune --features`: a head from features that were computed before.

use std::path::Path;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::record::Field;
use parquet::schema::parser::parse_message_type;

use super::support::Sandbox;

/// A row: its id, its label, and its features.
type Row = (String, Option<String>, Vec<f32>);

/// The rows of a table, and the pairs of its metadata that are this program's.
fn read(path: &Path) -> (Vec<Row>, Vec<KeyValue>) {
    let file = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let pairs = file.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
    let row = |row: parquet::record::Row| {
        let fields: Vec<(String, Field)> = row.into_columns();
        let text = |field: &Field| match field {
            Field::Str(text) => Some(text.clone()),
            _ => None,
        };
        let Field::ListInternal(list) = &fields[2].1 else { panic!("no list") };
        let number = |field: &Field| if let Field::Float(number) = field { *number } else { panic!("no float") };
        assert_eq!([0, 1, 2].map(|i| fields[i].0.as_str()), ["id", "label", "features"]);
        (text(&fields[0].1).unwrap(), text(&fields[1].1), list.elements().iter().map(number).collect())
    };
    (file.get_row_iter(None).unwrap().map(|found| row(found.unwrap())).collect(), pairs)
}

/// Writes a table as other writers do: optional lists of optional elements, compressed by snappy.
fn write(path: &Path, rows: &[Row], pairs: &[KeyValue]) {
    let schema = "message schema { optional binary id (STRING); optional binary label (STRING);
        optional group features (LIST) { repeated group list { optional float element; } } }";
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_key_value_metadata(Some(pairs.to_vec()))
        .build();
    let file = std::fs::File::create(path).unwrap();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    for part in rows.chunks(5) {
        let mut group = writer.next_row_group().unwrap();
        let ids: Vec<ByteArray> = part.iter().map(|row| row.0.as_str().into()).collect();
        let labels: Vec<ByteArray> = part.iter().filter_map(|row| row.1.as_deref()).map(ByteArray::from).collect();
        let given: Vec<i16> = part.iter().map(|row| i16::from(row.1.is_some())).collect();
        for (values, levels) in [(ids, vec![1; part.len()]), (labels, given)] {
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
            column.close().unwrap();
        }
        let values: Vec<f32> = part.iter().flat_map(|row| row.2.clone()).collect();
        let begins: Vec<i16> = part.iter().flat_map(|row| (0..row.2.len()).map(|i| i16::from(i > 0))).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<FloatType>().write_batch(&values, Some(&vec![3; values.len()]), Some(&begins)).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
}

const NETWORK: [&str; 2] = ["--weights", "resnet20-digits"];

/// A sandbox with the class folders `data` and their features, `f.parquet`.
fn with_features() -> Sandbox {
    let here = Sandbox::new();
    here.digits("data", &["0", "1", "7"]);
    // A class that is another by its value than by its text.
    std::fs::rename(here.path("data/1"), here.path("data/10")).unwrap();
    here.good(&[&["infer", "data", "--batch-size", "7", "--save-features", "f.parquet"], &NETWORK[..]].concat());
    here
}

fn model(here: &Sandbox, run: &str) -> Vec<u8> {
    std::fs::read(here.path(run).join("model.safetensors")).unwrap()
}

#[test]
fn the_head_is_that_of_a_run_on_the_images_to_the_bit() {
    let here = with_features();
    let tune = |data: &[&str], run: &str, epochs: &str| {
        let options = ["--output", run, "--lr", "1e-2", "--epochs", epochs, "--val-split", "0.2"];
        here.good(&[&["finetune"], data, &NETWORK, &options].concat())
    };
    tune(&["data"], "images", "4");
    std::fs::rename(here.path("data"), here.path("gone")).unwrap();
    tune(&["--features", "f.parquet"], "table", "4");
    assert!(model(&here, "images") == model(&here, "table"), "another head");
    // Spread over files of a folder, in another order, as another writer has them.
    let (mut rows, pairs) = read(&here.path("f.parquet"));
    assert_eq!(rows[0].1.as_deref(), Some("0"));
    rows.reverse();
    rows.swap(2, 11);
    std::fs::create_dir(here.path("parts")).unwrap();
    write(&here.path("parts/a.parquet"), &rows[7..], &pairs);
    write(&here.path("parts/b.parquet"), &rows[..7], &pairs);
    tune(&["--features", "parts"], "parts-run", "4");
    assert!(model(&here, "images") == model(&here, "parts-run"), "the order of the files changes the head");
    // A run that goes on ends with the same bits.
    tune(&["--features", "parts/a.parquet", "parts/b.parquet"], "stopped", "2");
    here.bad(2, "is a run of --features", &["finetune", "--resume", "stopped", "--features", "f.parquet"]);
    here.good(&["finetune", "--resume", "stopped", "--epochs", "4"]);
    assert!(model(&here, "images") == model(&here, "stopped"), "going on gave another head");
    let config = std::fs::read_to_string(here.path("stopped/config.toml")).unwrap();
    assert!(config.contains("b.parquet"), "{config}");
}

#[test]
fn another_table_may_be_to_validate_on() {
    let here = with_features();
    std::fs::create_dir_all(here.path("split/train")).unwrap();
    std::fs::create_dir_all(here.path("split/val")).unwrap();
    let (rows, pairs) = read(&here.path("f.parquet"));
    for (i, (id, label, _)) in rows.iter().enumerate() {
        let part = if i % 6 < 4 { "train" } else { "val" };
        let to = here.path(&format!("split/{part}/{}", label.as_deref().unwrap()));
        std::fs::create_dir_all(&to).unwrap();
        std::fs::copy(here.path(id), to.join(Path::new(id).file_name().unwrap())).unwrap();
    }
    let (train, val): (Vec<_>, Vec<_>) = rows.into_iter().enumerate().partition(|(i, _)| i % 6 < 4);
    let rows = |part: Vec<(usize, Row)>| part.into_iter().map(|(_, row)| row).collect::<Vec<_>>();
    write(&here.path("train.parquet"), &rows(train), &pairs);
    write(&here.path("val.parquet"), &rows(val), &pairs);
    let options = ["--lr", "1e-2", "--epochs", "3"];
    here.good(&[&["finetune", "split", "--output", "images"], &NETWORK[..], &options].concat());
    let tables = ["finetune", "--features", "train.parquet", "--val", "val.parquet", "--output", "tables"];
    here.good(&[&tables, &NETWORK[..], &options].concat());
    assert!(model(&here, "images") == model(&here, "tables"));
}

#[test]
fn what_is_no_such_table_is_refused_in_a_sentence() {
    let here = with_features();
    let (rows, pairs) = read(&here.path("f.parquet"));
    let refused = |words: &str, status: i32, change: &dyn Fn(&mut Vec<Row>)| {
        let mut rows = rows.clone();
        change(&mut rows);
        write(&here.path("x.parquet"), &rows, &pairs);
        here.bad(status, words, &[&["finetune", "--features", "x.parquet", "--output", "run"], &NETWORK[..]].concat());
    };
    refused("a second time", 1, &|rows| rows[3].0 = rows[4].0.clone());
    refused("has a row without `label`", 1, &|rows| rows[9].1 = None);
    refused("that are not finite", 1, &|rows| rows[9].2[5] = f32::NAN);
    refused("a row of 63 features, where the network has 64", 1, &|rows| rows[9].2.truncate(63));
    refused("a row of 8 features", 1, &|rows| rows.iter_mut().for_each(|row| row.2.truncate(8)));
    // As many values as there should be, in rows of other lengths.
    refused("a row of 63 features", 1, &|rows| {
        let moved = rows[1].2.pop().unwrap();
        rows[2].2.push(moved);
    });
    refused("needs images of at least 2 classes", 1, &|rows| rows.truncate(4));
    fn tune<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["finetune", "--features"], more, &["--output", "run"]].concat()
    }
    here.bad(1, "features of another network than", &[&tune(&["f.parquet"])[..], &["--image-size", "32"]].concat());
    here.bad(1, "prepared another way", &[&tune(&["f.parquet"])[..], &NETWORK, &["--image-size", "48"]].concat());
    here.bad(2, "trains a head alone", &[&tune(&["f.parquet"])[..], &NETWORK, &["--unfreeze", "all"]].concat());
    here.bad(1, "does not exist", &tune(&["missing.parquet"]));
    here.write("empty/readme.txt", b"");
    here.bad(1, "holds no .parquet files", &tune(&["empty"]));
    here.good(&[&["infer", "data", "-o", "p.parquet", "--save-logits", "l.parquet"], &NETWORK[..]].concat());
    for table in ["p.parquet", "l.parquet"] {
        here.bad(1, "has no column `label`", &[&tune(&[table])[..], &NETWORK].concat());
    }
    let good = std::fs::read(here.path("f.parquet")).unwrap();
    here.write("cut.parquet", &good[..good.len() / 2]);
    here.bad(1, "is no Parquet file that can be read", &[&tune(&["cut.parquet"])[..], &NETWORK].concat());
}

/// A text of a dictionary stands in a file once, however many rows have it.
#[test]
#[cfg(target_os = "linux")]
fn rows_of_one_long_id_take_no_memory() {
    const ROWS: usize = 1_000_000;
    let here = Sandbox::new();
    let path = here.path("long.parquet");
    let schema = "message schema { required binary id (STRING); required binary label (STRING);
        required group features (LIST) { repeated group list { required float element; } } }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(std::fs::File::create(&path).unwrap(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for text in [vec![b'x'; 4_000], vec![b'0']] {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&vec![ByteArray::from(text); ROWS], None, None).unwrap();
        column.close().unwrap();
    }
    let mut column = group.next_column().unwrap().unwrap();
    let one_each = (vec![0.5; ROWS], vec![1; ROWS], vec![0; ROWS]);
    column.typed::<FloatType>().write_batch(&one_each.0, Some(&one_each.1), Some(&one_each.2)).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 200_000);
    let error = gpu_resnet::data::FeatureTable::open(&[path], 1).unwrap_err().to_string();
    assert!(error.contains("…") && error.contains("a second time; every image may be there once"), "{error}");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 2 << 20, "{kib} KiB for {ROWS} rows");
}

#[test]
fn broken_bytes_are_an_error_and_never_a_panic() {
    let here = with_features();
    let good = std::fs::read(here.path("f.parquet")).unwrap();
    let files = [here.path("x.parquet")];
    let width = 64;
    for at in (0..good.len()).step_by(good.len() / 400) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x41;
        std::fs::write(&files[0], bytes).unwrap();
        // Some change no more than a value; none may end the process.
        if let Ok(table) = gpu_resnet::data::FeatureTable::open(&files, width) {
            let all: Vec<usize> = (0..table.rows()).collect();
            let _ = table.read(&all, |_, features| {
                assert_eq!(features.len(), width);
                Ok(())
            });
        }
    }
}
