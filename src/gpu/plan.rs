//! A recording made ready to run: memory assigned by liveness, pipelines compiled, bind groups made once, and the
//! dispatches cut into submits of bounded duration.

use std::sync::Arc;

use web_time::Instant;

use super::buffer::{Buffer, pad16};
use super::flight::{Flight, ReadBack};
use super::kernel::Kernel;
use super::memory::{Life, largest_cut, lives, share};
use super::opened::Gpu;
use super::recording::{Cost, Recording, Storage, TensorId};
use super::shaders::BindingKind;
use crate::error::{Error, Result};

/// Longest time that one submit should take; drivers reset devices after about two seconds.
const SUBMIT_SECONDS: f64 = 0.4;

struct Step {
    label: String,
    name: String,
    kernel: Arc<Kernel>,
    bind_group: wgpu::BindGroup,
    workgroups: [u32; 3],
    cost: Cost,
}

impl Step {
    /// Its share of a submit's budget: its cost and that of a launch.
    fn units(&self) -> f64 {
        self.cost.units() + 1e4
    }
}

/// A static sequence of dispatches with all of its memory.
pub struct Plan {
    gpu: Arc<Gpu>,
    steps: Vec<Step>,
    buffers: Vec<Arc<Buffer>>,
    /// What `steps` bind beside them, kept so that it is given back in a turn and not with the last of them.
    _params: Buffer,
    summary: PlanSummary,
    submits: usize,
    /// The first run compiles shaders in some drivers, so its time says nothing about throughput.
    warm: bool,
}

/// What a plan costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanSummary {
    pub dispatches: usize,
    pub flops: f64,
    /// Memory of temporary and kept tensors, after sharing.
    pub bytes: u64,
    /// The same without sharing.
    pub bytes_unshared: u64,
    /// The most bytes of them that are alive at one dispatch: what `bytes` is at least.
    pub largest_cut: u64,
    /// Memory that lives outside of the plan: weights, optimiser state, cached features.
    pub bytes_external: u64,
}

/// Where the times of [`Plan::profile`] come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeSource {
    /// Timestamps written by the device.
    Timestamps,
    /// Wall time of one submit per dispatch.
    Wall,
}

/// One dispatch's time.
#[derive(Debug, Clone)]
pub struct DispatchTime {
    pub label: String,
    /// The shader, and its entry point if it is not `main`.
    pub kernel: String,
    pub seconds: f64,
    pub cost: Cost,
}

