//! Weights of strangers: safetensors, and PyTorch's checkpoints in both forms (zip, and the older sequence of pickles). What is opened is
//! inspected, described and read, as `weights inspect` and `infer` do.
#![no_main]

use gpu_resnet_fuzz as fuzz;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|bytes: &[u8]| fuzz::weights::read(bytes.to_vec(), "some/weights"));

// A longer or shorter header has its true length again in three of four mutations.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let size = fuzzer_mutate(data, size, max_size);
    if seed % 4 > 0 { fuzz::repair::safetensors(data, size) } else { size }
});
