//! The only part of the crate that knows wgpu: adapters, the device, compiled kernels, and recorded plans.

mod adapter;
mod adapter_example;
mod browser;
mod buffer;
mod compiled;
mod cores;
mod device;
mod ended;
mod features;
mod flight;
mod injected;
mod kernel;
mod kernels;
mod memory;
mod opened;
mod pipeline_cache;
mod plan;
#[cfg(test)]
mod preprocess;
mod recording;
mod scheduler;
pub mod shaders;
mod spec;
mod turns;
mod waiting;

pub use adapter::{AdapterChoice, AdapterReport, BackendName, Capabilities, list_adapters};
pub use browser::BrowserAdapter;
pub use buffer::{Buffer, pad16};
pub use compiled::{CompiledKernel, Inspector, Representation, Statistic};
pub use cores::{CoreSource, Cores};
pub use device::DeviceOptions;
pub use features::{FeatureName, Features};
pub use flight::Flight;
pub use injected::{Fault, FaultKind, faults_struck};
pub use kernel::Kernel;
pub use opened::Gpu;
#[cfg(fuzzing)]
pub use pipeline_cache::read as read_pipelines;
pub use plan::{DispatchTime, Plan, PlanSummary, TimeSource};
pub use recording::{Cost, Dispatch, Recording, TensorId, fold_workgroups};
pub use spec::KernelSpec;
pub use waiting::block_on;
