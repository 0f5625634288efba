//! What every target does with weights that opened.

use gpu_resnet::weights::{Overrides, Weights, check, describe, inspect};

/// Larger tensors are not read: the bytes of a small file can be many tensors' at once, and each is asked for by its network alone.
const MOST_VALUES: usize = 1 << 20;

/// Opens `bytes`, then inspects, describes and reads what is there, as `weights inspect` and `infer` do.
pub fn read(bytes: Vec<u8>, label: &str) {
    let size = bytes.len();
    let opened = crate::bounded(crate::some(size), || Weights::from_bytes(bytes, label));
    let Some(weights) = crate::check(opened, label) else { return };
    crate::bounded(crate::some(size), || {
        inspect(&weights, &Overrides::default());
        crate::check(weights.labels(), label);
        if let Some(description) = crate::check(describe(&weights, &Overrides::default()), label) {
            crate::check(check(&weights, &description.architecture), label);
        }
    });
    for name in weights.names().map(str::to_owned).collect::<Vec<_>>() {
        let count = weights.shape(&name).expect("a listed tensor").iter().product::<usize>();
        if count <= MOST_VALUES
            && let Some(values) = crate::check(weights.tensor_f32(&name), label)
        {
            assert_eq!(values.len(), count, "{name:?}");
        }
    }
}
