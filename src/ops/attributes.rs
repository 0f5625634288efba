//! The attributes of the operations, with PyTorch's names, defaults and rules, and the output sizes that follow from
//! them. Plain values: the shaders' dispatch (`crate::ops`) and the CPU twins (`crate::reference`) share them.

use crate::error::{Error, Result};

/// The largest extent, kernel size, stride, padding, dilation or number of groups that is accepted: shaders index with
/// 32-bit integers, and products of two such numbers can't overflow the 64-bit arithmetic below.
pub const MAX_EXTENT: usize = i32::MAX as usize;

const AXES: [&str; 2] = ["height", "width"];

/// Attributes of `conv2d` (`torch.nn.functional.conv2d`); pairs are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2dAttributes {
    /// Step of the kernel over the padded input.
    pub stride: [usize; 2],
    /// Zeros added on both sides of each axis.
    pub padding: [usize; 2],
    /// Distance between two taps of the kernel.
    pub dilation: [usize; 2],
    /// Number of groups; input and output channels are divided among them in order.
    pub groups: usize,
}

impl Default for Conv2dAttributes {
    fn default() -> Self {
        Self { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 }
    }
}

impl Conv2dAttributes {
    /// Output (height, width) for an input of `height` x `width` and a kernel of `kernel_height` x `kernel_width`:
    /// `floor((input + 2 padding - dilation (kernel - 1) - 1) / stride) + 1` on each axis.
    ///
    /// # Errors
    /// [`Error::Shape`] for a zero stride, dilation, group count, kernel or input extent, for a dilated kernel larger
    /// than the padded input, and for anything above [`MAX_EXTENT`].
    pub fn output_size(
        &self,
        height: usize,
        width: usize,
        kernel_height: usize,
        kernel_width: usize,
    ) -> Result<(usize, usize)> {
        const OP: &str = "conv2d";
        check_range(OP, "groups", self.groups, 1)?;
        let (input, kernel) = ([height, width], [kernel_height, kernel_width]);
        let mut output = [0; 2];
        for axis in 0..2 {
            let name = AXES[axis];
            let input = check_range(OP, &format!("the input's {name}"), input[axis], 1)?;
            let kernel = check_range(OP, &format!("the kernel's {name}"), kernel[axis], 1)?;
            let stride = check_range(OP, &format!("stride ({name})"), self.stride[axis], 1)?;
            let padding = check_range(OP, &format!("padding ({name})"), self.padding[axis], 0)?;
            let dilation = check_range(OP, &format!("dilation ({name})"), self.dilation[axis], 1)?;
            let padded = input + 2 * padding;
            let span = dilation * (kernel - 1) + 1;
            if span > padded {
                return Err(Error::shape(
                    OP,
                    format!(
                        "the kernel spans {span} in {name} but the padded input only {padded}; use a larger input, \
                         more padding or a smaller kernel"
                    ),
                ));
            }
            output[axis] = check_output(OP, name, (padded - span) / stride + 1)?;
        }
        Ok((output[0], output[1]))
    }

    /// Output shape `[N, K, P, Q]` for an input `[N, C, H, W]` and a weight `[K, C / groups, R, S]`.
    ///
    /// # Errors
    /// Those of [`Self::output_size`], and [`Error::Shape`] where the groups don't divide the channels, the weight's
    /// second extent isn't `C / groups`, or the output has more elements than can be counted.
    pub fn output_shape(&self, input: [usize; 4], weight: [usize; 4]) -> Result<[usize; 4]> {
        const OP: &str = "conv2d";
        let [n, c, h, w] = input;
        let [k, group_channels, r, s] = weight;
        let (p, q) = self.output_size(h, w, r, s)?;
        let groups = self.groups;
        if c == 0 || k == 0 || !c.is_multiple_of(groups) || !k.is_multiple_of(groups) {
            return Err(Error::shape(
                OP,
                format!("groups {groups} must divide the {c} input and the {k} output channels, which can't be zero"),
            ));
        }
        if group_channels != c / groups {
            return Err(Error::shape(
                OP,
                format!(
                    "weight {weight:?} with groups {groups} needs {group_channels} x {groups} input channels, but the \
                     input {input:?} has {c}"
                ),
            ));
        }
        let output = [n, k, p, q];
        match output.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent)) {
            Some(_) => Ok(output),
            None => Err(Error::shape(OP, format!("output {output:?} is too large; use a smaller batch or input"))),
        }
    }
}

