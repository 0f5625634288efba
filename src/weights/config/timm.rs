//! timm's `config.json`: the architecture's name, and in `pretrained_cfg` how images are prepared.

use serde_json::{Map, Value, json};

use super::stated::{Stated, channels, crop_share, not_done, sides, usual_pool};
use crate::model::{Architecture, BlockKind};
use crate::weights::text::printable;

/// Prefixes that timm gives to the names of weights that others trained.
const PREFIXES: [&str; 6] = ["tv_", "gluon_", "ssl_", "swsl_", "ig_", "timm/"];

/// The `model_type` of timm's models in `transformers`.
pub(super) const WRAPPERS: [&str; 2] = ["timm_wrapper", "timm_backbone"];

/// The architecture's name, if the file is timm's.
pub(super) fn architecture_name(config: &Value) -> Option<&str> {
    let name = config.get("architecture")?.as_str()?;
    ["pretrained_cfg", "num_features", "input_size"].iter().any(|key| config.get(key).is_some()).then_some(name)
}

/// How images are prepared: `pretrained_cfg`, or the file itself, as timm before 0.9 wrote it.
fn prepared(config: &Value) -> &Value {
    config.get("pretrained_cfg").filter(|cfg| cfg.is_object()).unwrap_or(config)
}

/// The class names, if there are any: `label_names`, `labels` in older files.
pub(super) fn labels(config: &Value) -> Option<Vec<String>> {
    let names = ["label_names", "labels"].into_iter().find_map(|key| {
        let names = config.get(key).or_else(|| prepared(config).get(key))?;
        serde_json::from_value::<Vec<String>>(names.clone()).ok()
    });
    names.filter(|names| !names.is_empty())
}

/// Whether the file says that its classes are ImageNet-1k's.
pub(super) fn is_imagenet(config: &Value) -> bool {
    prepared(config).get("tag").and_then(Value::as_str).is_some_and(|tag| tag.ends_with("in1k"))
}

/// What `config` says about the network `name`. The error completes the sentence "FILE …".
pub(super) fn stated(config: &Value, name: &str) -> Result<Stated, String> {
    let architecture = named(name).ok_or_else(|| {
        format!(
            "names timm's {}, which is no plain ResNet that is known here; if its tensors are all there is to it, say so by \
             --architecture FILE.json",
            printable(name)
        )
    })?;
    let arguments = config.get("model_args").and_then(Value::as_object);
    const HARMLESS: [&str; 5] = ["num_classes", "drop_rate", "drop_path_rate", "zero_init_last", "pretrained"];
    if let Some((key, value)) = arguments.into_iter().flatten().find(|(key, _)| !HARMLESS.contains(&key.as_str())) {
        let shown = printable(&format!("{key} = {value}"));
        return Err(format!(
            "builds its network with {shown}, which is not supported; if it changes nothing, remove it"
        ));
    }
    match config.get("global_pool").and_then(Value::as_str) {
        None | Some("avg" | "") => {}
        Some(other) => return Err(format!("pools by {}; only `avg` is supported", printable(other))),
    }
    let value = json!(architecture);
    let mut told_by_tensors: Vec<_> = ["block", "depths", "widths", "groups", "width_per_group", "stem"]
        .into_iter()
        .map(|key| (key, value[key].clone()))
        .collect();
    let classes = config.get("num_classes").and_then(Value::as_u64).filter(|classes| *classes > 0);
    told_by_tensors.extend(classes.map(|classes| ("classes", json!(classes))));
    let labels = labels(config);
    if let (Some(labels), Some(classes)) = (&labels, classes)
        && labels.len() as u64 != classes
    {
        let found = labels.len();
        return Err(format!("has {found} `label_names` and `num_classes` {classes}; give a name for each"));
    }
    Ok(Stated {
        told_by_tensors,
        untold: vec![("stride_in", json!("3x3")), ("bn_eps", json!(1e-5)), usual_pool()],
        labels,
        imagenet: is_imagenet(config),
    })
}

/// The plain ResNet of this timm name.
fn named(name: &str) -> Option<Architecture> {
    let mut name = name.split('.').next().unwrap_or_default();
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    let name = name.strip_suffix("_v1b").unwrap_or(name);
    let is_for_photographs =
        |name: &str| !["resnet20", "resnet32", "resnet44", "resnet56", "resnet110"].contains(&name);
    let plain = |name: &str| {
        Architecture::named(name).ok().filter(|a| a.block == BlockKind::Basic || a.block == BlockKind::Bottleneck)
    };
    let wider = |groups, width_per_group| {
        let base = plain("resnet101")?;
        Some(Architecture { groups, width_per_group, ..base })
    };
    match name {
        "resnet26" => plain("resnet50").map(|base| Architecture { depths: vec![2; 4], ..base }),
        "resnext101_32x4d" => wider(32, 4),
        "resnext101_32x16d" => wider(32, 16),
        "resnext101_32x32d" => wider(32, 32),
        "resnext101_32x48d" => wider(32, 48),
        name => plain(name).filter(|_| is_for_photographs(name)),
    }
}

