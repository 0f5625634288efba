//! `transformers`: `ResNetConfig` in `config.json`, and the image processor in `preprocessor_config.json`.

use serde_json::{Map, Value, json};

use super::stated::{Stated, channels, crop_share, not_done, sides, usual_pool};
use crate::weights::text::printable;

/// What a `ResNetConfig` says; its defaults are `ResNetConfig`'s. The error completes the sentence "FILE …".
pub(super) fn stated(config: &Value) -> Result<Stated, String> {
    let shown = |key: &str| printable(&config.get(key).map(Value::to_string).unwrap_or_default());
    match config.get("model_type").and_then(Value::as_str) {
        Some("resnet") => {}
        Some("timm_wrapper" | "timm_backbone") => return Ok(Stated::default()),
        _ => return Err(format!("is of a {} model, not of a `resnet`; give a ResNet's folder", shown("model_type"))),
    }
    for (key, only, why) in [
        ("hidden_act", json!("relu"), "another activation than ReLU is not supported"),
        ("downsample_in_first_stage", json!(false), "a stride in the first stage is not supported"),
        ("num_channels", json!(3), "images of another number of channels are not supported"),
    ] {
        if config.get(key).is_some_and(|value| *value != only) {
            return Err(format!("has {} as `{key}`: {why}", shown(key)));
        }
    }
    let sizes = |key: &str, default: &[u64]| match config.get(key) {
        None => Ok(default.to_vec()),
        Some(value) => {
            let sizes = value.as_array().and_then(|sizes| sizes.iter().map(Value::as_u64).collect::<Option<Vec<_>>>());
            sizes.ok_or_else(|| format!("has {} as `{key}`; it takes a list of numbers", shown(key)))
        }
    };
    let bottleneck = match config.get("layer_type").and_then(Value::as_str) {
        None | Some("bottleneck") => true,
        Some("basic") => false,
        _ => return Err(format!("has {} as `layer_type`; it takes basic or bottleneck", shown("layer_type"))),
    };
    let hidden = sizes("hidden_sizes", &[256, 512, 1024, 2048])?;
    let widths: Vec<u64> = hidden.iter().map(|size| if bottleneck { size / 4 } else { *size }).collect();
    let embedding = config.get("embedding_size").cloned().unwrap_or(json!(64));
    let first = config.get("downsample_in_bottleneck") == Some(&json!(true));
    let labels = labels(config)?;
    let mut told_by_tensors = vec![
        ("block", json!(if bottleneck { "bottleneck" } else { "basic" })),
        ("depths", json!(sizes("depths", &[3, 4, 6, 3])?)),
        ("widths", json!(widths)),
        ("stem.kind", json!("imagenet")),
        ("stem.width", embedding),
    ];
    if let Some(labels) = &labels {
        told_by_tensors.push(("classes", json!(labels.len())));
    }
    Ok(Stated {
        told_by_tensors,
        untold: vec![("stride_in", json!(if first { "1x1" } else { "3x3" })), ("bn_eps", json!(1e-5)), usual_pool()],
        labels,
        imagenet: false,
    })
}

/// `id2label`: a name for each number from 0 on.
pub(super) fn labels(config: &Value) -> Result<Option<Vec<String>>, String> {
    let Some(Value::Object(names)) = config.get("id2label") else { return Ok(None) };
    let label = |i: usize| names.get(&i.to_string()).and_then(Value::as_str).map(str::to_owned);
    let labels: Option<Vec<String>> = (0..names.len()).map(label).collect();
    let wrong =
        || format!("has {} names in `id2label` that are not numbered from 0 on; give a name for each", names.len());
    labels.map(Some).ok_or_else(wrong)
}

/// An image processor's settings, in the keys of `gpu_resnet.preprocess`.
pub(super) fn preprocess(config: &Value, sizes: bool) -> Result<Map<String, Value>, String> {
    let is = |key: &str| config.get(key).and_then(Value::as_bool);
    let mut found = Map::new();
    if is("do_resize") != Some(false) {
        sides(&mut found, size(config), sizes)?;
    } else if !sizes {
        return Err(not_done("leaves images at their own size (`do_resize` false)"));
    }
    match config.get("resample").and_then(Value::as_u64) {
        Some(2) => {
            found.insert("interpolation".into(), json!("bilinear"));
        }
        Some(3) => {
            found.insert("interpolation".into(), json!("bicubic"));
        }
        None => {}
        Some(other) => {
            return Err(format!("has {other} as `resample`; Pillow's bilinear (2) and bicubic (3) are supported"));
        }
    }
    normalisation(config, &mut found)?;
    Ok(found)
}

/// The sides of resize and crop; `None` if the file has none.
fn size(config: &Value) -> Result<Option<(u64, u64)>, String> {
    let Some(size) = config.get("size") else { return Ok(None) };
    let kind = ["image_processor_type", "feature_extractor_type"].iter().find_map(|key| config.get(key)?.as_str());
    // `transformers`' own ResNets have ConvNeXt's processor.
    let convnext = kind.is_some_and(|kind| kind.starts_with("ConvNext")) || config.get("crop_pct").is_some();
    let shortest = size.get("shortest_edge").and_then(Value::as_u64);
    let square = |value: &Value| match (value.as_u64(), value.get("height"), value.get("width")) {
        (Some(side), ..) => Some(side),
        (None, Some(height), Some(width)) if height == width => height.as_u64(),
        _ => value.get("shortest_edge").and_then(Value::as_u64),
    };
    if convnext {
        let side = shortest.or(size.as_u64()).ok_or_else(|| format!("has {size} as `size`; it takes a number"))?;
        if side >= 384 {
            return Err(not_done(&format!("squeezes images to {side} x {side} whatever their shape")));
        }
        return Ok(Some(((side as f64 / crop_share(config)?) as u64, side)));
    }
    let cropped = config.get("do_center_crop").and_then(Value::as_bool) != Some(false);
    let crop = config.get("crop_size").filter(|_| cropped).and_then(square);
    match (shortest.or(size.as_u64().filter(|_| crop.is_some())), crop) {
        (Some(resize), Some(crop)) => Ok(Some((resize, crop))),
        _ => Err(not_done(&format!("scales images to {} without a crop", printable(&size.to_string())))),
    }
}

