//! Weights files: hostile ones are refused, good ones are understood, and what is written is read back.

#[path = "weights/assumed.rs"]
mod assumed;
#[path = "weights/checkpoints.rs"]
mod checkpoints;
#[path = "weights/convert.rs"]
mod convert;
#[path = "weights/fetch.rs"]
mod fetch;
#[path = "weights/other_names.rs"]
mod other_names;
#[path = "weights/pth.rs"]
mod pth;
#[path = "weights/saved.rs"]
mod saved;
#[path = "common/server.rs"]
mod server;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use gpu_resnet::Result;
use gpu_resnet::model::{Architecture, BlockKind, ParameterSpec, Shortcut};
use gpu_resnet::weights::{self, Dtype, NamedTensor, Overrides, Problem, RawTensor, Source, Weights};
use serde_json::{Value, json};

/// A safetensors file of this header and as many zeros.
fn bytes(header: &str, zeros: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + zeros, 0);
    bytes
}

fn load(bytes: Vec<u8>) -> Result<Weights> {
    Weights::from_bytes(bytes, "file.safetensors")
}

/// The error's text, which must name the file.
fn refusal<T>(result: Result<T>) -> String {
    let message = result.err().expect("it should be refused").to_string();
    assert!(message.starts_with("file.safetensors: "), "{message}");
    message
}

fn named(name: &str) -> Architecture {
    Architecture::named(name).unwrap()
}

/// A file on disk with tensors of these names and shapes, all zero. The data is a hole, so that it costs neither disk nor
/// memory.
fn hollow(folder: &Path, tensors: &[(String, Vec<usize>)], metadata: Option<&str>) -> Weights {
    let mut header = serde_json::Map::new();
    let mut offset = 0;
    for (name, shape) in tensors {
        let end = offset + 4 * shape.iter().product::<usize>();
        header.insert(name.clone(), json!({"dtype": "F32", "shape": shape, "data_offsets": [offset, end]}));
        offset = end;
    }
    if let Some(architecture) = metadata {
        header.insert("__metadata__".into(), json!({"gpu_resnet.architecture": architecture}));
    }
    let header = bytes(&Value::Object(header).to_string(), 0);
    let path = folder.join("file.safetensors");
    let mut file = File::create(&path).unwrap();
    file.write_all(&header).unwrap();
    file.set_len((header.len() + offset) as u64).unwrap();
    Weights::open(path).unwrap()
}

fn names_and_shapes(architecture: &Architecture) -> Vec<(String, Vec<usize>)> {
    architecture.parameters().into_iter().map(|ParameterSpec { name, shape, .. }| (name, shape)).collect()
}