/// How timm's evaluation prepares images, in the keys of `gpu_resnet.preprocess`: `resize = floor(input_size / crop_pct)`.
pub(super) fn preprocess(config: &Value, sizes: bool) -> Result<Map<String, Value>, String> {
    let mut found = Map::new();
    let cfg = prepared(config);
    sides(&mut found, size(cfg), sizes)?;
    match cfg.get("interpolation").and_then(Value::as_str) {
        None | Some("") => {}
        Some(filter @ ("bilinear" | "bicubic")) => {
            found.insert("interpolation".into(), json!(filter));
        }
        Some(other) => {
            let shown = printable(other);
            return Err(format!("has {shown} as `interpolation`; bilinear and bicubic are supported"));
        }
    }
    for key in ["mean", "std"] {
        if let Some(value) = channels(cfg, key)? {
            found.insert(key.into(), value);
        }
    }
    Ok(found)
}

fn size(cfg: &Value) -> Result<Option<(u64, u64)>, String> {
    let Some(input) = cfg.get("input_size") else { return Ok(None) };
    let side = match input.as_array().map(|sides| sides.iter().map(Value::as_u64).collect::<Vec<_>>()) {
        Some(sides) if matches!(sides[..], [Some(3), Some(height), Some(width)] if height == width) => sides[1],
        _ => None,
    };
    let side =
        side.ok_or_else(|| format!("has {} as `input_size`; [3, N, N] is supported", printable(&input.to_string())))?;
    match cfg.get("crop_mode").and_then(Value::as_str) {
        None | Some("" | "center") => {}
        Some(other) => return Err(not_done(&format!("scales images by the crop mode {}", printable(other)))),
    }
    Ok(Some(((side as f64 / crop_share(cfg)?).floor() as u64, side)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a1() -> Value {
        json!({
            "architecture": "resnet50", "num_classes": 1000, "num_features": 2048, "global_pool": "avg", "pretrained_cfg": {
                "tag": "a1_in1k", "input_size": [3, 224, 224], "test_input_size": [3, 288, 288], "interpolation": "bicubic",
                "crop_pct": 0.95, "test_crop_pct": 1.0, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
                "crop_mode": "center",
            },
        })
    }

    #[test]
    fn the_hubs_resnet50() {
        let name = architecture_name(&a1()).unwrap().to_owned();
        let stated = stated(&a1(), &name).unwrap();
        assert!(stated.told_by_tensors.contains(&("depths", json!([3, 4, 6, 3]))) && stated.imagenet);
        assert!(stated.told_by_tensors.contains(&("classes", json!(1000))) && stated.labels.is_none());
        // weights/manifest.toml has the same for this network.
        let expected = json!({
            "resize": 235, "crop": 224, "interpolation": "bicubic", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
        });
        assert_eq!(Value::Object(preprocess(&a1(), false).unwrap()), expected);
        assert_eq!(architecture_name(&json!({"architecture": "x"})), None);
    }

    #[test]
    fn the_flat_file_of_older_versions() {
        let mut flat = a1()["pretrained_cfg"].clone();
        flat["architecture"] = json!("resnet18");
        flat["num_classes"] = json!(2);
        flat["labels"] = json!(["cat", "dog"]);
        assert_eq!(architecture_name(&flat), Some("resnet18"));
        let stated = stated(&flat, "resnet18").unwrap();
        assert_eq!(stated.labels.unwrap(), ["cat", "dog"]);
        assert_eq!(preprocess(&flat, false).unwrap(), preprocess(&a1(), false).unwrap());
    }

    #[test]
    fn names_of_plain_networks() {
        for name in [
            "resnet18.a1_in1k",
            "tv_resnet34",
            "gluon_resnet50_v1b",
            "swsl_resnext101_32x16d",
            "resnet26",
            "wide_resnet50_2",
        ] {
            assert!(named(name).is_some(), "{name}");
        }
        for name in
            ["resnetblur50", "resnetaa50", "resnet50_gn", "resnet50d", "resnetv2_50", "plain20", "resnet20", "vit_base"]
        {
            assert!(named(name).is_none(), "{name}");
        }
        assert!(stated(&json!({}), "resnetblur50").unwrap_err().contains("--architecture"));
    }

    #[test]
    fn what_is_not_done_is_refused() {
        for (key, value, word) in [
            ("crop_mode", json!("squash"), "--crop"),
            ("input_size", json!([1, 28, 28]), "input_size"),
            ("crop_pct", json!(0.0), "crop_pct"),
        ] {
            let mut config = a1();
            config["pretrained_cfg"][key] = value;
            assert!(preprocess(&config, false).unwrap_err().contains(word), "{key}");
            assert!(preprocess(&config, true).is_ok(), "{key}");
        }
        let mut config = a1();
        config["pretrained_cfg"]["interpolation"] = json!("lanczos");
        assert!(preprocess(&config, true).unwrap_err().contains("lanczos"));
        for (key, value) in [
            ("model_args", json!({"aa_layer": "avg"})),
            ("global_pool", json!("max")),
            ("label_names", json!(["a", "b"])),
        ] {
            let mut config = a1();
            config[key] = value;
            assert!(stated(&config, "resnet50").is_err(), "{key}");
        }
    }
}
