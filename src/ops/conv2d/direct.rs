//! Direct convolution by one kernel: the forward pass, or the input gradient by the same kernels with the taps of one phase of the stride
//! at a time.

use super::epilogue::Ending;
use super::geometry::Geometry;
use super::pass::Direction;
use super::spec::Conv2d;
use super::split::Conv2dKernel;
use super::uniforms::Uniforms;
use crate::error::{Error, Result};
use crate::gpu::shaders::files::{self, conv2d_sum_parts};
use crate::gpu::{Cost, Dispatch, KernelSpec, Recording, TensorId, fold_workgroups};
use crate::ops::dispatch_items;
use crate::ops::elementwise::relu_backward;
use crate::ops::feature_map::{FeatureMap, MapShape, RecordMaps};

/// A pass with its kernel, built once and recorded any number of times.
#[derive(Debug, Clone)]
pub(super) struct Direct {
    geometry: Geometry,
    kernel: KernelSpec,
}

impl Direct {
    /// The pass from `source` to `output`, whose shapes belong to `conv`.
    ///
    /// # Errors
    /// Sizes that a shader cannot index, and a split that the kernel does not support.
    pub fn new(
        conv: &Conv2d,
        kernel: impl Into<Conv2dKernel>,
        direction: Direction,
        maps: [MapShape; 2],
    ) -> Result<Self> {
        let geometry = Geometry::new(conv, kernel.into(), direction, maps)?;
        Ok(Self { kernel: kernel_of(&geometry)?, geometry })
    }

    /// Appends the pass over `source`; `weight` is packed for its kernel and direction.
    pub fn record(
        &self,
        r: &mut Recording,
        label: &str,
        source: TensorId,
        weight: TensorId,
        ending: Ending,
    ) -> Result<FeatureMap> {
        ending.check(label, self.geometry.output)?;
        let output = r.map(label, self.geometry.output);
        let uniforms = Uniforms::new(&self.geometry, &ending)?;
        // A binding needs a buffer. A missing operand is bound to the weight and not read.
        let bias = ending.rectified.map(|map| map.tensor).or(ending.bias).unwrap_or(weight);
        let residual = ending.residual.map_or(weight, |map| map.tensor);
        if self.geometry.parts.count > 1 {
            let partials = r.temporary(label, self.geometry.partial_bytes());
            self.multiply(r, label, &uniforms, vec![source, weight, partials], self.geometry.partial_bytes())?;
            self.sum_parts(r, label, &uniforms, [partials, bias, residual, output.tensor])?;
            return Ok(output);
        }
        let tensors = vec![source, weight, bias, residual, output.tensor];
        self.multiply(r, label, &uniforms, tensors, self.geometry.output.bytes() * ending.maps())?;
        if self.geometry.blocks.is_some() {
            self.repair(r, label, &uniforms, [source, weight, residual, output.tensor])?;
            // Kernels for blocks have no ReLU gradient: few networks have a ReLU before so few channels.
            if let Some(rectified) = ending.rectified {
                return relu_backward(r, label, rectified, output);
            }
        }
        Ok(output)
    }

    /// Appends the kernel that multiplies; its epilogue reads and writes `stored` bytes.
    fn multiply(
        &self,
        r: &mut Recording,
        label: &str,
        uniforms: &Uniforms,
        mut tensors: Vec<TensorId>,
        stored: u64,
    ) -> Result<()> {
        let Self { geometry, kernel } = self;
        let bytes = geometry.source.bytes() + stored + r.bytes(tensors[1]);
        // A kernel for blocks that never reads a bias has no binding for it.
        if geometry.parts.count == 1 && kernel.reflect()?.bindings.len() == tensors.len() {
            tensors.remove(2);
        }
        r.dispatch(Dispatch {
            label: label.to_owned(),
            kernel: kernel.clone(),
            tensors,
            params: uniforms.bytes().to_vec(),
            workgroups: fold_workgroups(geometry.workgroups()),
            cost: Cost { flops: 2.0 * geometry.multiply_adds(), bytes: bytes as f64 },
        });
        Ok(())
    }

    /// Appends the sum of the parts with the epilogue. `tensors` are the partial sums, the buffer at the bias's binding, the residual and
    /// the output.
    fn sum_parts(&self, r: &mut Recording, label: &str, uniforms: &Uniforms, tensors: [TensorId; 4]) -> Result<()> {
        let kernel = KernelSpec::new(conv2d_sum_parts::FILE);
        let kernel = self.geometry.output.precision.kernel(match self.geometry.direction {
            Direction::Forward => kernel,
            Direction::Transposed => kernel.with(conv2d_sum_parts::TRANSPOSED),
        })?;
        let flops = (self.geometry.parts.count * self.geometry.output.len4() * 4) as f64;
        let cost = Cost { flops, bytes: (self.geometry.partial_bytes() + self.geometry.output.bytes()) as f64 };
        let items = self.geometry.output.pixels() * self.geometry.output.c4;
        dispatch_items(r, label, kernel, &tensors, uniforms.bytes(), items, cost)
    }

    /// Appends the recomputation of pixels that came out as NaN from blocks. `tensors` are the source, the weight, the residual and the
    /// output.
    fn repair(&self, r: &mut Recording, label: &str, uniforms: &Uniforms, tensors: [TensorId; 4]) -> Result<()> {
        let kernel = self.geometry.source.precision.kernel(files::conv2d_backward_input_blocks_repair::FILE)?;
        let cost = Cost { flops: 0.0, bytes: self.geometry.output.bytes() as f64 };
        dispatch_items(r, label, kernel, &tensors, uniforms.bytes(), self.geometry.output.pixels(), cost)
    }
}

/// The kernel that multiplies.
fn kernel_of(geometry: &Geometry) -> Result<KernelSpec> {
    let Geometry { conv, variant, direction, source, blocks, parts, .. } = geometry;
    let none = || Error::shape("conv2d", format!("the kernel {} has no parts", variant.name()));
    let kernel = match (blocks, parts.count) {
        (Some(_), _) => variant.blocks_kernel()?,
        (None, 1) => variant.kernel(*direction)?,
        (None, _) => variant.split_kernel(*direction).ok_or_else(none)?,
    };
    let spec = source.precision.kernel(kernel)?;
    if !variant.is_gemm() {
        return Ok(spec);
    }
    let pointwise = blocks.is_none() && (conv.kernel, conv.attributes.padding) == ([1, 1], [0, 0]);
    if variant.is_cooperative() {
        return Ok(spec.constant("POINTWISE", pointwise.into()));
    }
    let whole = (source.c4 / conv.attributes.groups).is_multiple_of(4);
    Ok(spec.constant("POINTWISE", pointwise.into()).constant("WHOLE", whole.into()))
}
