//! A recording with the host's side of it: what is uploaded before the run, and the check of what was written.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::gpu::{Gpu, Plan, Recording, TensorId};
use crate::ops::feature_map::{channels4, pack_nhwc, unpack_nhwc};
use crate::ops::{FeatureMap, MapShape, Precision};

/// Words after every tensor, inputs included: a kernel that reads them computes with NaN.
const GUARD_WORDS: usize = 256;
/// A NaN whose bits no arithmetic makes but on this NaN itself, so inputs have another one after their end.
const GUARD: u32 = 0x7fc5_a5a5;
const INPUT_GUARD: u32 = 0x7fc3_3c3c;
/// Largest number of floats in one tensor: shaders index with 32-bit integers.
const MOST_FLOATS: u64 = u32::MAX as u64;

/// Where an operation runs, and how its maps and weights are stored: a GPU alone means f32.
#[derive(Clone, Copy)]
pub struct On<'a> {
    pub gpu: &'a Arc<Gpu>,
    pub precision: Precision,
}

impl<'a> From<&'a Arc<Gpu>> for On<'a> {
    fn from(gpu: &'a Arc<Gpu>) -> Self {
        Self { gpu, precision: Precision::F32 }
    }
}

impl<'a> From<(&'a Arc<Gpu>, Precision)> for On<'a> {
    fn from((gpu, precision): (&'a Arc<Gpu>, Precision)) -> Self {
        Self { gpu, precision }
    }
}

/// One operation being recorded.
pub(super) struct Session<'a> {
    gpu: &'a Arc<Gpu>,
    op: &'static str,
    pub precision: Precision,
    pub recording: Recording,
    uploads: Vec<(TensorId, Vec<u32>)>,
}

/// A run that is over.
pub(super) struct Done {
    op: &'static str,
    plan: Plan,
}

impl<'a> Session<'a> {
    pub fn new(on: impl Into<On<'a>>, op: &'static str) -> Self {
        let On { gpu, precision } = on.into();
        Self { gpu, op, precision, recording: Recording::new(), uploads: Vec::new() }
    }

    /// Checks that `extents` multiplied are no more floats than a shader can index and a binding can hold; before
    /// anything of that size is allocated.
    pub fn room(&self, what: &str, extents: &[usize]) -> Result<()> {
        let floats = extents.iter().try_fold(1u64, |product, &extent| product.checked_mul(extent as u64));
        let limits = self.gpu.report();
        let most =
            (limits.max_binding_bytes.min(limits.max_buffer_bytes) / 4).min(MOST_FLOATS) - 2 * GUARD_WORDS as u64;
        if floats.is_none_or(|floats| floats > most) {
            return Err(Error::shape(
                self.op,
                format!(
                    "{what} of {extents:?}, padding included, is more than the {most} values that fit on the adapter"
                ),
            ));
        }
        Ok(())
    }

    /// A read-only tensor.
    pub fn input(&mut self, label: &str, data: &[f32]) -> TensorId {
        self.words(label, bytemuck::cast_slice(data))
    }

    /// A read-only tensor of integers.
    pub fn words(&mut self, label: &str, data: &[u32]) -> TensorId {
        let bytes = size_of_val(data) + 4 * GUARD_WORDS;
        let tensor = self.recording.kept(label, bytes as u64);
        let mut words = data.to_vec();
        words.resize((self.recording.bytes(tensor) / 4) as usize, INPUT_GUARD);
        self.uploads.push((tensor, words));
        tensor
    }

    /// A tensor that the operation changes in place; with guard words like an output.
    pub fn state(&mut self, label: &str, data: &[f32]) -> TensorId {
        let tensor = self.recording.kept(label, size_of_val(data) as u64);
        let mut words: Vec<u32> = bytemuck::cast_slice(data).to_vec();
        words.resize((self.recording.bytes(tensor) / 4) as usize, 0);
        self.uploads.push((tensor, words));
        tensor
    }

    /// A batch of feature maps from NCHW, the channels of each of `groups` padded.
    pub fn map(&mut self, label: &str, data: &[f32], shape: [usize; 4], groups: usize) -> Result<FeatureMap> {
        let [n, c, h, w] = shape;
        self.room(label, &[n, channels4(c, groups), 4, h, w])?;
        let tensor = self.words(label, &self.precision.words(&pack_nhwc(data, shape, groups)));
        Ok(MapShape::grouped(shape, groups)?.stored(self.precision).at(tensor))
    }

