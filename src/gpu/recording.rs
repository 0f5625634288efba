//! A list of dispatches over virtual tensors. Ops write it; it knows no backend. A [`super::Plan`] replays it.

use std::sync::Arc;

use super::buffer::{Buffer, pad16};
use super::spec::KernelSpec;

/// A virtual tensor of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TensorId(pub(super) usize);

/// Where a virtual tensor's memory comes from.
#[derive(Debug, Clone)]
pub(super) enum Storage {
    /// Shares memory with others whose lives do not overlap.
    Temporary,
    /// Keeps its own memory: written or read by the host.
    Kept,
    /// Lives outside of the plan: weights, optimiser state, cached features.
    External(Arc<Buffer>),
}

#[derive(Debug, Clone)]
pub(super) struct Tensor {
    pub label: String,
    pub bytes: u64,
    pub storage: Storage,
}

/// The cost of a dispatch. Multiply-adds count as two operations; bytes are those of the tensors that it must read or write once.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    pub flops: f64,
    pub bytes: f64,
}

impl Cost {
    /// One number to bound a submit by: operations, or bytes at a typical ratio of arithmetic to bandwidth.
    pub(super) fn units(&self) -> f64 {
        self.flops.max(self.bytes * 2.0)
    }
}

/// One kernel launch.
#[derive(Debug, Clone)]
pub struct Dispatch {
    pub label: String,
    pub kernel: KernelSpec,
    /// Tensors of the kernel's storage bindings, in order of their slot.
    pub tensors: Vec<TensorId>,
    /// Contents of the kernel's uniform block, if it has one.
    pub params: Vec<u8>,
    pub workgroups: [u32; 3],
    pub cost: Cost,
}

/// Tensors and the dispatches over them, in order.
#[derive(Debug, Default)]
pub struct Recording {
    pub(super) tensors: Vec<Tensor>,
    pub(super) dispatches: Vec<Dispatch>,
}

impl Recording {
    pub fn new() -> Self {
        Self::default()
    }

    fn add(&mut self, label: impl Into<String>, bytes: u64, storage: Storage) -> TensorId {
        self.tensors.push(Tensor { label: label.into(), bytes: pad16(bytes.max(16)), storage });
        TensorId(self.tensors.len() - 1)
    }

    /// A tensor between dispatches; its memory is shared with others by liveness.
    pub fn temporary(&mut self, label: impl Into<String>, bytes: u64) -> TensorId {
        self.add(label, bytes, Storage::Temporary)
    }

    /// A tensor that the host writes or reads.
    pub fn kept(&mut self, label: impl Into<String>, bytes: u64) -> TensorId {
        self.add(label, bytes, Storage::Kept)
    }

    /// A tensor over an existing buffer.
    pub fn external(&mut self, label: impl Into<String>, buffer: Arc<Buffer>) -> TensorId {
        let bytes = buffer.bytes();
        self.add(label, bytes, Storage::External(buffer))
    }

    /// Makes `tensor` keep its memory, so that the host can read it after a run.
    pub fn keep(&mut self, tensor: TensorId) {
        if let Storage::Temporary = self.tensors[tensor.0].storage {
            self.tensors[tensor.0].storage = Storage::Kept;
        }
    }

    /// The tensors between dispatches so far.
    pub fn temporaries(&self) -> Vec<TensorId> {
        let temporary = |&t: &usize| matches!(self.tensors[t].storage, Storage::Temporary);
        (0..self.tensors.len()).filter(temporary).map(TensorId).collect()
    }

    /// Gives `tensor` its own memory with `bytes` guard bytes after its end, which no kernel may touch: what is written there
    /// before a run must be unchanged after it. Returns the offset of the guard bytes.
    pub fn guard(&mut self, tensor: TensorId, bytes: u64) -> u64 {
        self.keep(tensor);
        let end = self.bytes(tensor);
        self.tensors[tensor.0].bytes = pad16(end + bytes);
        end
    }

    /// Size in bytes of `tensor`, padding included.
    pub fn bytes(&self, tensor: TensorId) -> u64 {
        self.tensors[tensor.0].bytes
    }

    /// Bytes of the largest tensor that the plan itself holds, weights left out.
    pub fn largest_activation(&self) -> u64 {
        let own = self.tensors.iter().filter(|tensor| !matches!(tensor.storage, Storage::External(_)));
        own.map(|tensor| tensor.bytes).max().unwrap_or(0)
    }

    /// Appends one kernel launch.
    pub fn dispatch(&mut self, dispatch: Dispatch) {
        self.dispatches.push(dispatch);
    }

    /// The kernel launches so far.
    pub fn dispatches(&self) -> &[Dispatch] {
        &self.dispatches
    }
}

/// Folds a number of workgroups over two dimensions, since one dimension holds at most 65,535. The shader computes
/// `x + y * num_workgroups.x` and leaves when that is past the end.
pub fn fold_workgroups(total: u64) -> [u32; 3] {
    const MOST: u64 = 65_535;
    if total <= MOST {
        return [total.max(1) as u32, 1, 1];
    }
    let rows = total.div_ceil(MOST);
    [total.div_ceil(rows) as u32, rows as u32, 1]
}

#[cfg(test)]
mod tests {
    use super::fold_workgroups;

    #[test]
    fn folding_covers_everything_within_limits() {
        for total in [0, 1, 65_535, 65_536, 65_537, 1_000_000, 4_294_836_225] {
            let [x, y, z] = fold_workgroups(total);
            assert!(x <= 65_535 && y <= 65_535 && z == 1);
            assert!(u64::from(x) * u64::from(y) >= total);
            assert!(u64::from(x) * u64::from(y) < total.max(1) + u64::from(y), "wasteful at {total}");
        }
    }
}
