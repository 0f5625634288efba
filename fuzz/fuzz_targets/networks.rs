//! A network out of hostile parts: a description, the files beside weights, and tensors that were changed. What can be described is built
//! as far as that goes without an adapter: normalisations are folded, convolutions planned for its images and their weights packed.
//!
//! An input is a text of four parts, each after a line `---`: the description (`gpu_resnet.architecture`), config.json,
//! preprocessor_config.json, and changes of the tensors, a line each (`bare`, `drop NAME`, `name NAME NEW`, `shape NAME 1,2`, `type NAME I64`,
//! `fill NAME BYTE`).
#![no_main]

use gpu_resnet::data::{Preprocess, Rgb8};
use gpu_resnet::gpu::AdapterReport;
use gpu_resnet::model::{Architecture, ConvBn, conv_op, fold_bn};
use gpu_resnet::ops::{Conv2dAlgorithm, Conv2dPass, ConvPlan, MapShape, Precision};
use gpu_resnet::weights::{
    ARCHITECTURE_KEY, Dtype, Overrides, RawTensor, Weights, check, describe, hash_weights, inspect, write_safetensors,
};
use gpu_resnet_fuzz as fuzz;
use libfuzzer_sys::fuzz_target;

const FOLDER: &str = "gpu-resnet-fuzz-";
/// Larger networks are described and planned, but not filled.
const MOST_PARAMETERS: u64 = 1 << 16;
/// Convolutions that are planned.
const MOST_CONVS: usize = 60;

/// One tensor of the file.
struct Tensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

fn dtype(name: &str) -> Dtype {
    match name {
        "F16" => Dtype::F16,
        "BF16" => Dtype::BF16,
        "F64" => Dtype::F64,
        "I64" => Dtype::I64,
        "BOOL" => Dtype::BOOL,
        _ => Dtype::F32,
    }
}

fn change(tensors: &mut Vec<Tensor>, line: &str) {
    let mut words = line.split(' ');
    let (Some(verb), Some(name)) = (words.next(), words.next()) else { return };
    let word = words.next().unwrap_or_default();
    if verb == "drop" {
        tensors.retain(|tensor| tensor.name != name);
    }
    let Some(tensor) = tensors.iter_mut().find(|tensor| tensor.name == name) else { return };
    match verb {
        "name" => tensor.name = word.to_owned(),
        "shape" => tensor.shape = word.split(',').take(9).map(|extent| extent.parse().unwrap_or(1)).collect(),
        "type" => tensor.dtype = dtype(word),
        "fill" => tensor.bytes.fill(word.parse().unwrap_or(0)),
        _ => {}
    }
    let bits = tensor.shape.iter().try_fold(tensor.dtype.bitsize(), |product, extent| product.checked_mul(*extent));
    match bits.filter(|bits| *bits <= 8 << 20) {
        Some(bits) => tensor.bytes.resize(bits / 8, 0),
        None => tensor.shape = vec![tensor.bytes.len() * 8 / tensor.dtype.bitsize()],
    }
}

/// Writes the file; false if two tensors have one name.
fn write(folder: &fuzz::Folder, architecture: &Architecture, json: &str, changes: &str) -> bool {
    let hashed = hash_weights(architecture).expect("weights of a valid description");
    let tensor = |name: &str| Tensor {
        name: name.to_owned(),
        dtype: Dtype::F32,
        shape: hashed.shape(name).expect("a shape").to_vec(),
        bytes: hashed.tensor_f32(name).expect("values").iter().flat_map(|value| value.to_le_bytes()).collect(),
    };
    let mut tensors: Vec<Tensor> = architecture.parameters().iter().map(|spec| tensor(&spec.name)).collect();
    let mut metadata = std::collections::BTreeMap::from([(ARCHITECTURE_KEY.to_owned(), json.to_owned())]);
    for line in changes.lines().take(32) {
        if line == "bare" {
            metadata.clear();
        }
        change(&mut tensors, line);
    }
    let raw = |tensor: &Tensor| RawTensor {
        name: tensor.name.clone().into(),
        dtype: tensor.dtype,
        shape: tensor.shape.clone().into(),
        bytes: tensor.bytes.clone().into(),
    };
    let raw: Vec<RawTensor> = tensors.iter().map(raw).collect();
    fuzz::check(write_safetensors(folder.path().join("model.safetensors"), &raw, &metadata), FOLDER).is_some()
}

