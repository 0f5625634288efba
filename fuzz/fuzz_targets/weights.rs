//! Weights of strangers: safetensors, and PyTorch's checkpoints in both forms (zip, and the older sequence of pickles). What is opened is
//! inspected, described and read, as `weights inspect` and `infer` do.
#![no_main]

use gpu_resnet::weights::{Overrides, Weights, check, describe, inspect};
use gpu_resnet_fuzz as fuzz;
use libfuzzer_sys::fuzz_target;

/// Larger tensors are not read: the bytes of a small file can be many tensors' at once, and each is asked for by its network alone.
const MOST_VALUES: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let label = "some/weights";
    let opened = fuzz::bounded(fuzz::some(bytes.len()), || Weights::from_bytes(bytes.to_vec(), label));
    let Some(weights) = fuzz::check(opened, label) else { return };
    fuzz::bounded(fuzz::some(bytes.len()), || {
        inspect(&weights, &Overrides::default());
        fuzz::check(weights.labels(), label);
        if let Some(description) = fuzz::check(describe(&weights, &Overrides::default()), label) {
            fuzz::check(check(&weights, &description.architecture), label);
        }
    });
    for name in weights.names().map(str::to_owned).collect::<Vec<_>>() {
        let count = weights.shape(&name).expect("a listed tensor").iter().product::<usize>();
        if count <= MOST_VALUES
            && let Some(values) = fuzz::check(weights.tensor_f32(&name), label)
        {
            assert_eq!(values.len(), count, "{name:?}");
        }
    }
});
