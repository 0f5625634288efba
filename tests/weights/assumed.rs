//! What `weights convert` only assumed is no fact of the file that it writes.

use gpu_resnet::model::Architecture;
use gpu_resnet::weights::{self, NamedTensor, Names, Origin, Overrides, Weights};

const NETWORK: &str =
    r#"{"block":"bottleneck","depths":[1],"widths":[4],"stem":{"kind":"imagenet","width":4},"classes":1000}"#;

#[test]
fn what_was_assumed_stays_assumed_after_a_conversion() {
    let folder = tempfile::tempdir().unwrap();
    let (bare, converted) = (folder.path().join("bare.safetensors"), folder.path().join("converted.safetensors"));
    let hashed = weights::hash_weights(&Architecture::from_json(NETWORK).unwrap()).unwrap();
    let tensors = hashed
        .names()
        .map(|name| NamedTensor::new(name, hashed.shape(name).unwrap(), hashed.tensor_f32(name).unwrap()))
        .collect::<Vec<_>>();
    weights::save(&bare, &tensors, &Default::default()).unwrap();

    let given = Overrides { mean: Some([0.5, 0.4, 0.3]), ..Overrides::default() };
    let original = Weights::open(&bare).unwrap();
    let described = weights::describe(&original, &given).unwrap();
    weights::convert(&original, &described, &converted, None, Names::Torchvision).unwrap();
    let again = Weights::open(&converted).unwrap();
    assert_eq!(again.labels().unwrap(), None);
    let found = weights::describe(&again, &Overrides::default()).unwrap();
    for key in ["stride_in", "bn_eps", "stem.pool", "std", "resize", "labels"] {
        assert_eq!(found.origins[key], Origin::Assumed, "{key}");
    }
    // What the user said, and what the shapes say, is the file's.
    assert!(["mean", "widths", "block"].iter().all(|key| found.origins[*key] == Origin::File));
    assert_eq!((found.preprocess.mean, found.labels), ([0.5, 0.4, 0.3], described.labels));
    let line = weights::describe(&again, &Overrides::default()).unwrap().assumed(true, true).unwrap();
    assert!(line.contains("ImageNet's std") && line.contains("class names") && !line.contains("mean"), "{line}");
}

#[test]
fn a_negative_variance_is_refused_by_its_name() {
    let tensor = NamedTensor::new("bn1.running_var", &[2], vec![0.5f32, -0.25]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("negative.safetensors");
    weights::save(&path, &[tensor], &Default::default()).unwrap();
    let text = Weights::open(&path).unwrap().tensor_f32("bn1.running_var").unwrap_err().to_string();
    assert!(text.contains("negative.safetensors") && text.contains("bn1.running_var has 1 negative"), "{text}");
}

#[test]
fn a_hubs_folder_keeps_its_labels_under_another_architecture() {
    let folder = tempfile::tempdir().unwrap();
    let json = NETWORK.replace("1000", "3");
    let hashed = weights::hash_weights(&Architecture::from_json(&json).unwrap()).unwrap();
    let tensors = hashed
        .names()
        .map(|name| NamedTensor::new(name, hashed.shape(name).unwrap(), hashed.tensor_f32(name).unwrap()))
        .collect::<Vec<_>>();
    let path = folder.path().join("model.safetensors");
    weights::save(&path, &tensors, &Default::default()).unwrap();
    let given = Overrides { architecture: Some(format!("\u{feff}{json}")), ..Overrides::default() };
    for config in [
        r#"{"model_type": "timm_wrapper", "architecture": "resnet50d", "num_features": 16, "label_names": ["a", "b", "c"]}"#,
        r#"{"model_type": "resnet", "id2label": {"0": "a", "1": "b", "2": "c"}}"#,
    ] {
        std::fs::write(folder.path().join("config.json"), format!("\u{feff}{config}")).unwrap();
        let found = weights::describe(&Weights::open(&path).unwrap(), &given).unwrap();
        assert_eq!(found.labels.unwrap(), ["a", "b", "c"], "{config}");
        assert_eq!(found.origins["labels"], Origin::Config);
    }
    std::fs::write(
        folder.path().join("config.json"),
        r#"{"model_type": "resnet", "id2label": {"0": "a", "1": "a", "2": "c"}}"#,
    )
    .unwrap();
    let text = weights::describe(&Weights::open(&path).unwrap(), &given).unwrap_err().to_string();
    assert!(text.contains("config.json") && text.contains("class 0 and class 1"), "{text}");
}
