//! Checkpoints as training scripts, libraries and old Pythons write them (`tests/golden/checkpoints.py`): each holds the same
//! hashed weights, and torch's logits say how they are run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gpu_resnet::gpu::{AdapterChoice, Gpu};
use gpu_resnet::model::{Architecture, Forward, InputKind, Network, TensorSource};
use gpu_resnet::weights::{self, Head, Origin, Overrides, Weights};
use pollster::FutureExt as _;

use crate::pth::{holds, network};

/// Largest difference over the largest logit, as in `tests/networks.rs`.
const TOLERANCE: f32 = 4e-6;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/checkpoints")).join(name)
}

fn given(set: &[&str]) -> Overrides {
    Overrides { set: set.iter().map(|setting| setting.to_string()).collect(), ..Overrides::default() }
}

fn same(value: f32) -> f32 {
    value
}

/// The network's logits for the references' input.
fn logits(gpu: &Arc<Gpu>, architecture: &Architecture, source: &dyn TensorSource) -> Vec<f32> {
    let network = Network::new(gpu, architecture, source).block_on().unwrap();
    let mut forward = Forward::new(&network, InputKind::Tensor, 2, [32, 32], false).unwrap();
    forward.run_tensor(&weights::hash_input("input", 2 * 3 * 32 * 32)).block_on().unwrap().logits
}

/// Whether the logits are torch's of the reference `name`.
fn torchs(found: &[f32], name: &str) -> bool {
    let references = Weights::open(golden("logits.safetensors")).unwrap();
    let expected = references.tensor_f32(name).unwrap();
    let largest = expected.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    assert!(largest > 0.01 && found.len() == expected.len());
    found.iter().zip(expected.iter()).all(|(found, value)| (found - value).abs() <= TOLERANCE * largest)
}

#[test]
fn every_trainers_checkpoint_is_read() {
    for name in [
        "trainer",
        "averaged",
        "ema",
        "model-ema",
        "lightning",
        "contrastive",
        "nested",
        "head-beside",
        "head-in-sequence",
        "last-linear",
        "shortcut",
        "objects",
        "parameters",
        "module",
        "python2-1",
        "python2-2",
        "protocol5",
        "protocol4-plain",
    ] {
        let weights = Weights::open(golden(&format!("{name}.pth"))).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(holds(&weights, same), "{name}");
        assert_eq!(weights.head(), &Head::Linear { bias: true }, "{name}");
    }
    // What is said to be left alone is neither the head nor what belongs to training.
    let contrastive = Weights::open(golden("contrastive.pth")).unwrap();
    assert_eq!(contrastive.prefix(), "state_dict.module.encoder_q.");
    assert_eq!(contrastive.left_out(), ["state_dict.module.queue", "state_dict.module.queue_ptr"]);
    assert!(Weights::open(golden("lightning.pth")).unwrap().left_out().is_empty());
}

#[test]
fn one_of_several_networks_is_chosen_by_its_key() {
    let path = golden("several.pth");
    let text = Weights::open(&path).unwrap_err().to_string();
    assert!(text.contains("state_dict, state_dict_ema") && text.contains("--weights-key"), "{text}");
    let first = Weights::open_key(&path, Some("state_dict")).unwrap();
    assert!(holds(&first, same));
    let second = Weights::open_key(&path, Some("state_dict_ema")).unwrap();
    assert!(holds(&second, |value| 2.0 * value) && second.sha256() == first.sha256());
    assert!(first.left_out().is_empty(), "{:?}", first.left_out());
    let text = Weights::open_key(&path, Some("ema")).unwrap_err().to_string();
    assert!(text.contains("no ResNet under ema; it holds state_dict, state_dict_ema"), "{text}");
}

