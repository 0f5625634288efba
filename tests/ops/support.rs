//! What the operations' tests share: the adapters, inputs, and the one comparison that all of them use.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use gpu_resnet::gpu::Gpu;
use gpu_resnet::ops::Conv2dVariant;
use gpu_resnet::ops::host::Array;
use gpu_resnet::reference::{Tensor, compare};
use gpu_resnet::weights::hash_input;
use gpu_resnet::{Error, Result};

use crate::adapters::open_all;

/// Largest normalised mean square error; convolutions typically have 1e-13.
const LIMIT: f64 = 1e-9;

/// Every usable adapter, opened once. A test locks the adapter that it uses, because an error that a driver reports late would reach another
/// test. Meanwhile other tests use the other adapters: compiling takes longest, and keeps only one core busy.
pub struct Adapters(Vec<(Arc<Gpu>, Mutex<()>)>);

pub fn adapters() -> &'static Adapters {
    static ADAPTERS: OnceLock<Adapters> = OnceLock::new();
    ADAPTERS.get_or_init(|| Adapters(open_all().into_iter().map(|gpu| (gpu, Mutex::new(()))).collect()))
}

impl Adapters {
    /// All of them; each is locked until the next one is requested.
    pub fn iter(&'static self) -> Turns {
        Turns { left: (0..self.0.len()).collect(), adapters: self, taken: None }
    }

    /// All of them, without locking.
    pub fn all(&'static self) -> impl Iterator<Item = &'static Arc<Gpu>> {
        self.0.iter().map(|(gpu, _)| gpu)
    }

    /// Locks one of them while `act` runs.
    pub fn with<T>(&self, gpu: &Arc<Gpu>, act: impl FnOnce(&Arc<Gpu>) -> T) -> T {
        let (gpu, turn) = self.0.iter().find(|(known, _)| Arc::ptr_eq(known, gpu)).expect("one of the adapters");
        let _taken = turn.lock().unwrap_or_else(PoisonError::into_inner);
        act(gpu)
    }
}

/// See [`Adapters::iter`]; adapters that no test uses come first.
pub struct Turns {
    left: Vec<usize>,
    adapters: &'static Adapters,
    taken: Option<MutexGuard<'static, ()>>,
}

impl Iterator for Turns {
    type Item = &'static Arc<Gpu>;

    fn next(&mut self) -> Option<Self::Item> {
        // Never two at once, or two tests could wait for each other.
        self.taken = None;
        let adapters = self.adapters;
        let of = move |index: usize| &adapters.0[index];
        let free = self.left.iter().enumerate().find_map(|(place, &index)| match of(index).1.try_lock() {
            Ok(taken) => Some((place, taken)),
            Err(TryLockError::Poisoned(taken)) => Some((place, taken.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        });
        let first = || Some((0, of(*self.left.first()?).1.lock().unwrap_or_else(PoisonError::into_inner)));
        let (place, taken) = free.or_else(first)?;
        self.taken = Some(taken);
        Some(&of(self.left.remove(place)).0)
    }
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

/// The array in the form that the twins take.
pub fn tensor(array: &Array) -> Tensor {
    Tensor::from_f32(&array.shape, &array.data)
}

/// Whether a result passes. Tests and their negative controls use this comparison.
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