/// Mean and standard deviation of pixels from 0 to 1: `(pixel * rescale_factor - image_mean) / image_std`.
fn normalisation(config: &Value, found: &mut Map<String, Value>) -> Result<(), String> {
    let is = |key: &str| config.get(key).and_then(Value::as_bool);
    let factor = match is("do_rescale") {
        Some(false) => 1.0,
        _ => config.get("rescale_factor").and_then(Value::as_f64).unwrap_or(1.0 / 255.0),
    };
    let scale = factor * 255.0;
    if !scale.is_finite() || scale <= 0.0 {
        return Err(format!("has {factor} as `rescale_factor`; it takes a number above 0"));
    }
    let of_unit = |value: Value| -> Value {
        // Exact if the factor changes nothing.
        if (scale - 1.0).abs() < 1e-9 {
            return value;
        }
        value.as_array().into_iter().flatten().map(|number| number.as_f64().unwrap_or_default() / scale).collect()
    };
    let none = is("do_normalize") == Some(false);
    for (key, stated, identity) in [("mean", "image_mean", 0.0), ("std", "image_std", 1.0)] {
        let value = if none { Some(json!([identity, identity, identity])) } else { channels(config, stated)? };
        if let Some(value) = value {
            found.insert(key.into(), of_unit(value));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preprocessed(config: Value) -> Value {
        Value::Object(preprocess(&config, false).unwrap())
    }

    #[test]
    fn the_hubs_resnet50() {
        let stated = stated(&json!({
            "architectures": ["ResNetForImageClassification"], "model_type": "resnet", "depths": [3, 4, 6, 3],
            "hidden_sizes": [256, 512, 1024, 2048], "embedding_size": 64, "hidden_act": "relu", "layer_type": "bottleneck",
            "downsample_in_first_stage": false, "num_channels": 3, "id2label": {"0": "tench", "1": "goldfish"},
        }));
        let stated = stated.unwrap();
        assert!(stated.told_by_tensors.contains(&("widths", json!([64, 128, 256, 512]))));
        assert!(stated.told_by_tensors.contains(&("classes", json!(2))));
        assert!(stated.untold.contains(&("stride_in", json!("3x3"))));
        assert_eq!(stated.labels.unwrap(), ["tench", "goldfish"]);
        let processor = json!({
            "crop_pct": 0.875, "do_normalize": true, "do_resize": true, "feature_extractor_type": "ConvNextFeatureExtractor",
            "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "resample": 3, "size": 224,
        });
        let expected = json!({
            "resize": 256, "crop": 224, "interpolation": "bicubic", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
        });
        assert_eq!(preprocessed(processor), expected);
    }

    #[test]
    fn other_processors() {
        let clip = json!({"size": {"shortest_edge": 236}, "crop_size": {"height": 224, "width": 224}, "resample": 2});
        assert_eq!(preprocessed(clip), json!({"resize": 236, "crop": 224, "interpolation": "bilinear"}));
        // Pixels from 0 to 255 less a mean of 51: from 0 to 1 it is 0.2.
        let raw = json!({"do_rescale": false, "image_mean": [51.0, 102.0, 0.0], "image_std": [255.0, 51.0, 255.0]});
        assert_eq!(preprocessed(raw), json!({"mean": [0.2, 0.4, 0.0], "std": [1.0, 0.2, 1.0]}));
        let none = json!({"do_normalize": false});
        assert_eq!(preprocessed(none), json!({"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}));
        for (config, word) in [
            (json!({"size": {"height": 224, "width": 224}}), "--resize"),
            (json!({"size": {"shortest_edge": 384}, "crop_pct": 1.0}), "squeezes"),
            (json!({"do_resize": false}), "own size"),
        ] {
            assert!(preprocess(&config, false).unwrap_err().contains(word), "{config}");
            assert!(preprocess(&config, true).is_ok(), "{config}");
        }
        for config in [json!({"resample": 1}), json!({"image_mean": [0.5]}), json!({"image_std": "x"})] {
            assert!(preprocess(&config, true).is_err(), "{config}");
        }
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (key, value) in [
            ("model_type", json!("convnext")),
            ("hidden_act", json!("gelu")),
            ("downsample_in_first_stage", json!(true)),
            ("num_channels", json!(1)),
            ("layer_type", json!("x")),
            ("depths", json!("x")),
            ("id2label", json!({"1": "a"})),
        ] {
            let mut config = json!({"model_type": "resnet"});
            config[key] = value;
            assert!(stated(&config).unwrap_err().contains(key) || key == "model_type", "{config}");
        }
        let v1 = json!({"model_type": "resnet", "downsample_in_bottleneck": true});
        assert!(stated(&v1).unwrap().untold.contains(&("stride_in", json!("1x1"))));
    }
}
