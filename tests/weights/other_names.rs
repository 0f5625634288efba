//! Networks under other libraries' names, and files whose names are of no network here.

use std::collections::BTreeMap;

use gpu_resnet::weights;

use crate::{bytes, hollow, load, named, names_and_shapes, refusal, small_bytes};

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
