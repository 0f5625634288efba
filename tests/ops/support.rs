//! What the operations' tests share: the adapters, inputs, and the one comparison that all of them use.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use gpu_resnet::gpu::Gpu;
use gpu_resnet::ops::Conv2dVariant;
use gpu_resnet::ops::host::Array;
use gpu_resnet::reference::{Tensor, compare};
use gpu_resnet::weights::hash_input;
use gpu_resnet::{Error, Result};

use crate::adapters::open_all;

/// Largest normalised mean square error; convolutions typically have 1e-13.
const LIMIT: f64 = 1e-9;

/// Every usable adapter, opened; the tests take turns, since software drivers use all cores anyway.
pub fn adapters() -> MutexGuard<'static, Vec<Arc<Gpu>>> {
    static ADAPTERS: OnceLock<Mutex<Vec<Arc<Gpu>>>> = OnceLock::new();
    let adapters = ADAPTERS.get_or_init(|| Mutex::new(open_all()));
    adapters.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The kernels for convolutions that the adapter can run.
pub fn conv2d_variants(gpu: &Gpu) -> Vec<Conv2dVariant> {
    Conv2dVariant::ALL.into_iter().filter(|variant| variant.supported(gpu.report()).is_ok()).collect()
}

/// Values in [-2, 2) that depend on `name` alone.
pub fn array(name: &str, shape: &[usize]) -> Array {
    Array::new(shape, hash_input(name, shape.iter().product())).expect("a shape that fits")
}

/// The same with every value changed by `f` of its position and itself.
pub fn array_with(name: &str, shape: &[usize], f: impl Fn(usize, f32) -> f32) -> Array {
    let mut array = array(name, shape);
    array.data.iter_mut().enumerate().for_each(|(i, value)| *value = f(i, *value));
    array
}

/// The array as the twins take it.
pub fn tensor(array: &Array) -> Tensor {
    Tensor::from_f32(&array.shape, &array.data)
}

/// Whether a result passes: the tests' comparison, which the negative controls use too.
pub fn passes(found: &[f32], expected: &[f64]) -> bool {
    compare(found, expected).nmse <= LIMIT
}

/// The comparisons of one test.
#[derive(Default)]
pub struct Verdicts {
    compared: usize,
    worst: f64,
    problems: Vec<String>,
}

impl Verdicts {
    /// Notes how far `found`, a kernel's result on `gpu`, is from the twin's.
    pub fn compare(&mut self, gpu: &Gpu, what: &str, found: Result<Array>, expected: &Tensor) {
        self.compared += 1;
        let on = format!("{} ({:?})", gpu.report().name, gpu.report().backend);
        let found = match found {
            Ok(found) => found,
            Err(error) => return self.problems.push(format!("{what} on {on}: {error}")),
        };
        let result = compare(&found.data, &expected.data);
        self.worst = self.worst.max(result.nmse);
        if found.shape != expected.shape {
            self.problems.push(format!("{what} on {on}: shape {:?}, expected {:?}", found.shape, expected.shape));
        } else if !passes(&found.data, &expected.data) {
            self.problems.push(format!("{what} on {on}: {result:?}"));
        }
    }

    /// Fails if any comparison did, or if there were none.
    pub fn finish(self, op: &str) {
        println!("{op}: {} comparisons, largest NMSE {:.1e}", self.compared, self.worst);
        let problems = self.problems;
        assert!(problems.is_empty(), "{op}: {} of {} differ:\n{}", problems.len(), self.compared, problems.join("\n"));
        assert!(self.compared > 0, "{op}: nothing was compared");
    }
}

/// Fails unless `result` is an error about shapes, and the device is unharmed.
pub fn refused<T: std::fmt::Debug>(gpu: &Gpu, what: &str, result: Result<T>) {
    assert!(matches!(result, Err(Error::Shape { .. })), "{what}: {result:?}");
    gpu.check().unwrap_or_else(|error| panic!("{what}: {error}"));
}
