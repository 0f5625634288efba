//! The only part of the crate that knows wgpu: adapters, the device, compiled kernels, and recorded plans.

mod adapter;
mod compiled;
mod cores;
mod device;
mod flight;
mod kernel;
mod memory;
mod pipeline_cache;
mod plan;
#[cfg(test)]
mod preprocess;
mod recording;
pub mod shaders;

pub use adapter::{AdapterChoice, AdapterReport, BackendName, Capabilities, list_adapters};
pub use compiled::{CompiledKernel, Inspector, Representation, Statistic};
pub use cores::{CoreSource, Cores};
pub use device::{Buffer, DeviceOptions, FeatureName, Features, Gpu};
pub use flight::Flight;
pub(crate) use kernel::is_proved;
pub use kernel::{Kernel, KernelSpec};
pub use plan::{DispatchTime, Plan, PlanSummary, TimeSource};
pub use recording::{Cost, Dispatch, Recording, TensorId, fold_workgroups, pad16};
