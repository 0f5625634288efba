//! PyTorch checkpoints that torch wrote (`tests/golden/pth.py`), against the weights that went into them; and those that
//! must be refused.

use std::path::PathBuf;

use gpu_resnet::model::Architecture;
use gpu_resnet::weights::{self, Weights};
use half::{bf16, f16};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/pth")).join(name)
}

pub fn network() -> Architecture {
    Architecture::from_json(r#"{"block":"basic","depths":[1,1],"widths":[2,4],"stem":{"kind":"cifar"},"classes":3}"#)
        .unwrap()
}

/// Whether the file holds `network` and nothing else, every element being `round` of what went in.
pub fn holds(weights: &Weights, round: impl Fn(f32) -> f32) -> bool {
    let network = network();
    assert_eq!(weights::infer_architecture(weights).unwrap(), network);
    weights::check(weights, &network).unwrap();
    network.parameters().iter().all(|spec| {
        let expected = weights::hash_parameter(&network, spec);
        let found = weights.tensor_f32(&spec.name).unwrap();
        found.len() == expected.len() && found.iter().zip(&expected).all(|(found, value)| *found == round(*value))
    })
}

#[test]
fn every_form_that_torch_writes_is_read() {
    for name in ["zip", "plain", "f64", "strided", "training", "transformers"] {
        let weights = Weights::open(golden(&format!("{name}.pth"))).unwrap();
        assert!(holds(&weights, |value| value), "{name}");
    }
    let half = Weights::open(golden("f16.pth")).unwrap();
    assert!(holds(&half, |value| f16::from_f32(value).to_f32()) && !holds(&half, |value| value));
    let brain = Weights::open(golden("bf16.pth")).unwrap();
    assert!(holds(&brain, |value| bf16::from_f32(value).to_f32()) && !holds(&brain, |value| value));
    assert!(holds(&Weights::open(golden("transformers.safetensors")).unwrap(), |value| value));
}

#[test]
fn what_is_no_state_dict_is_refused_by_its_reason() {
    for (name, words) in [
        ("shell", "system, which no state dict needs, and nothing of a pickle is run here"),
        ("shell-plain", "system, which no state dict needs"),
        ("module", "holds no ResNet"),
        ("list", "holds no state dict"),
        ("script", "is TorchScript"),
        ("deflated", "compressed or encrypted"),
        ("path", "a path out of the archive"),
    ] {
        let path = golden(&format!("refused-{name}.pth"));
        let opened = Weights::open(&path).and_then(|weights| weights::infer_architecture(&weights));
        let text = opened.unwrap_err().to_string();
        assert!(text.starts_with(&format!("{}: ", path.display())) && !text.contains('\n'), "{text}");
        assert!(text.contains(words), "{name}: {text}");
    }
    assert!(!std::path::Path::new("/tmp/gpu-resnet-ran-a-pickle").exists());
}

/// torch stores one element of `torch.zeros(1).expand(3, 4)`, and reads twelve.
#[test]
fn an_expanded_tensor_has_all_its_elements() {
    let weights = Weights::open(golden("expanded.pth")).unwrap();
    assert_eq!(weights.shape("fc.weight"), Some(&[3, 4][..]));
    assert_eq!(*weights.tensor_f32("fc.weight").unwrap(), [0.0; 12]);
}

#[test]
fn damage_never_panics_and_cuts_are_seen() {
    for name in ["zip.pth", "plain.pth"] {
        let good = std::fs::read(golden(name)).unwrap();
        for length in (8..good.len()).step_by(37) {
            assert!(Weights::from_bytes(good[..length].to_vec(), name).is_err(), "{name} cut at {length}");
        }
        let whole = Weights::from_bytes(good.clone(), name).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0xff;
            let Ok(weights) = Weights::from_bytes(bad, name) else { continue };
            for tensor in weights.names() {
                let Ok(values) = weights.tensor_f32(tensor) else { continue };
                // The older form has no checksums, so its elements may differ.
                let same = whole.tensor_f32(tensor).is_ok_and(|good| {
                    good.iter().map(|value| value.to_bits()).eq(values.iter().map(|value| value.to_bits()))
                });
                assert!(same || name == "plain.pth", "{name}: {tensor} changed with byte {at}");
            }
        }
    }
}

/// `torch.serialization.set_crc32_options(False)` writes zeros.
#[test]
fn a_checkpoint_without_checksums_is_read() {
    let mut bytes = std::fs::read(golden("zip.pth")).unwrap();
    let headers = |bytes: &[u8], sign: &[u8]| -> Vec<usize> {
        (0..bytes.len() - 4).filter(|&at| bytes[at..].starts_with(sign)).collect()
    };
    let central = headers(&bytes, b"PK\x01\x02");
    assert!(central.len() > 4);
    central.iter().for_each(|at| bytes[at + 16..at + 20].fill(0));
    assert!(holds(&Weights::from_bytes(bytes, "zip.pth").unwrap(), |value| value));
}