/// Attributes of `max_pool2d` and `avg_pool2d` (`torch.nn.functional`); pairs are (height, width).
///
/// There is no `Default`, because PyTorch has none for the kernel size: start from [`PoolAttributes::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolAttributes {
    /// Window size.
    pub kernel_size: [usize; 2],
    /// Step of the window; PyTorch's default is the kernel size.
    pub stride: [usize; 2],
    /// Padding on both sides of each axis: never chosen by a maximum, counted as zeros by an average
    /// (`count_include_pad=True`).
    pub padding: [usize; 2],
    /// Whether a last window that hangs over the padded input's end counts.
    pub ceil_mode: bool,
}

impl PoolAttributes {
    /// PyTorch's defaults for a window of `kernel_size`: the same stride, no padding, `ceil_mode=False`.
    pub fn new(kernel_size: [usize; 2]) -> Self {
        Self { kernel_size, stride: kernel_size, padding: [0, 0], ceil_mode: false }
    }

    /// Output (height, width) for an input of `height` x `width`: `floor((input + 2 padding - kernel) / stride) + 1` on
    /// each axis; with `ceil_mode` the quotient is rounded up, then a last window that would start past the input and
    /// the left padding is dropped.
    ///
    /// # Errors
    /// [`Error::Shape`] for a zero kernel, stride or input extent, padding above half of the kernel size, a result
    /// without a single window, and anything above [`MAX_EXTENT`].
    pub fn output_size(&self, height: usize, width: usize) -> Result<(usize, usize)> {
        const OP: &str = "pool2d";
        let input = [height, width];
        let mut output = [0; 2];
        for axis in 0..2 {
            let name = AXES[axis];
            let input = check_range(OP, &format!("the input's {name}"), input[axis], 1)?;
            let kernel = check_range(OP, &format!("kernel_size ({name})"), self.kernel_size[axis], 1)?;
            let stride = check_range(OP, &format!("stride ({name})"), self.stride[axis], 1)?;
            let padding = check_range(OP, &format!("padding ({name})"), self.padding[axis], 0)?;
            if padding > kernel / 2 {
                return Err(Error::shape(
                    OP,
                    format!("padding {padding} in {name} is over half of kernel_size {kernel}; use at most half"),
                ));
            }
            // With ceil_mode a single window may be larger than the padded input, so compare before subtracting.
            let reach = input + 2 * padding + if self.ceil_mode { stride - 1 } else { 0 };
            if kernel > reach {
                return Err(Error::shape(
                    OP,
                    format!(
                        "kernel_size {kernel} is over the padded input's {name} {}; use a larger input or a smaller \
                         kernel",
                        input + 2 * padding
                    ),
                ));
            }
            let mut count = (reach - kernel) / stride + 1;
            if self.ceil_mode && (count - 1) * stride >= input + padding {
                count -= 1;
            }
            output[axis] = check_output(OP, name, count)?;
        }
        Ok((output[0], output[1]))
    }
}

/// Attributes of `batch_norm` (`torch.nn.functional.batch_norm`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormAttributes {
    /// Added to the variance.
    pub eps: f64,
    /// Weight of the batch in the running statistics.
    pub momentum: f64,
    /// Whether the batch's own statistics normalise (and update the running ones).
    pub training: bool,
}

impl Default for BatchNormAttributes {
    fn default() -> Self {
        Self { eps: 1e-5, momentum: 0.1, training: false }
    }
}

impl BatchNormAttributes {
    /// Checks the attributes against an input that has `values_per_channel` = N H W values in each channel.
    ///
    /// # Errors
    /// [`Error::Shape`] for an `eps` that isn't positive and finite, a `momentum` that isn't finite, and, as in
    /// PyTorch, training with fewer than two values in a channel, where the unbiased variance doesn't exist.
    pub fn check(&self, values_per_channel: usize) -> Result<()> {
        const OP: &str = "batch_norm";
        check_number(OP, "eps", self.eps, self.eps > 0.0, "must be positive and finite")?;
        check_number(OP, "momentum", self.momentum, true, "must be finite")?;
        if self.training && values_per_channel < 2 {
            return Err(Error::shape(
                OP,
                format!(
                    "training needs more than one value per channel but the input has {values_per_channel}; use a \
                     larger batch or training=false"
                ),
            ));
        }
        Ok(())
    }
}

/// Attributes of `cross_entropy` (`torch.nn.functional.cross_entropy` with `reduction="mean"`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropyAttributes {
    /// Share of the target probability that is spread evenly over all classes, from 0 to 1.
    pub label_smoothing: f64,
    /// Samples with this target take no part in the loss, nor in the mean's count.
    pub ignore_index: i64,
}

impl Default for CrossEntropyAttributes {
    fn default() -> Self {
        Self { label_smoothing: 0.0, ignore_index: -100 }
    }
}