impl Plan {
    /// Compiles `recording` for `gpu`.
    pub fn new(gpu: &Arc<Gpu>, recording: &Recording) -> Result<Self> {
        let lives = lives(recording);
        let buffers = assign(gpu, recording, &lives)?;
        let params = upload_params(gpu, recording)?;
        gpu.kernels.compile(&gpu.device, recording.dispatches.iter().map(|dispatch| &dispatch.kernel))?;
        let mut steps = Vec::with_capacity(recording.dispatches.len());
        for (index, dispatch) in recording.dispatches.iter().enumerate() {
            let kernel = gpu.kernel(&dispatch.kernel)?;
            let mut tensors = dispatch.tensors.iter();
            let mut entries = Vec::new();
            for &(binding, kind) in kernel.bindings {
                let resource = if kind == BindingKind::Uniform {
                    wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                        buffer: &params.buffer.raw,
                        offset: params.offsets[index],
                        size: wgpu::BufferSize::new(pad16(dispatch.params.len() as u64)),
                    })
                } else {
                    let tensor = tensors
                        .next()
                        .ok_or_else(|| Error::Gpu(format!("{}: too few tensors are bound", dispatch.label)))?;
                    buffers[tensor.0].raw.as_entire_binding()
                };
                entries.push(wgpu::BindGroupEntry { binding, resource });
            }
            if tensors.next().is_some() {
                return Err(Error::Gpu(format!("{}: too many tensors are bound", dispatch.label)));
            }
            let bind_group = gpu.device.raw.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(&dispatch.label),
                layout: &kernel.layout,
                entries: &entries,
            });
            steps.push(Step {
                label: dispatch.label.clone(),
                name: dispatch.kernel.name(),
                kernel,
                bind_group,
                workgroups: dispatch.workgroups,
                cost: dispatch.cost,
            });
        }
        gpu.check()?;
        let summary = summarise(recording, &buffers, &lives);
        Ok(Self { gpu: gpu.clone(), steps, buffers, _params: params.buffer, summary, submits: 0, warm: false })
    }

    /// Dispatches, operations and memory of the plan.
    pub fn summary(&self) -> PlanSummary {
        self.summary
    }

    /// Submits of all runs so far: their number depends on how fast the device was found to be.
    pub fn submits(&self) -> usize {
        self.submits
    }

    /// Copies `data` into a kept tensor.
    pub fn write<T: bytemuck::Pod>(&self, tensor: TensorId, data: &[T]) -> Result<()> {
        self.gpu.write(&self.buffers[tensor.0], data)
    }

    /// The first `count` elements of a kept tensor; waits for the run.
    pub async fn read<T: bytemuck::Pod>(&self, tensor: TensorId, count: usize) -> Result<Vec<T>> {
        self.gpu.read(&self.buffers[tensor.0], count).await
    }

    /// Runs every dispatch once and waits.
    pub async fn run(&mut self) -> Result<()> {
        self.run_repeated(1).await
    }

    /// Runs the whole sequence `times` times in as few submits as the bound on their duration allows, and waits.
    pub async fn run_repeated(&mut self, times: usize) -> Result<()> {
        self.submit(times, &[]).await?.wait().await.map(drop)
    }

    /// Submits one run and returns without waiting for it. At its end the first elements (a number for each) of the f32
    /// tensors of `reads` are copied out. What is written or submitted afterwards comes after it on the device.
    ///
    /// Returns at once while the device has little to do; a run that takes many submits waits for all but the last ones.
    pub async fn start(&mut self, reads: &[(TensorId, usize)]) -> Result<Flight> {
        self.submit(1, reads).await
    }

    async fn submit(&mut self, times: usize, reads: &[(TensorId, usize)]) -> Result<Flight> {
        let budget = self.gpu.scheduler.rate() * SUBMIT_SECONDS;
        let started = Instant::now();
        // The first run compiles shaders in some drivers.
        let warm = std::mem::replace(&mut self.warm, true);
        let mut steps = std::iter::repeat_n(&self.steps, times).flatten().peekable();
        loop {
            let mut encoder = self.gpu.device.raw.create_command_encoder(&Default::default());
            let units = record_steps(&mut encoder, &mut steps, budget);
            let units = warm.then_some(units);
            self.submits += 1;
            if steps.peek().is_some() {
                self.gpu.scheduler.submit(&self.gpu.device, encoder.finish(), units).await?;
                continue;
            }
            let reads: Vec<(&Buffer, usize)> =
                reads.iter().map(|&(tensor, count)| (&*self.buffers[tensor.0], count * 4)).collect();
            let read_back = ReadBack::record(&self.gpu.device, &mut encoder, &reads)?;
            let last = self.gpu.scheduler.submit(&self.gpu.device, encoder.finish(), units).await?;
            return Ok(Flight::new(&self.gpu, last, read_back, started));
        }
    }

    /// Runs every dispatch once and times each, by timestamps where the device has them.
    pub async fn profile(&mut self) -> Result<(TimeSource, Vec<DispatchTime>)> {
        let timestamps = self.gpu.features().timestamps;
        let mut times = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let seconds =
                if timestamps { self.time_by_timestamps(step).await? } else { self.time_by_wall(step).await? };
            let (label, kernel) = (step.label.clone(), step.name.clone());
            times.push(DispatchTime { label, kernel, seconds, cost: step.cost });
        }
        Ok((if timestamps { TimeSource::Timestamps } else { TimeSource::Wall }, times))
    }

    async fn time_by_wall(&self, step: &Step) -> Result<f64> {
        let mut encoder = self.gpu.device.raw.create_command_encoder(&Default::default());
        record_step(&mut encoder.begin_compute_pass(&Default::default()), step);
        let started = Instant::now();
        self.gpu.scheduler.submit_now(&self.gpu.device, encoder.finish());
        self.gpu.wait().await?;
        Ok(started.elapsed().as_secs_f64())
    }

    async fn time_by_timestamps(&self, step: &Step) -> Result<f64> {
        let wanted = wgpu::QuerySetDescriptor { label: Some("timestamps"), ty: wgpu::QueryType::Timestamp, count: 2 };
        let queries = self.gpu.device.turns.make(|| self.gpu.device.raw.create_query_set(&wanted));
        let resolved = self.gpu.device.buffer_for("timestamps", 16, wgpu::BufferUsages::QUERY_RESOLVE)?;
        let mut encoder = self.gpu.device.raw.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: &queries,
                    beginning_of_pass_write_index: Some(0),
                    end_of_pass_write_index: Some(1),
                }),
            });
            record_step(&mut pass, step);
        }
        encoder.resolve_query_set(&queries, 0..2, &resolved.raw, 0);
        self.gpu.scheduler.submit_now(&self.gpu.device, encoder.finish());
        let ticks: Vec<u64> = self.gpu.read(&resolved, 2).await?;
        let period = f64::from(self.gpu.device.queue.get_timestamp_period());
        Ok(ticks[1].saturating_sub(ticks[0]) as f64 * period * 1e-9)
    }
}

