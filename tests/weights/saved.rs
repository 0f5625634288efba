//! What is written is read back, and the embedded weights are whole.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use gpu_resnet::model::StrideIn;
use gpu_resnet::weights::{self, Dtype, NamedTensor, Overrides, Weights};

use crate::small;

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
    let inspection = weights::inspect(&weights, &Overrides::default());
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
