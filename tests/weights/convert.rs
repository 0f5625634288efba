//! `weights convert`: what comes out holds what went in, under the names and types that were asked for.

use std::path::Path;
use std::process::{Command, Output};

use gpu_resnet::weights::{self, Dtype, Weights};

fn convert(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gpu-resnet")).args(["weights", "convert"]).args(arguments).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_checkpoint_becomes_safetensors() {
    let folder = tempfile::tempdir().unwrap();
    let input = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/pth/training.pth");
    let original = Weights::open(input).unwrap();
    for (dtype, expected, error) in [("", Dtype::F32, 0.0), ("f16", Dtype::F16, 5e-4), ("bf16", Dtype::BF16, 4e-3)] {
        let output = folder.path().join(format!("out{dtype}.safetensors"));
        let mut arguments = vec![input, text(&output)];
        if !dtype.is_empty() {
            arguments.extend(["--dtype", dtype]);
        }
        let done = convert(&arguments);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let written = Weights::open(&output).unwrap();
        weights::check(&written, &weights::infer_architecture(&original).unwrap()).unwrap();
        for name in original.names() {
            assert_eq!(written.dtype(name), Some(expected));
            let (values, found) = (original.tensor_f32(name).unwrap(), written.tensor_f32(name).unwrap());
            let worst = values.iter().zip(found.iter()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= error && (error == 0.0 || worst > 0.0 || name.ends_with("bias")), "{name}: {worst}");
        }
        // As it stands in the file: torch's counters are there, for strict=True.
        let bytes = std::fs::read(&output).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(file.names().iter().filter(|name| name.ends_with("num_batches_tracked")).count(), 6);
    }
}

#[test]
fn names_go_there_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let (theirs, ours) = (folder.path().join("theirs.safetensors"), folder.path().join("ours.safetensors"));
    let run = folder.path().join("in.safetensors");
    let network = gpu_resnet::model::Architecture::from_json(
        r#"{"block":"bottleneck","depths":[1,1],"widths":[4,8],"stem":{"kind":"imagenet","width":4},"classes":3}"#,
    );
    let original = weights::hash_weights(&network.unwrap()).unwrap();
    let tensors: Vec<_> = original.names().map(|name| (name.to_owned(), original.tensor_f32(name).unwrap())).collect();
    let tensors = tensors
        .iter()
        .map(|(name, data)| weights::NamedTensor::new(name.as_str(), original.shape(name).unwrap(), data.clone()));
    weights::save(&run, &tensors.collect::<Vec<_>>(), original.all_metadata()).unwrap();
    for (from, to, names) in [(&run, &theirs, "transformers"), (&theirs, &ours, "torchvision")] {
        let done = convert(&[text(from), text(to), "--names", names]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let file = Weights::open(&theirs).unwrap();
    let expected = "resnet.encoder.stages.1.layers.0.shortcut.normalization.running_var";
    assert_eq!(file.original_name("layer2.0.downsample.1.running_var"), Some(expected));
    assert_eq!(file.original_name("fc.bias"), Some("classifier.1.bias"));
    let back = Weights::open(&ours).unwrap();
    for name in original.names() {
        assert_eq!(back.original_name(name), Some(name));
        assert_eq!(back.tensor_f32(name).unwrap(), original.tensor_f32(name).unwrap(), "{name}");
    }
    // The tiny network of the checkpoints has a stem that transformers' has not.
    let input = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/pth/zip.pth");
    let refused = convert(&[input, text(&folder.path().join("x.safetensors")), "--names", "transformers"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("transformers' ResNet can't be"));
    let refused = convert(&[input, text(&folder.path().join("x.pth"))]);
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}
