//! Weights files: hostile ones are refused, good ones are understood, and what is written is read back.

#[path = "weights/assumed.rs"]
mod assumed;
#[path = "weights/checkpoints.rs"]
mod checkpoints;
#[path = "weights/convert.rs"]
mod convert;
#[path = "weights/fetch.rs"]
mod fetch;
#[path = "weights/pth.rs"]
mod pth;
#[path = "common/server.rs"]
mod server;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use gpu_resnet::Result;
use gpu_resnet::model::{Architecture, BlockKind, ParameterSpec, Shortcut, StrideIn};
use gpu_resnet::weights::{self, Dtype, Given, NamedTensor, Problem, RawTensor, Source, Weights};
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
                weights::inspect(&weights, &Given::default()).to_string();
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
fn other_libraries_names_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let transformers = |name: &str| {
        let (place, parameter) = name.rsplit_once('.').unwrap();
        let parts: Vec<&str> = place.split('.').collect();
        let number = |text: &str| text[text.len() - 1..].parse::<usize>().unwrap() - 1;
        let kind = |conv: bool| if conv { "convolution" } else { "normalization" };
        match parts[..] {
            ["fc"] => format!("classifier.1.{parameter}"),
            [stem] => format!("resnet.embedder.embedder.{}.{parameter}", kind(stem == "conv1")),
            [stage, block, "downsample", at] => {
                let at = kind(at == "0");
                format!("resnet.encoder.stages.{}.layers.{block}.shortcut.{at}.{parameter}", number(stage))
            }
            [stage, block, layer] => {
                let at = format!("layer.{}.{}", number(layer), kind(layer.starts_with("conv")));
                format!("resnet.encoder.stages.{}.layers.{block}.{at}.{parameter}", number(stage))
            }
            _ => panic!("{name}"),
        }
    };
    assert_eq!(transformers("layer2.0.bn3.bias"), "resnet.encoder.stages.1.layers.0.layer.2.normalization.bias");
    for architecture in [named("resnet50"), named("resnet18")] {
        let tensors = names_and_shapes(&architecture);
        let rename = |new: &dyn Fn(&str) -> String| {
            let mut renamed: Vec<_> = tensors.iter().map(|(name, shape)| (new(name), shape.clone())).collect();
            renamed.push((new("bn1.weight").replace(".weight", ".num_batches_tracked"), vec![]));
            hollow(folder.path(), &renamed, None)
        };
        for weights in
            [rename(&transformers), rename(&|name| format!("module.{name}")), rename(&|name| format!("model.{name}"))]
        {
            assert_eq!(weights::infer_architecture(&weights).unwrap(), architecture);
            weights::check(&weights, &architecture).unwrap();
        }
        let weights = rename(&transformers);
        assert_eq!(weights.original_name("fc.bias"), Some("classifier.1.bias"));
    }
}

