//! The fully connected layer and its gradients. Matrices are rows padded to vec4s; the weight has a multiple of 4 rows.

use super::conv2d::sum_partials;
use super::dispatch_items;
use super::feature_map::u32_of;
use crate::error::Result;
use crate::gpu::shaders::files::{linear, linear_backward, linear_strided};
use crate::gpu::{AdapterReport, Cost, KernelSpec, Recording, TensorId};

/// The kernels that compute the forward pass. Neither's sums depend on the number of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinearKernel {
    /// An invocation sums a slice of the features for a tile; a second kernel adds the slices. For software drivers.
    Sliced,
    /// A workgroup sums all features for a tile. For hardware.
    Strided,
}

impl LinearKernel {
    /// The kernel for this class of device.
    pub fn choose(adapter: &AdapterReport) -> Self {
        if adapter.kind == "cpu" { Self::Sliced } else { Self::Strided }
    }
}

/// Shape of a fully connected layer over a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linear {
    pub rows: usize,
    pub in_features: usize,
    pub out_features: usize,
}

impl Linear {
    fn in4(&self) -> usize {
        self.in_features.div_ceil(4)
    }

    fn out4(&self) -> usize {
        self.out_features.div_ceil(4)
    }

    /// vec4s of inputs that one invocation of the forward kernel sums: all, or fewer if there are few outputs.
    fn slice(&self) -> usize {
        /// Invocations to reach by splitting, and the least vec4s of a slice.
        const INVOCATIONS: usize = 512;
        const SHORTEST: usize = 32;
        // Computed for one tile of rows, so that a row's bits are the same in any batch.
        self.in4().div_ceil(INVOCATIONS.div_ceil(self.out4().max(1))).max(SHORTEST)
    }

    fn params(&self) -> Result<[u32; 4]> {
        const OP: &str = "linear";
        u32_of(OP, "a matrix", self.out4() * self.in4() * 4)?;
        u32_of(OP, "a matrix", self.rows * self.in4().max(self.out4()))?;
        Ok([
            u32_of(OP, "a batch", self.rows)?,
            u32_of(OP, "features", self.in4())?,
            u32_of(OP, "features", self.out4())?,
            u32_of(OP, "features", self.slice())?,
        ])
    }

    fn cost(&self) -> Cost {
        let (rows, inputs, outputs) = (self.rows as f64, self.in_features as f64, self.out_features as f64);
        Cost { flops: 2.0 * rows * inputs * outputs, bytes: 4.0 * (rows * inputs + inputs * outputs + rows * outputs) }
    }

    /// Bytes of a batch of outputs.
    pub fn output_bytes(&self) -> u64 {
        (self.rows * self.out4() * 16) as u64
    }

    /// Bytes of the packed weight.
    pub fn weight_bytes(&self) -> u64 {
        (self.out4() * 4 * self.in4() * 16) as u64
    }

    /// `output[n,k] = bias[k] + sum over c of input[n,c] weight[k,c]`.
    pub fn forward(
        &self,
        r: &mut Recording,
        label: &str,
        kernel: LinearKernel,
        input: TensorId,
        [weight, bias]: [TensorId; 2],
    ) -> Result<TensorId> {
        if kernel == LinearKernel::Strided {
            let output = r.temporary(label, self.output_bytes());
            // A workgroup computes a tile.
            let items = self.out4() * self.rows.div_ceil(4) * 64;
            self.step(r, label, linear_strided::FILE.into(), "main", &[input, weight, bias, output], items)?;
            return Ok(output);
        }
        let partials = self.sliced(r, label, linear::FILE.into(), |partials| vec![input, weight, bias, partials])?;
        sum_partials(r, label, partials, self.rows * self.out4(), self.slices())
    }

    /// Slices of the sum over the inputs.
    fn slices(&self) -> usize {
        self.in4().div_ceil(self.slice())
    }

    /// The forward `kernel` over slices of the sum; the partial sums are among its `tensors`.
    fn sliced(
        &self,
        r: &mut Recording,
        label: &str,
        kernel: KernelSpec,
        tensors: impl FnOnce(TensorId) -> Vec<TensorId>,
    ) -> Result<TensorId> {
        let partials = r.temporary(label, self.slices() as u64 * self.output_bytes());
        let items = self.out4() * self.rows.div_ceil(4) * self.slices();
        self.step(r, label, kernel, "main", &tensors(partials), items)?;
        Ok(partials)
    }