/// A small network, so that its files are small: 8,000 parameters.
fn small() -> Architecture {
    Architecture::from_json(r#"{"block":"basic","depths":[1,1],"widths":[4,8],"stem":{"kind":"cifar"},"classes":3}"#)
        .unwrap()
}

fn small_bytes(change: impl FnOnce(&mut Vec<(String, Vec<usize>)>), metadata: &BTreeMap<String, String>) -> Vec<u8> {
    let mut tensors = names_and_shapes(&small());
    change(&mut tensors);
    let data: Vec<Vec<f32>> = tensors.iter().map(|(_, shape)| vec![1.0; shape.iter().product()]).collect();
    let tensors = tensors.iter().zip(&data);
    let tensors: Vec<_> = tensors.map(|((name, shape), data)| NamedTensor::new(name, shape, data)).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.safetensors");
    weights::save(&path, &tensors, metadata).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn headers_that_lie_are_refused() {
    let tensor = |offsets: &str| format!(r#"{{"dtype":"F32","shape":[2],"data_offsets":{offsets}}}"#);
    let (first, second) = (tensor("[0,8]"), tensor("[8,16]"));
    let good = bytes(&format!(r#"{{"a":{first},"b":{second}}}"#), 16);
    assert_eq!(load(good).unwrap().names().collect::<Vec<_>>(), ["a", "b"]);

    for (what, file, word) in [
        ("empty", vec![], "too short"),
        ("seven bytes", vec![0; 7], "too short"),
        ("huge header", [u64::MAX.to_le_bytes(), [0; 8]].concat(), "not safetensors"),
        ("header of 9 MiB", [(9u64 << 20).to_le_bytes().to_vec(), vec![b' '; 9 << 20]].concat(), "header"),
        ("header past the end", [100u64.to_le_bytes(), [b' '; 8]].concat(), "header"),
        ("no JSON", bytes("{", 0), "JSON"),
        ("no UTF-8", [3u64.to_le_bytes().to_vec(), vec![b'"', 0xff, b'"']].concat(), "UTF-8"),
        ("deep JSON", bytes(&"[".repeat(100_000), 0), "JSON"),
        ("overlap", bytes(&format!(r#"{{"a":{first},"b":{}}}"#, tensor("[4,12]")), 12), "offset"),
        ("hole", bytes(&format!(r#"{{"a":{first},"b":{}}}"#, tensor("[12,20]")), 20), "offset"),
        ("past the end", bytes(&format!(r#"{{"a":{first},"b":{second}}}"#), 12), "not fully covered"),
        ("more than said", bytes(&format!(r#"{{"a":{first}}}"#), 12), "not fully covered"),
        ("backwards", bytes(&format!(r#"{{"a":{}}}"#, tensor("[8,0]")), 8), "offset"),
        ("wrong shape", bytes(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8), "shape"),
        (
            "overflow",
            bytes(r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#, 0),
            "overflow",
        ),
        ("negative", bytes(r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,0]}}"#, 0), "JSON"),
        ("unknown type", bytes(r#"{"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,4]}}"#, 4), "JSON"),
        ("checkpoint", b"PK\x03\x04 archive/data.pkl".to_vec(), "damaged zip archive"),
        ("pickle", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.".to_vec(), "damaged pickle"),
        ("page", b"<!DOCTYPE html><html>404</html>".to_vec(), "HTML"),
        ("pointer", b"version https://git-lfs.github.com/spec/v1\n".to_vec(), "Git LFS"),
    ] {
        let message = refusal(load(file));
        assert!(message.contains(word), "{what}: {message}");
    }
}

#[test]
fn a_header_as_long_as_a_pickles_first_bytes_is_a_header() {
    let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let padded = format!("{header:<640}");
    assert_eq!(padded.len().to_le_bytes()[..2], [0x80, 2]);
    assert!(load(bytes(&padded, 8)).is_ok());
}

#[test]
fn every_truncation_is_refused() {
    let whole = small_bytes(|_| (), &BTreeMap::new());
    assert!(load(whole.clone()).is_ok());
    for length in (0..4096.min(whole.len())).chain([whole.len() - 1]) {
        refusal(load(whole[..length].to_vec()));
    }
}

/// Any byte of the header may be anything: an answer or an error, never a panic.
#[test]
fn damaged_headers_never_panic() {
    let whole = small_bytes(|_| (), &weights::metadata(&small(), None, None).unwrap());
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let mut refused = 0;
    for position in 0..header {
        for value in [0, b'0', b'9', b'"', b'}', 0xff] {
            let mut damaged = whole.clone();
            damaged[position] = value;
            let usable = load(damaged).and_then(|weights| {
                weights::inspect(&weights, &Overrides::default()).to_string();
                weights::check(&weights, &weights::infer_architecture(&weights)?)
            });
            refused += usize::from(usable.is_err());
        }
    }
    assert!(refused > header, "{refused}");
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Weights::open(folder.path()).unwrap_err().to_string().contains("not a regular file"));
    assert!(Weights::open(folder.path().join("none")).is_err());
    let empty = folder.path().join("empty");
    File::create(&empty).unwrap();
    assert!(Weights::open(empty).unwrap_err().to_string().contains("is empty"));
}

#[test]
fn every_misfit_is_in_one_error() {
    let file = small_bytes(
        |tensors| {
            tensors.retain(|(name, _)| name != "bn1.bias" && name != "layer2.0.downsample.1.weight");
            tensors.push(("layer1.0.se.fc.weight".into(), vec![2]));
            tensors.iter_mut().find(|(name, _)| name == "fc.weight").unwrap().1 = vec![8, 3];
        },
        &weights::metadata(&small(), None, None).unwrap(),
    );
    let weights = load(file).unwrap();
    let message = refusal(weights::check(&weights, &weights::infer_architecture(&weights).unwrap()));
    for part in [
        "2 missing, 1 unexpected, 1 misshapen",
        "missing bn1.bias [4]",
        "missing layer2.0.downsample.1.weight [8]",
        "unexpected layer1.0.se.fc.weight [2]",
        "fc.weight is [8, 3] instead of [3, 8]",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    weights::check(&load(small_bytes(|_| (), &BTreeMap::new())).unwrap(), &small()).unwrap();
}

#[test]
fn a_long_list_of_misfits_is_cut() {
    let weights = load(small_bytes(|_| (), &BTreeMap::new())).unwrap();
    let message = refusal(weights::check(&weights, &named("resnet50")));
    let problems = weights::compare(&weights, &named("resnet50"));
    assert!(message.contains(&format!("; and {} more", problems.len() - 20)), "{message}");
    assert_eq!(message.matches("missing layer").count() + message.matches(" instead of ").count(), 20, "{message}");
    assert!(message.len() < 4000);
}

#[test]
fn types_that_are_not_read_are_named() {
    let names: Vec<_> = names_and_shapes(&small());
    let data = vec![0u8; 8 * 4096];
    let tensors = names.iter().map(|(name, shape)| {
        let dtype = if name == "fc.bias" { Dtype::I64 } else { Dtype::F32 };
        let length = shape.iter().product::<usize>() * if dtype == Dtype::I64 { 8 } else { 4 };
        RawTensor { name: name.into(), dtype, shape: Cow::Borrowed(shape), bytes: Cow::Borrowed(&data[..length]) }
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.safetensors");
    weights::write_safetensors(&path, &tensors.collect::<Vec<_>>(), &BTreeMap::new()).unwrap();
    let weights = Weights::open(&path).unwrap();
    let expected = [Problem::Type { name: "fc.bias".into(), dtype: Dtype::I64 }];
    assert_eq!(weights::compare(&weights, &small()), expected);
    assert!(weights.tensor_f32("fc.bias").unwrap_err().to_string().contains("fc.bias is I64"));
    assert!(weights.tensor_f32("fc.weight").is_ok());
    assert!(weights.tensor_f32("fc").unwrap_err().to_string().contains("has no tensor fc"));
}

#[test]
fn numbers_that_are_not_finite_are_counted() {
    let values = [1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2.0];
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut file = bytes(r#"{"conv1.weight":{"dtype":"F32","shape":[5],"data_offsets":[0,20]}}"#, 0);
    file.extend(data);
    let message = refusal(load(file).unwrap().tensor_f32("conv1.weight"));
    assert!(message.contains("conv1.weight has 3 non-finite values of 5"), "{message}");
}

#[test]
fn every_named_architecture_survives_its_metadata() {
    let folder = tempfile::tempdir().unwrap();
    for name in Architecture::names() {
        let architecture = named(name).with_classes(7);
        let json = architecture.to_json().unwrap();
        let weights = hollow(folder.path(), &names_and_shapes(&architecture), Some(&json));
        assert_eq!(weights::infer_architecture(&weights).unwrap(), architecture, "{name}");
        weights::check(&weights, &architecture).unwrap();
    }
}

#[test]
fn every_named_architecture_is_told_from_its_shapes() {
    let folder = tempfile::tempdir().unwrap();
    for name in Architecture::names() {
        let mut architecture = named(name).with_classes(7);
        let weights = hollow(folder.path(), &names_and_shapes(&architecture), None);
        if architecture.block == BlockKind::Plain {
            // The same tensors; only the metadata can say that there is no shortcut.
            (architecture.block, architecture.shortcut) = (BlockKind::Basic, Shortcut::ZeroPad);
        }
        assert_eq!(weights::infer_architecture(&weights).unwrap(), architecture, "{name}");
        weights::check(&weights, &architecture).unwrap();
    }
}

#[test]
fn projections_are_those_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let infer = |tensors: &Architecture, metadata: Option<&Architecture>| {
        let json = metadata.map(|architecture| architecture.to_json().unwrap());
        let weights = hollow(folder.path(), &names_and_shapes(tensors), json.as_deref());
        let found = weights::infer_architecture(&weights).unwrap();
        weights::check(&weights, &found).unwrap();
        found
    };
    for shortcut in [Shortcut::ZeroPad, Shortcut::Projection, Shortcut::ProjectionAll] {
        let architecture = Architecture { shortcut, ..named("resnet20") };
        assert_eq!(infer(&architecture, None), architecture);
    }
    // As in some networks, one more projection than option B has: in the first block of the first stage.
    let mut more = Architecture { shortcut: Shortcut::Projection, ..named("resnet20") };
    more.extra_projections.insert("layer1.0".into());
    assert_eq!(infer(&more, None), more);
    assert_eq!(infer(&more, Some(&named("resnet20"))), more);
    // A projection that is missing is asked for, not replaced by zeros.
    let whole = named("resnet18");
    let mut tensors = names_and_shapes(&whole);
    tensors.retain(|(name, _)| !name.starts_with("layer3.0.downsample"));
    let weights = hollow(folder.path(), &tensors, None);
    let found = weights::infer_architecture(&weights).unwrap();
    assert_eq!(found, whole);
    assert_eq!(weights::compare(&weights, &found).len(), 5);
}

/// What a terminal would obey, or what would fill it, is not repeated as it came.
#[test]
fn errors_tame_what_the_file_says() {
    let long = "x".repeat(1 << 20);
    let offsets = r#"{"dtype":"F32","shape":[1],"data_offsets":[4,8]}"#;
    let metadata =
        BTreeMap::from([("gpu_resnet.architecture".to_owned(), r#"{"block":"\u001b[31m","depths":[1]}"#.to_owned())]);
    for message in [
        refusal(load(bytes(&format!(r#"{{"\u001b[2J{long}":{offsets}}}"#), 8))),
        refusal(weights::infer_architecture(&load(small_bytes(|_| (), &metadata)).unwrap())),
        refusal(weights::check(
            &load(small_bytes(|t| t.push((format!("\u{1b}{long}"), vec![1])), &metadata)).unwrap(),
            &small(),
        )),
    ] {
        assert!(message.contains("\\u{1b}") && !message.contains('\u{1b}') && message.len() < 1000, "{message}");
    }
}

#[test]
fn classes_come_from_the_classifier_where_the_metadata_leaves_them_out() {
    let folder = tempfile::tempdir().unwrap();
    let json = r#"{"block":"basic","depths":[3,3,3],"stem":{"kind":"cifar"},"shortcut":"zero-pad"}"#;
    let weights = hollow(folder.path(), &names_and_shapes(&named("resnet20")), Some(json));
    assert_eq!(weights::infer_architecture(&weights).unwrap(), named("resnet20"));
}

#[test]
fn bad_metadata_names_the_key() {
    for (json, word) in [("{", "EOF"), (r#"{"block":"basic","depths":[1],"width":3}"#, "`width`"), ("[]", "")] {
        let metadata = BTreeMap::from([("gpu_resnet.architecture".to_owned(), json.to_owned())]);
        let message = refusal(weights::infer_architecture(&load(small_bytes(|_| (), &metadata)).unwrap()));
        assert!(message.contains("gpu_resnet.architecture") && message.contains(word), "{json}: {message}");
    }
}

#[test]
fn labels_are_one_for_each_class() {
    let labels = |json: &str| {
        let metadata = BTreeMap::from([("gpu_resnet.labels".to_owned(), json.to_owned())]);
        load(small_bytes(|_| (), &metadata)).unwrap().labels()
    };
    assert_eq!(labels(r#"["a","b","c"]"#).unwrap().unwrap(), ["a", "b", "c"]);
    assert!(refusal(labels(r#"["a","b"]"#)).contains("`gpu_resnet.labels` has 2 names and the network 3 classes"));
    assert!(refusal(labels(r#"{"0":"a"}"#)).contains("gpu_resnet.labels"));
    assert_eq!(load(small_bytes(|_| (), &BTreeMap::new())).unwrap().labels().unwrap(), None);
}

#[test]
fn an_inspection_lists_problems_instead_of_failing() {
    let file = small_bytes(|tensors| tensors.truncate(8), &weights::metadata(&small(), None, None).unwrap());
    let inspection = weights::inspect(&load(file).unwrap(), &Overrides::default());
    assert!(inspection.problems.iter().any(|problem| problem.contains("missing fc.weight")), "{inspection}");
    let unknown = weights::inspect(&load(bytes("{}", 0)).unwrap(), &Overrides::default());
    assert_eq!(unknown.problems.len(), 1);
    assert!(unknown.to_string().contains("no tensors"), "{unknown}");
}

#[test]
fn weights_are_found_by_path_folder_and_name() {
    let folder = tempfile::tempdir().unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let built_in = |name| weights::BUILT_IN.iter().find(|(known, _)| *known == name).expect("a name");
    let source = |name| Source::BuiltIn(built_in(name).0, built_in(name).1);
    assert_eq!(weights::resolve(None).unwrap(), source("resnet50-thin"));
    for (name, bytes) in weights::BUILT_IN {
        assert_eq!(weights::resolve(Some(name)).unwrap(), Source::BuiltIn(name, bytes));
        let found = weights::open(Some(name)).expect("built-in weights");
        weights::check(&found, &weights::infer_architecture(&found).unwrap()).unwrap();
    }
    let run = text(folder.path());
    assert!(weights::resolve(Some(&run)).unwrap_err().to_string().contains("without model.safetensors"));
    let model = folder.path().join("model.safetensors");
    File::create(&model).unwrap();
    assert_eq!(weights::resolve(Some(&run)).unwrap(), Source::File(model.clone()));
    assert_eq!(weights::resolve(Some(&text(&model))).unwrap(), Source::File(model));
    let named = weights::resolve(Some("resnet50.a1_in1k")).unwrap();
    assert!(matches!(named, Source::Pretrained(entry) if entry.name == "resnet50.a1_in1k"), "{named:?}");
    let unknown = weights::resolve(Some("resnet50thin")).unwrap_err();
    let said = unknown.to_string();
    assert!(said.contains("nearest names are resnet50-thin,") && said.contains("weights list"), "{said}");
    assert_eq!(unknown.exit_status(), 2);
    let missing = weights::resolve(Some(&text(&folder.path().join("x.safetensors")))).unwrap_err();
    assert!(missing.to_string().contains("does not exist"), "{missing}");
    assert_eq!(missing.exit_status(), 1);
}