impl CrossEntropyAttributes {
    /// # Errors
    /// [`Error::Shape`] for a `label_smoothing` outside 0 to 1.
    pub fn check(&self) -> Result<()> {
        let smoothing = self.label_smoothing;
        let inside = (0.0..=1.0).contains(&smoothing);
        check_number("cross_entropy", "label_smoothing", smoothing, inside, "must be from 0 to 1")
    }
}

/// Attributes of `adam` and `adamw` (`torch.optim.Adam`, `torch.optim.AdamW`). They differ in the default weight decay
/// and in what the decay acts on: `adam` adds it to the gradient, `adamw` shrinks the parameter itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamAttributes {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the running first and second moment of the gradient.
    pub betas: [f64; 2],
    /// Added to the denominator, after the bias correction.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Whether the denominator uses the largest second moment so far.
    pub amsgrad: bool,
    /// Whether to ascend rather than descend.
    pub maximize: bool,
}

impl Default for AdamAttributes {
    fn default() -> Self {
        Self { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, amsgrad: false, maximize: false }
    }
}

impl AdamAttributes {
    /// The defaults of `torch.optim.AdamW`: Adam's, with a weight decay of 0.01.
    pub fn adamw() -> Self {
        Self { weight_decay: 1e-2, ..Self::default() }
    }

    /// Checks what `torch.optim` checks; `op` (`adam` or `adamw`) names the operation in the message.
    ///
    /// # Errors
    /// [`Error::Shape`] for a negative or non-finite `lr`, `eps` or `weight_decay`, and a beta outside `[0, 1)`.
    pub fn check(&self, op: &str) -> Result<()> {
        for (name, value) in [("lr", self.lr), ("eps", self.eps), ("weight_decay", self.weight_decay)] {
            check_number(op, name, value, value >= 0.0, "must be zero or more, and finite")?;
        }
        for beta in self.betas {
            check_number(op, "betas", beta, (0.0..1.0).contains(&beta), "must be from 0 to below 1")?;
        }
        Ok(())
    }
}

/// Attributes of `sgd` (`torch.optim.SGD`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdAttributes {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the momentum buffer; zero keeps none.
    pub momentum: f64,
    /// How much of the gradient is kept out of the momentum buffer.
    pub dampening: f64,
    /// Weight decay, added to the gradient.
    pub weight_decay: f64,
    /// Nesterov's look-ahead; needs momentum and no dampening.
    pub nesterov: bool,
    /// Whether to ascend rather than descend.
    pub maximize: bool,
}

impl Default for SgdAttributes {
    fn default() -> Self {
        Self { lr: 1e-3, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false, maximize: false }
    }
}

impl SgdAttributes {
    /// Checks what `torch.optim` checks.
    ///
    /// # Errors
    /// [`Error::Shape`] for a negative or non-finite `lr`, `momentum` or `weight_decay`, a non-finite `dampening`, and
    /// `nesterov` without momentum or with dampening.
    pub fn check(&self) -> Result<()> {
        const OP: &str = "sgd";
        for (name, value) in [("lr", self.lr), ("momentum", self.momentum), ("weight_decay", self.weight_decay)] {
            check_number(OP, name, value, value >= 0.0, "must be zero or more, and finite")?;
        }
        check_number(OP, "dampening", self.dampening, true, "must be finite")?;
        if self.nesterov && (self.momentum == 0.0 || self.dampening != 0.0) {
            return Err(Error::shape(OP, "nesterov needs a momentum above zero and a dampening of zero"));
        }
        Ok(())
    }
}

/// `value` as u64 if it is from `low` to [`MAX_EXTENT`].
fn check_range(op: &str, what: &str, value: usize, low: usize) -> Result<u64> {
    if value < low || value > MAX_EXTENT {
        return Err(Error::shape(op, format!("{what} is {value}; it must be from {low} to {MAX_EXTENT}")));
    }
    Ok(value as u64)
}

fn check_output(op: &str, axis: &str, value: u64) -> Result<usize> {
    match usize::try_from(value) {
        Ok(size) if size <= MAX_EXTENT => Ok(size),
        _ => Err(Error::shape(op, format!("the output's {axis} would be {value}; it must be at most {MAX_EXTENT}"))),
    }
}

fn check_number(op: &str, name: &str, value: f64, fits: bool, rule: &str) -> Result<()> {
    if fits && value.is_finite() {
        return Ok(());
    }
    Err(Error::shape(op, format!("{name} is {value}; it {rule}")))
}

#[cfg(test)]
#[path = "attributes/tests.rs"]
mod tests;