#[test]
fn several_files_are_one_network() {
    for folder in ["sharded", "sharded-bin"] {
        assert!(holds(&weights::open(golden(folder).to_str()).unwrap(), same), "{folder}");
    }
    let index = golden("sharded/model.safetensors.index.json");
    assert!(holds(&Weights::open(&index).unwrap(), same));

    // A file that is elsewhere, not there, or without a tensor that it should have.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("model.safetensors.index.json");
    let part = "model-00001-of-00002.safetensors";
    std::fs::copy(golden("sharded").join(part), folder.path().join(part)).unwrap();
    let refused = |map: &str, word: &str| {
        std::fs::write(&copy, format!(r#"{{"weight_map":{map}}}"#)).unwrap();
        let text = weights::open(folder.path().to_str()).unwrap_err().to_string();
        assert!(text.contains(word) && text.starts_with(&folder.path().display().to_string()), "{text}");
    };
    refused(r#"{"conv1.weight":"../x"}"#, "not beside it");
    refused(r#"{"conv1.weight":"/etc/passwd"}"#, "not beside it");
    refused(r#"{"conv1.weight":"none.safetensors"}"#, "not there");
    refused(&format!(r#"{{"nothing":"{part}"}}"#), "has no tensor nothing");
    refused("{}", "names 0 files");
    refused("[]", "not an index");
}

#[test]
fn a_head_without_bias_and_no_head_at_all() {
    let gpu = Gpu::open(&AdapterChoice::default()).block_on().unwrap();
    let plain = Weights::open(golden("no-bias.pth")).unwrap();
    assert_eq!(plain.head(), &Head::Linear { bias: false });
    let architecture = weights::infer_architecture(&plain).unwrap();
    weights::check(&plain, &architecture).unwrap();
    assert!(torchs(&logits(&gpu, &architecture, &plain), "no-bias"));
    assert!(!torchs(&logits(&gpu, &architecture, &plain), "tiny"));

    let headless = Weights::open(golden("headless.pth")).unwrap();
    assert_eq!(headless.head(), &Head::None);
    let description = weights::describe(&headless, &Overrides::default()).unwrap();
    weights::check(&headless, &description.architecture).unwrap();
    assert_eq!((description.architecture.classes, description.labels), (1, None));
    let features = |source: &Weights, architecture: &Architecture| {
        let network = Network::new(&gpu, architecture, source).block_on().unwrap();
        let mut forward = Forward::new(&network, InputKind::Tensor, 2, [32, 32], false).unwrap();
        forward.run_tensor(&weights::hash_input("input", 2 * 3 * 32 * 32)).block_on().unwrap().features
    };
    let whole = Weights::open(golden("trainer.pth")).unwrap();
    assert_eq!(features(&headless, &description.architecture), features(&whole, &network()));
    assert!(torchs(&logits(&gpu, &network(), &whole), "tiny"));
}

/// Networks of the same tensors, told apart by options alone; each is torch's, and none is another's.
#[test]
fn options_say_what_tensors_can_not() {
    let gpu = Gpu::open(&AdapterChoice::default()).block_on().unwrap();
    let references = Weights::open(golden("logits.safetensors")).unwrap();
    let described =
        |name: &str| Architecture::from_json(references.metadata(&format!("architecture.{name}")).unwrap()).unwrap();
    for (name, set, other) in [
        ("v1", "stride_in=1x1", "v1.5"),
        ("eps", "bn_eps=0.01", "tiny"),
        ("pool", "stem.pool.kernel_size=3", "eps"),
        ("zero-pad-both", "shortcut=zero-pad-both", "zero-pad"),
    ] {
        let expected = described(name);
        let folder = tempfile::tempdir().unwrap();
        let path = save(folder.path(), &weights::hash_weights(&expected).unwrap());
        let weights = Weights::open(&path).unwrap();
        let found = weights::describe(&weights, &given(&[set])).unwrap();
        assert_eq!(found.architecture, expected, "{name}");
        assert!(found.origins.values().any(|origin| *origin == Origin::Option), "{name}");
        let values = logits(&gpu, &found.architecture, &weights);
        assert!(torchs(&values, name) && !torchs(&values, other), "{name}: {values:?}");
        // The same by a whole description.
        let whole = Overrides { architecture: Some(expected.to_json().unwrap()), ..Overrides::default() };
        assert_eq!(weights::describe(&weights, &whole).unwrap().architecture, expected);
        assert_ne!(weights::infer_architecture(&weights).unwrap(), expected);
    }
}

/// The tensors of `weights` in a file without metadata.
fn save(folder: &Path, weights: &Weights) -> PathBuf {
    let path = folder.join("network.safetensors");
    let tensors = weights
        .names()
        .map(|name| weights::NamedTensor::new(name, weights.shape(name).unwrap(), weights.tensor_f32(name).unwrap()));
    weights::save(&path, &tensors.collect::<Vec<_>>(), &Default::default()).unwrap();
    path
}

#[test]
fn a_folder_of_the_hub_is_run_as_its_configuration_says() {
    let weights = weights::open(golden("transformers").to_str()).unwrap();
    let found = weights::describe(&weights, &Overrides::default()).unwrap();
    weights::check(&weights, &found.architecture).unwrap();
    assert_eq!(found.labels.as_deref().unwrap(), ["cat", "dog", "owl"]);
    let preprocess = serde_json::to_value(&found.preprocess).unwrap();
    let expected = serde_json::json!({
        "resize": 32, "crop": 28, "interpolation": "bicubic", "mean": [0.5, 0.25, 0.125], "std": [0.5, 0.5, 0.25],
    });
    assert_eq!(preprocess, expected);
    assert!(found.assumed(true, true).is_none(), "{:?}", found.assumed(true, true));
    for key in ["stride_in", "mean", "labels"] {
        assert_eq!(found.origins[key], Origin::Config, "{key}");
    }
    let gpu = Gpu::open(&AdapterChoice::default()).block_on().unwrap();
    assert!(torchs(&logits(&gpu, &found.architecture, &weights), "v1"));

    // Options win; and a configuration of another network is refused.
    let changed = Overrides { mean: Some([0.1, 0.2, 0.3]), ..given(&["stride_in=3x3"]) };
    let found = weights::describe(&weights, &changed).unwrap();
    assert_eq!((found.preprocess.mean, found.preprocess.std), ([0.1, 0.2, 0.3], [0.5, 0.5, 0.25]));
    assert!(torchs(&logits(&gpu, &found.architecture, &weights), "v1.5"));
    let folder = tempfile::tempdir().unwrap();
    let copy = |name: &str| std::fs::copy(golden("transformers").join(name), folder.path().join(name)).unwrap();
    copy("model.safetensors");
    copy("config.json");
    let config = std::fs::read_to_string(folder.path().join("config.json")).unwrap();
    for (from, to, words) in [
        ("\"embedding_size\": 4", "\"embedding_size\": 8", "`stem.width` is 8, but the tensors of"),
        ("\"2\": \"owl\"", "\"2\": \"owl\", \"3\": \"cow\"", "`classes` is 4"),
        ("\"relu\"", "\"gelu\"", "hidden_act"),
        ("\"resnet\"", "\"convnext\"", "not of a `resnet`"),
        ("{", "[{", "not JSON"),
    ] {
        let changed = config.replacen(from, to, 1);
        assert_ne!(changed, config);
        std::fs::write(folder.path().join("config.json"), changed).unwrap();
        let opened = weights::open(folder.path().to_str()).and_then(|weights| weights::infer_architecture(&weights));
        let text = opened.unwrap_err().to_string();
        assert!(text.contains(words) && text.contains("config.json"), "{text}");
    }
}

#[test]
fn what_nothing_says_is_said_to_be_assumed() {
    let folder = tempfile::tempdir().unwrap();
    let network = |json: &str| {
        let hashed = weights::hash_weights(&Architecture::from_json(json).unwrap()).unwrap();
        Weights::open(save(folder.path(), &hashed)).unwrap()
    };
    let bottleneck =
        network(r#"{"block":"bottleneck","depths":[1,1],"widths":[4,8],"stem":{"width":4},"classes":1000}"#);
    let found = weights::describe(&bottleneck, &Overrides::default()).unwrap();
    let line = found.assumed(true, true).unwrap();
    for words in [
        "3x3 (v1.5)",
        "epsilon 1e-5",
        "ImageNet's mean",
        "ImageNet's std",
        "resize 256",
        "crop 224",
        "bilinear",
        "class names",
        "--set",
    ] {
        assert!(line.contains(words), "{words}: {line}");
    }
    assert_eq!(found.labels.as_ref().map(Vec::len), Some(1000));
    let backbone = found.assumed(true, false).unwrap();
    assert!(!backbone.contains("class names") && !found.assumed(false, false).unwrap().contains("resize"));
    // What is given is not assumed any more.
    let all = Overrides {
        mean: Some([0.5; 3]),
        std: Some([0.5; 3]),
        resize: Some(64),
        crop: Some(56),
        interpolation: Some(gpu_resnet::data::Interpolation::Bicubic),
        ..given(&["stride_in=3x3", "bn_eps=1e-5", "stem.pool={}"])
    };
    let found = weights::describe(&bottleneck, &all).unwrap();
    assert_eq!(
        found.assumed(true, true).unwrap(),
        "assumed, since nothing says it: ImageNet's class names; --labels changes it"
    );
    assert_eq!(found.assumed(true, false), None);
    // Zero-padded shortcuts and a small stem can be had in more than one way.
    let cifar =
        network(r#"{"block":"basic","depths":[1,1],"widths":[4,8],"stem":{"kind":"cifar"},"shortcut":"zero-pad"}"#);
    let line = weights::describe(&cifar, &Overrides::default()).unwrap().assumed(false, false).unwrap();
    assert!(line.contains("zeros after the last channel") && line.contains("no pool"), "{line}");
    // The program's own files say all.
    for name in [None, Some("resnet20-digits")] {
        let found = weights::describe(&weights::open(name).unwrap(), &Overrides::default()).unwrap();
        assert_eq!(found.assumed(true, true), None);
    }
    let text = weights::inspect(&bottleneck, &given(&["bn_eps=0.001"])).to_string();
    for line in [
        "assumed       stride_in = 3x3",
        "option        bn_eps = 0.001",
        "file          depths = [1,1]",
        "mean = [0.485,0.456,0.406]",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn contradictions_are_errors() {
    let whole = Weights::open(golden("trainer.pth")).unwrap();
    for (set, words) in [
        ("shortcut=zero-pad", "has projections in every shortcut"),
        ("block=bottleneck", "missing layer1.0.conv3.weight"),
        ("stride_in=2x2", "2x2"),
        ("depth=3", "the keys are"),
    ] {
        let result = weights::describe(&whole, &given(&[set]));
        let result = result.and_then(|found| weights::check(&whole, &found.architecture));
        let text = result.unwrap_err().to_string();
        assert!(text.contains(words), "{set}: {text}");
    }
    let more = weights::describe(&whole, &given(&["depths=2,1"])).unwrap();
    let text = weights::check(&whole, &more.architecture).unwrap_err().to_string();
    assert!(text.contains("missing layer1.1.conv1.weight"), "{text}");
    let crop = Overrides { crop: Some(64), ..Overrides::default() };
    assert!(weights::describe(&whole, &crop).unwrap_err().to_string().contains("--resize"));
}

#[test]
fn other_formats_are_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, word) in [
        ("model.onnx", &b"\x08\x08\x12\x07pytorch\x1a\x051.9.0:\x10conv"[..], "ONNX"),
        ("resnet.h5", b"\x89HDF\r\n\x1a\n\0\0\0\0\0\0", "HDF5"),
        ("best.pth.tar", b"\x1f\x8b\x08\0\0\0\0\0\0\x03abc", "gzip"),
        ("R-50.pkl", b"\x80\x02}q\x00(X\x05\x00\x00\x00modelq\x01}q\x02u.", "detectron2"),
        ("model.ckpt.index", b"\0\0\0\0\0\0\0\0\0\0\0\0", "TensorFlow"),
        ("config.json", b"{\"model_type\": \"resnet\"}", "JSON"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let text = Weights::open(&path).unwrap_err().to_string();
        assert!(text.contains(word) && text.starts_with(&path.display().to_string()), "{name}: {text}");
    }
    let text = weights::open(folder.path().to_str()).unwrap_err().to_string();
    assert!(text.contains("it has best.pth.tar"), "{text}");
}

#[test]
fn timms_configuration_says_how_its_networks_are_run() {
    let folder = tempfile::tempdir().unwrap();
    let resnet18 = Architecture::named("resnet18").unwrap();
    crate::hollow(folder.path(), &crate::names_and_shapes(&resnet18), None);
    std::fs::rename(folder.path().join("file.safetensors"), folder.path().join("model.safetensors")).unwrap();
    let describe = |architecture: &str, crop_mode: &str, given: &Overrides| {
        let config = serde_json::json!({
            "architecture": architecture, "num_classes": 1000, "num_features": 512, "pretrained_cfg": {
                "tag": "a1_in1k", "input_size": [3, 224, 224], "interpolation": "bicubic", "crop_pct": 0.95, "crop_mode": crop_mode,
                "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25],
            },
        });
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        weights::describe(&weights::open(folder.path().to_str()).unwrap(), given)
    };
    let found = describe("resnet18", "center", &Overrides::default()).unwrap();
    assert_eq!(found.architecture, resnet18);
    let preprocess = &found.preprocess;
    assert_eq!((preprocess.resize, preprocess.crop, preprocess.mean), (235, 224, [0.5; 3]));
    assert_eq!((found.origins["labels"], found.assumed(true, true)), (Origin::Config, None));
    for (architecture, crop_mode, words) in [
        ("resnet34", "center", "says that `depths` is [3,4,6,3], but the tensors of"),
        ("resnetblur18", "center", "no plain ResNet"),
        ("resnet18", "squash", "--resize and --crop"),
    ] {
        let text = describe(architecture, crop_mode, &Overrides::default()).unwrap_err().to_string();
        assert!(text.contains(words) && text.contains("config.json"), "{text}");
    }
    // What the user says instead is taken.
    let sizes = Overrides { resize: Some(224), crop: Some(224), ..Overrides::default() };
    assert_eq!(describe("resnet18", "squash", &sizes).unwrap().preprocess.resize, 224);
    let whole = Overrides { architecture: Some(resnet18.to_json().unwrap()), ..Overrides::default() };
    assert_eq!(describe("resnetblur18", "center", &whole).unwrap().architecture, resnet18);
}