    /// [`Self::forward`] over the step's rows of all examples' `features`; `parameters` are the weight, followed by the bias.
    /// Returns partial sums `[slice][row][output]` and the number of slices.
    pub fn forward_gathered(
        &self,
        r: &mut Recording,
        label: &str,
        features: TensorId,
        parameters: TensorId,
        [order, cursor]: [TensorId; 2],
    ) -> Result<(TensorId, usize)> {
        let kernel = KernelSpec::new(linear::FILE).with(linear::ROWS_BY_ORDER);
        let partials = self.sliced(r, label, kernel, |partials| vec![features, parameters, partials, order, cursor])?;
        Ok((partials, self.slices()))
    }

    /// [`Self::grad_weight`] and then [`Self::grad_bias`], over the rows of all examples' `features` of the step before the counter's
    /// position.
    pub fn gradient_gathered(
        &self,
        r: &mut Recording,
        label: &str,
        features: TensorId,
        grad: TensorId,
        [order, cursor]: [TensorId; 2],
    ) -> Result<TensorId> {
        let output = r.temporary(label, self.weight_bytes() + (self.out4() * 16) as u64);
        let items = self.weight_tiles() + self.out4();
        let tensors = [features, grad, output, order, cursor];
        let kernel = KernelSpec::new(linear_backward::FILE).with(linear_backward::ROWS_BY_ORDER);
        self.step(r, label, kernel, "gradient", &tensors, items)?;
        Ok(output)
    }

    fn weight_tiles(&self) -> usize {
        self.out4().div_ceil(3) * self.in4().div_ceil(2)
    }

    /// `grad_input[n,c] = sum over k of grad[n,k] weight[k,c]`.
    pub fn grad_input(&self, r: &mut Recording, label: &str, weight: TensorId, grad: TensorId) -> Result<TensorId> {
        let output = r.temporary(label, (self.rows * self.in4() * 16) as u64);
        self.step(
            r,
            label,
            linear_backward::FILE.into(),
            "grad_input",
            &[weight, grad, output],
            self.rows * self.in4(),
        )?;
        Ok(output)
    }

    /// `grad_weight[k,c] = sum over n of grad[n,k] input[n,c]`.
    pub fn grad_weight(&self, r: &mut Recording, label: &str, input: TensorId, grad: TensorId) -> Result<TensorId> {
        let output = r.temporary(label, self.weight_bytes());
        let tensors = [input, grad, output];
        self.step(r, label, linear_backward::FILE.into(), "grad_weight", &tensors, self.weight_tiles())?;
        Ok(output)
    }

    /// `grad_bias[k] = sum over n of grad[n,k]`.
    pub fn grad_bias(&self, r: &mut Recording, label: &str, grad: TensorId) -> Result<TensorId> {
        let output = r.temporary(label, (self.out4() * 16) as u64);
        self.step(r, label, linear_backward::FILE.into(), "grad_bias", &[grad, output], self.out4())?;
        Ok(output)
    }

    fn step(
        &self,
        recording: &mut Recording,
        label: &str,
        kernel: KernelSpec,
        entry: &'static str,
        tensors: &[TensorId],
        items: usize,
    ) -> Result<()> {
        let kernel = kernel.entry(entry);
        dispatch_items(recording, label, kernel, tensors, bytemuck::bytes_of(&self.params()?), items, self.cost())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The classifier of ResNet-50 for one image gives enough workgroups for a large GPU.
    #[test]
    fn one_row_keeps_a_large_gpu_busy() {
        let workgroups = |kernel, rows| {
            let layer = Linear { rows, in_features: 2048, out_features: 1000 };
            let mut r = Recording::new();
            let [input, weight, bias] = ["input", "weight", "bias"].map(|label| r.temporary(label, 16));
            layer.forward(&mut r, "fc", kernel, input, [weight, bias]).unwrap();
            r.dispatches()[0].workgroups
        };
        assert_eq!(workgroups(LinearKernel::Strided, 1), [250, 1, 1]);
        assert_eq!(workgroups(LinearKernel::Strided, 9), [750, 1, 1]);
        // On a software driver: three slices.
        assert_eq!(workgroups(LinearKernel::Sliced, 1), [12, 1, 1]);
    }

    #[test]
    fn slices_do_not_depend_on_the_rows() {
        for (in_features, out_features) in [(2048, 1000), (2048, 10), (512, 102), (7, 5)] {
            let slice = |rows| Linear { rows, in_features, out_features }.slice();
            assert!([2, 5, 8, 32, 1000].iter().all(|&rows| slice(rows) == slice(1)), "{in_features} {out_features}");
        }
    }
}