/// Records steps up to the `budget` of a submit, one at least, in one pass (a pass of its own for each dispatch costs a software
/// driver as much as the dispatch); gives what they count for.
fn record_steps<'a>(
    encoder: &mut wgpu::CommandEncoder,
    steps: &mut std::iter::Peekable<impl Iterator<Item = &'a Step>>,
    budget: f64,
) -> f64 {
    let mut pass = encoder.begin_compute_pass(&Default::default());
    let mut units = 0.0;
    while let Some(step) = steps.next_if(|step| units == 0.0 || units + step.units() <= budget) {
        units += step.units();
        record_step(&mut pass, step);
    }
    units
}

fn record_step(pass: &mut wgpu::ComputePass<'_>, step: &Step) {
    let [x, y, z] = step.workgroups;
    pass.set_pipeline(&step.kernel.pipeline);
    pass.set_bind_group(0, &step.bind_group, &[]);
    pass.dispatch_workgroups(x, y, z);
}

struct Params {
    buffer: Buffer,
    offsets: Vec<u64>,
}

/// All uniform blocks of a recording in one buffer, each at the alignment that every adapter accepts.
fn upload_params(gpu: &Gpu, recording: &Recording) -> Result<Params> {
    const ALIGN: usize = 256;
    let mut bytes = Vec::new();
    let mut offsets = Vec::new();
    for dispatch in &recording.dispatches {
        offsets.push(bytes.len() as u64);
        bytes.extend_from_slice(&dispatch.params);
        bytes.resize(bytes.len().next_multiple_of(ALIGN).max(ALIGN), 0);
    }
    let buffer = gpu.device.buffer_for("params", bytes.len() as u64, wgpu::BufferUsages::UNIFORM)?;
    gpu.write(&buffer, &bytes)?;
    Ok(Params { buffer, offsets })
}

/// Gives every tensor a buffer; temporaries share.
fn assign(gpu: &Gpu, recording: &Recording, lives: &[Option<Life>]) -> Result<Vec<Arc<Buffer>>> {
    let shared = |t: &usize| matches!(recording.tensors[*t].storage, Storage::Temporary);
    let temporaries: Vec<(usize, Life)> =
        (0..lives.len()).filter(shared).filter_map(|t| lives[t].map(|life| (t, life))).collect();
    let mut buffers: Vec<Option<Arc<Buffer>>> = vec![None; recording.tensors.len()];
    for slot in share(&temporaries) {
        let buffer = Arc::new(gpu.buffer("activations", slot.bytes)?);
        for tensor in slot.tensors {
            buffers[tensor] = Some(buffer.clone());
        }
    }
    let mut out = Vec::with_capacity(buffers.len());
    for (tensor, buffer) in recording.tensors.iter().zip(buffers) {
        out.push(match (&tensor.storage, buffer) {
            (Storage::External(buffer), _) => buffer.clone(),
            (_, Some(buffer)) => buffer,
            (_, None) => Arc::new(gpu.buffer(&tensor.label, tensor.bytes)?),
        });
    }
    Ok(out)
}

fn summarise(recording: &Recording, buffers: &[Arc<Buffer>], lives: &[Option<Life>]) -> PlanSummary {
    let mut seen = std::collections::HashSet::new();
    let (mut bytes, mut bytes_unshared, mut bytes_external) = (0, 0, 0);
    for (tensor, buffer) in recording.tensors.iter().zip(buffers) {
        let new = if seen.insert(Arc::as_ptr(buffer)) { buffer.bytes() } else { 0 };
        if matches!(tensor.storage, Storage::External(_)) {
            bytes_external += new;
        } else {
            bytes += new;
            bytes_unshared += tensor.bytes;
        }
    }
    PlanSummary {
        dispatches: recording.dispatches.len(),
        flops: recording.dispatches.iter().map(|d| d.cost.flops).sum(),
        bytes,
        bytes_unshared,
        largest_cut: largest_cut(lives),
        bytes_external,
    }
}
