//! The native half of the Python package `gpu_resnet`: classes and functions over the library, which computes everything. The
//! Python half (`source/gpu_resnet`) turns arguments into what is taken here, and documents them.

mod classifier;
mod errors;
mod images;
mod options;
mod parallel;
mod process;
mod reporter;
mod training;
mod verification;
mod work;

use pyo3::prelude::*;

/// What `gpu_resnet` is made of; `_native.pyi` has its types.
#[pymodule]
#[pyo3(name = "_native")]
fn native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<classifier::Classifier>()?;
    module.add_class::<parallel::Worker>()?;
    module.add_function(wrap_pyfunction!(parallel::train, module)?)?;
    module.add_function(wrap_pyfunction!(training::finetune, module)?)?;
    module.add_function(wrap_pyfunction!(training::resume, module)?)?;
    module.add_function(wrap_pyfunction!(verification::devices, module)?)?;
    module.add_function(wrap_pyfunction!(verification::verify, module)?)?;
    module.add_function(wrap_pyfunction!(verification::serve, module)?)?;
    Ok(())
}