#[test]
fn variants_that_are_not_supported_are_named() {
    for (tensor, shape, word) in [
        ("conv1.0.weight", vec![32, 3, 3, 3], "deep stem"),
        ("layer1.0.downsample.1.weight", vec![4, 4, 1, 1], "average-pooled"),
        ("layer1.0.se.fc1.weight", vec![4, 4, 1, 1], "attention"),
        ("layer1.0.conv1.bias", vec![4], "bias"),
    ] {
        let file = small_bytes(|tensors| tensors.push((tensor.into(), shape)), &BTreeMap::new());
        let message = refusal(weights::infer_architecture(&load(file).unwrap()));
        assert!(message.contains(tensor) && message.contains(word), "{message}");
    }
    let other = bytes(r#"{"cls_token":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8);
    let message = refusal(weights::infer_architecture(&load(other).unwrap()));
    assert!(message.contains("cls_token") && message.contains("no ResNet"), "{message}");
}

/// Names and shapes that ask for endless blocks or channels, in a file of a few hundred bytes.
#[test]
fn unbounded_networks_are_refused() {
    let tensors = |block: &str, conv2: &str| {
        let entry = |shape: &str, end: usize| format!(r#"{{"dtype":"F32","shape":{shape},"data_offsets":{end}}}"#);
        let conv1 = entry("[1,3,3,3]", 0).replace(":0}", ":[0,108]}");
        let other = entry(conv2, 0).replace(":0}", ":[108,108]}");
        bytes(&format!(r#"{{"conv1.weight":{conv1},"layer1.{block}.conv2.weight":{other}}}"#), 108)
    };
    for (file, word) in [
        (tensors("18446744073709551615", "[4,0,3,3]"), "depths"),
        (tensors("4000000", "[4,0,3,3]"), "depths"),
        (tensors("0", "[4611686018427387904,0,3,3]"), "widths"),
    ] {
        let message = refusal(weights::infer_architecture(&load(file).unwrap()));
        assert!(message.contains(word), "{message}");
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
fn what_is_saved_is_read_back_and_replaces_what_was_there() {
    let architecture = small();
    let hashed = weights::hash_weights(&architecture).unwrap();
    let specs = architecture.parameters();
    let tensors =
        specs.iter().map(|spec| NamedTensor::new(&spec.name, &spec.shape, hashed.tensor_f32(&spec.name).unwrap()));
    let tensors: Vec<_> = tensors.collect();
    let labels = ["å".to_owned(), "b\"".to_owned(), "c".to_owned()];
    let metadata = weights::metadata(&architecture, Some(&labels), Some(r#"{"crop":32}"#)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, "old").unwrap();
    weights::save(&path, &tensors, &metadata).unwrap();
    let first = std::fs::read(&path).unwrap();
    weights::save(&path, &tensors, &metadata).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    let read = Weights::open(&path).unwrap();
    assert_eq!(weights::infer_architecture(&read).unwrap(), architecture);
    weights::check(&read, &architecture).unwrap();
    assert_eq!((read.labels().unwrap().unwrap(), read.preprocess()), (labels.to_vec(), Some(r#"{"crop":32}"#)));
    for spec in &specs {
        assert_eq!(read.tensor_f32(&spec.name).unwrap(), hashed.tensor_f32(&spec.name).unwrap());
        assert!(matches!(read.tensor_f32(&spec.name), Ok(Cow::Borrowed(_))), "{} was copied", spec.name);
    }

    // What `load_state_dict(strict=True)` wants: every tensor and a scalar i64 counter for each normalisation.
    let file = safetensors::SafeTensors::deserialize(&first).unwrap();
    let counters: Vec<_> = file.iter().filter(|(name, _)| name.ends_with(".num_batches_tracked")).collect();
    assert_eq!(counters.len(), architecture.layers().convs().filter(|conv| conv.bn.is_some()).count());
    assert!(counters.iter().all(|(_, view)| view.dtype() == Dtype::I64 && view.shape().is_empty()));
    assert_eq!(file.len(), specs.len() + counters.len());
}

#[test]
#[cfg(unix)]
fn a_saved_file_has_an_ordinary_files_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (ours, ordinary) = (folder.path().join("ours"), folder.path().join("ordinary"));
    weights::save(&ours, &[], &BTreeMap::new()).unwrap();
    std::fs::write(&ordinary, "").unwrap();
    let mode = |path: &PathBuf| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&ours), mode(&ordinary));
}

#[test]
fn the_embedded_weights_are_a_whole_network() {
    let weights = weights::open(None).unwrap();
    let inspection = weights::inspect(&weights, &Given::default());
    assert_eq!(inspection.problems, [""; 0]);
    let architecture = inspection.architecture.clone().unwrap();
    assert_eq!((architecture.features(), architecture.classes), (1024, 2));
    assert_eq!(architecture.widths, [32, 64, 128, 256]);
    assert_eq!(architecture.stride_in, StrideIn::First1x1);
    assert!(architecture.stem.pool.is_some_and(|pool| pool.ceil_mode && pool.padding == 0));
    assert_eq!(inspection.parameters, architecture.parameter_count());
    assert_eq!(inspection.labels.as_ref().map(Vec::len), Some(2));
    assert!(inspection.preprocess.as_ref().is_some_and(|preprocess| preprocess.crop == 224));
    assert_eq!(inspection.tensors[0].name, "conv1.weight");
    let text = inspection.to_string();
    assert!(text.contains("fc.weight") && text.contains("[2, 1024]"), "{text}");
    let json = serde_json::to_value(&inspection).unwrap();
    assert_eq!(json["architecture"]["block"], "bottleneck");
}

#[test]
fn an_inspection_lists_problems_instead_of_failing() {
    let file = small_bytes(|tensors| tensors.truncate(8), &weights::metadata(&small(), None, None).unwrap());
    let inspection = weights::inspect(&load(file).unwrap(), &Given::default());
    assert!(inspection.problems.iter().any(|problem| problem.contains("missing fc.weight")), "{inspection}");
    let unknown = weights::inspect(&load(bytes("{}", 0)).unwrap(), &Given::default());
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