    /// Compiles and runs the recording once; `states` are the tensors that it changes in place.
    pub async fn run(mut self, states: &[TensorId]) -> Result<Done> {
        let mut guarded = Vec::new();
        for tensor in self.recording.temporaries() {
            guarded.push((tensor, self.recording.guard(tensor, 4 * GUARD_WORDS as u64), Vec::new()));
        }
        for &tensor in states {
            let end = self.recording.guard(tensor, 4 * GUARD_WORDS as u64);
            let at = self.uploads.iter().position(|(uploaded, _)| *uploaded == tensor);
            guarded.push((tensor, end, at.map(|at| self.uploads.swap_remove(at).1).unwrap_or_default()));
        }
        let mut plan = Plan::new(self.gpu, &self.recording)?;
        for (tensor, words) in &self.uploads {
            plan.write(*tensor, words)?;
        }
        for (tensor, _, words) in &mut guarded {
            words.resize((self.recording.bytes(*tensor) / 4) as usize, GUARD);
            plan.write(*tensor, words)?;
        }
        plan.run().await?;
        for (tensor, end, words) in &guarded {
            let found: Vec<u32> = plan.read(*tensor, words.len()).await?;
            let start = (*end / 4) as usize;
            if let Some(at) = found[start..].iter().position(|&word| word != GUARD) {
                return Err(Error::Mismatch(format!(
                    "{}: the kernel wrote {at} words past the end of a tensor of {end} bytes; please report the driver",
                    self.op
                )));
            }
        }
        Ok(Done { op: self.op, plan })
    }
}

impl Done {
    /// The first `count` values of a tensor.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the kernel left one of them unwritten.
    pub async fn read(&self, tensor: TensorId, count: usize) -> Result<Vec<f32>> {
        Ok(bytemuck::cast_slice(&self.words(tensor, count).await?).to_vec())
    }

    /// The same of a tensor that is stored as `precision`.
    pub async fn stored(&self, tensor: TensorId, count: usize, precision: Precision) -> Result<Vec<f32>> {
        Ok(precision.values(&self.words(tensor, precision.word_count(count)).await?, count))
    }

    async fn words(&self, tensor: TensorId, count: usize) -> Result<Vec<u32>> {
        let words: Vec<u32> = self.plan.read(tensor, count).await?;
        self.check_written(&words)?;
        Ok(words)
    }

    fn check_written(&self, words: &[u32]) -> Result<()> {
        let Some(at) = words.iter().position(|&word| word == GUARD) else { return Ok(()) };
        let problem = format!("the kernel left word {at} of {} unwritten; please report the driver", words.len());
        Err(Error::Mismatch(format!("{}: {problem}", self.op)))
    }

    /// A batch of feature maps as NCHW, padded by `groups`.
    pub async fn map(&self, map: FeatureMap, groups: usize) -> Result<Vec<f32>> {
        let count = map.len4() * 4;
        let words: Vec<u32> = self.plan.read(map.tensor, map.precision.word_count(count)).await?;
        let pixel = map.precision.word_count(map.pitch4 * 4);
        for words in words.chunks(pixel.max(1)) {
            self.check_written(&words[..map.precision.word_count(map.c4 * 4)])?;
        }
        let data = map.precision.values(&words, count);
        Ok(unpack_nhwc(&data, map.nchw(), groups))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{AdapterChoice, Cost, KernelSpec, block_on};
    use crate::ops::dispatch_items;

    /// ReLU over `vec4s` of a tensor of four, as a kernel that is wrong about its size would run.
    fn relu_over(vec4s: u32) -> Result<Vec<f32>> {
        let gpu = block_on(Gpu::open(&AdapterChoice::default())).expect("an adapter; scripts/setup.sh installs one");
        let mut session = Session::new(&gpu, "relu");
        let input = session.input("input", &[1.0; 64]);
        let output = session.recording.temporary("output", 4 * 16);
        let params: Vec<u8> = [vec4s, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
        let (kernel, tensors) = (KernelSpec::new(crate::gpu::shaders::files::relu::FILE), [input, output]);
        dispatch_items(&mut session.recording, "relu", kernel, &tensors, &params, vec4s as usize, Cost::default())?;
        block_on(block_on(session.run(&[]))?.read(output, 16))
    }

    #[test]
    fn strays_and_holes_are_caught() {
        assert_eq!(relu_over(4).unwrap(), [1.0; 16]);
        let stray = relu_over(5).unwrap_err();
        assert!(matches!(&stray, Error::Mismatch(message) if message.contains("past the end")), "{stray}");
        let hole = relu_over(3).unwrap_err();
        assert!(matches!(&hole, Error::Mismatch(message) if message.contains("word 12 of 16")), "{hole}");
    }
}