/// Every convolution with the height of its input, as far as the images reach.
fn sized(architecture: &Architecture, crop: usize) -> Vec<(ConvBn, usize)> {
    let layers = architecture.layers();
    let mut found = vec![(layers.stem.conv.clone(), crop)];
    let mut size = layers.stem.conv.output_size(crop);
    if let (Some(pool), Some(before)) = (layers.stem.pool, size) {
        size = pool.output_size(before);
    }
    for block in layers.blocks() {
        found.extend(block.projection().cloned().zip(size));
        for conv in &block.convs {
            found.extend(size.map(|size| (conv.clone(), size)));
            size = size.and_then(|size| conv.output_size(size));
        }
    }
    found.truncate(MOST_CONVS);
    found
}

/// Plans each pass of `conv`, and packs its weight if there is one.
fn plan(conv: &ConvBn, size: usize, batch: usize, weight: Option<&[f32]>) {
    let (op, adapter) = (conv_op(conv), AdapterReport::example());
    let Ok(input) = MapShape::grouped([batch, conv.in_channels, size, size], conv.groups) else { return };
    for pass in [Conv2dPass::Forward, Conv2dPass::ByInput, Conv2dPass::ByWeight] {
        let algorithm = Conv2dAlgorithm::usual(&adapter, pass, &op, [batch, size, size], Precision::F32);
        let plan = match ConvPlan::new(&op, pass, algorithm, input) {
            Ok(plan) => plan,
            Err(error) => {
                fuzz::line(&error.to_string(), "");
                continue;
            }
        };
        if let (Some(weight), Ok(layout)) = (weight, plan.weight()) {
            let count: usize = layout.extents().iter().product();
            assert_eq!(layout.pack(weight).len(), count, "{algorithm:?}");
        }
    }
}

fn build(weights: &Weights, architecture: &Architecture, crop: usize) {
    for (conv, size) in sized(architecture, crop) {
        let tensor = |name: String| fuzz::check(weights.tensor_f32(&name), FOLDER);
        let Some(weight) = tensor(format!("{}.weight", conv.conv)) else { continue };
        let mut values = weight.to_vec();
        if let Some(bn) = conv.bn.as_ref().filter(|_| !conv.bn_first) {
            let parts = ["weight", "bias", "running_mean", "running_var"].map(|part| tensor(format!("{bn}.{part}")));
            let [Some(gamma), Some(beta), Some(mean), Some(var)] = &parts else { continue };
            if let Ok((folded, bias)) = fold_bn(&weight, gamma, beta, mean, var, architecture.bn_eps) {
                assert!(folded.iter().chain(&bias).all(|value| value.is_finite()));
                values = folded;
            }
        }
        plan(&conv, size, 2, Some(&values));
    }
}

fn look(text: &str) {
    let mut parts = text.splitn(4, "\n---\n");
    let [json, config, preprocessor, changes] = [(); 4].map(|()| parts.next().unwrap_or_default());
    let architecture = match Architecture::from_json(json) {
        Ok(architecture) => architecture,
        Err(error) => return fuzz::line(&error.to_string(), "architecture"),
    };
    let crop = Preprocess::from_json(preprocessor).map_or(224, |preprocess| preprocess.crop as usize);
    let _ = (architecture.macs(crop, crop), architecture.to_json().expect("its own JSON"));
    sized(&architecture, crop).iter().for_each(|(conv, size)| plan(conv, *size, 64, None));
    if architecture.parameter_count() > MOST_PARAMETERS {
        return;
    }
    let folder = fuzz::Folder::new();
    if !write(&folder, &architecture, json, changes) {
        return;
    }
    folder.put("config.json", config.as_bytes());
    folder.put("preprocessor_config.json", preprocessor.as_bytes());
    let Some(weights) = fuzz::check(Weights::open(folder.path().join("model.safetensors")), FOLDER) else { return };
    inspect(&weights, &Overrides::default());
    let Some(found) = fuzz::check(describe(&weights, &Overrides::default()), FOLDER) else { return };
    if fuzz::check(check(&weights, &found.architecture), FOLDER).is_none() {
        return;
    }
    build(&weights, &found.architecture, found.preprocess.crop as usize);
    if found.preprocess.crop <= 512 {
        let image = found.preprocess.apply(&Rgb8::black(7, 3)).expect("an image");
        assert_eq!((image.width, image.height), (found.preprocess.crop, found.preprocess.crop));
    }
}

fuzz_target!(|bytes: &[u8]| {
    // A network of the most parameters that are filled, packed.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    fuzz::bounded((192 << 20) + fuzz::some(bytes.len()), || look(text));
});
