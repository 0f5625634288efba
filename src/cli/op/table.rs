//! The operations that can be called by name: the tensors and attributes that each takes, and how it runs. A new operation is one
//! more entry.

use std::sync::Arc;

use super::settings::Settings;
use super::tensors::{Named, TensorFile};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, block_on};
use crate::ops::Precision;
use crate::ops::adam::AdamKind;
use crate::ops::attributes::{
    AdamAttributes, BatchNormAttributes, Conv2dAttributes, CrossEntropyAttributes, PoolAttributes, SgdAttributes,
};
use crate::ops::host::{self, AdamState, Array, Gradients, On};

/// One operation.
pub(super) struct Operation {
    pub name: &'static str,
    /// Keys of the tensors that the input file must have, and of those that it may have.
    pub required: &'static [&'static str],
    pub optional: &'static [&'static str],
    /// The attributes that `--set` accepts.
    pub attributes: &'static [&'static str],
    pub run: fn(&Call) -> Result<Vec<Named>>,
}

/// The arguments of an operation.
pub(super) struct Call<'a> {
    pub gpu: &'a Arc<Gpu>,
    pub precision: Precision,
    pub file: &'a TensorFile,
    pub settings: &'a Settings,
}

const ADAM_STATE: &[&str] = &["exp_avg", "exp_avg_sq", "step"];
const ADAM: &[&str] = &["lr", "betas", "eps", "weight_decay", "amsgrad", "maximize"];

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        name: "conv2d",
        required: &["input", "weight"],
        optional: &["bias"],
        attributes: &["stride", "padding", "dilation", "groups"],
        run: |call| {
            let bias = call.file.optional("bias")?;
            let (input, weight) = (call.input()?, call.file.array("weight")?);
            one(block_on(host::conv2d(call.on(), None, &input, &weight, bias.as_ref(), &call.conv2d()?))?)
        },
    },
    Operation {
        name: "conv2d_backward",
        required: &["input", "weight", "grad_output"],
        optional: &["bias"],
        attributes: &["stride", "padding", "dilation", "groups"],
        run: |call| {
            let (input, weight, grad) = (call.input()?, call.file.array("weight")?, call.grad_output()?);
            gradients(block_on(host::conv2d_backward(call.on(), None, [&input, &weight], &grad, &call.conv2d()?))?)
        },
    },
    Operation {
        name: "batch_norm",
        required: &["input", "weight", "bias", "running_mean", "running_var"],
        optional: &[],
        attributes: &["eps", "momentum", "training"],
        run: batch_norm,
    },
    Operation {
        name: "batch_norm_backward",
        required: &["input", "weight", "running_mean", "running_var", "grad_output"],
        optional: &["bias"],
        attributes: &["eps", "momentum", "training"],
        run: |call| {
            let array = |key| call.file.array(key);
            let (weight, mean, variance) = (array("weight")?, array("running_mean")?, array("running_var")?);
            let (input, grad) = (call.input()?, call.grad_output()?);
            let parameters = [&weight, &mean, &variance];
            gradients(block_on(host::batch_norm_backward(call.on(), &input, parameters, &grad, &call.batch_norm()?))?)
        },
    },
    Operation {
        name: "relu",
        required: &["input"],
        optional: &[],
        attributes: &[],
        run: |call| one(block_on(host::relu(call.on(), &call.input()?))?),
    },
    Operation {
        name: "relu_backward",
        required: &["input", "grad_output"],
        optional: &[],
        attributes: &[],
        run: |call| grad_input(block_on(host::relu_backward(call.on(), &call.input()?, &call.grad_output()?))?),
    },
    Operation {
        name: "add",
        required: &["input", "other"],
        optional: &[],
        attributes: &[],
        run: |call| one(block_on(host::add(call.on(), &call.input()?, &call.file.array("other")?))?),
    },
    Operation {
        name: "add_relu",
        required: &["input", "other"],
        optional: &[],
        attributes: &[],
        run: |call| one(block_on(host::add_relu(call.on(), &call.input()?, &call.file.array("other")?))?),
    },
    Operation {
        name: "add_relu_backward",
        required: &["input", "other", "grad_output"],
        optional: &[],
        attributes: &[],
        run: |call| {
            let (other, grad) = (call.file.array("other")?, call.grad_output()?);
            let found = block_on(host::add_relu_backward(call.on(), &call.input()?, &other, &grad))?;
            Ok(vec![("grad_input", found.clone()), ("grad_other", found)])
        },
    },
    Operation {
        name: "max_pool2d",
        required: &["input"],
        optional: &[],
        attributes: &["kernel_size", "stride", "padding", "ceil_mode"],
        run: |call| one(block_on(host::max_pool2d(call.on(), &call.input()?, &call.pool()?))?),
    },
    Operation {
        name: "max_pool2d_backward",
        required: &["input", "grad_output"],
        optional: &[],
        attributes: &["kernel_size", "stride", "padding", "ceil_mode"],
        run: |call| {
            grad_input(block_on(host::max_pool2d_backward(
                call.on(),
                &call.input()?,
                &call.grad_output()?,
                &call.pool()?,
            ))?)
        },
    },
    Operation {
        name: "avg_pool2d",
        required: &["input"],
        optional: &[],
        attributes: &["kernel_size", "stride", "padding", "ceil_mode"],
        run: |call| one(block_on(host::avg_pool2d(call.on(), &call.input()?, &call.pool()?))?),
    },
    Operation {
        name: "avg_pool2d_backward",
        required: &["input", "grad_output"],
        optional: &[],
        attributes: &["kernel_size", "stride", "padding", "ceil_mode"],
        run: |call| {
            grad_input(block_on(host::avg_pool2d_backward(
                call.on(),
                &call.input()?,
                &call.grad_output()?,
                &call.pool()?,
            ))?)
        },
    },
    Operation {
        name: "global_avg_pool",
        required: &["input"],
        optional: &[],
        attributes: &[],
        run: |call| one(block_on(host::global_avg_pool(call.on(), &call.input()?))?),
    },
    Operation {
        name: "global_avg_pool_backward",
        required: &["input", "grad_output"],
        optional: &[],
        attributes: &[],
        run: |call| {
            grad_input(block_on(host::global_avg_pool_backward(call.on(), &call.input()?, &call.grad_output()?))?)
        },
    },
    Operation {
        name: "linear",
        required: &["input", "weight"],
        optional: &["bias"],
        attributes: &[],
        run: |call| {
            let bias = call.file.optional("bias")?;
            one(block_on(host::linear(call.gpu, &call.input()?, &call.file.array("weight")?, bias.as_ref()))?)
        },
    },
    Operation {
        name: "linear_backward",
        required: &["input", "weight", "grad_output"],
        optional: &["bias"],
        attributes: &[],
        run: |call| {
            let (weight, grad) = (call.file.array("weight")?, call.file.array("grad_output")?);
            gradients(block_on(host::linear_backward(call.gpu, &call.input()?, &weight, &grad))?)
        },
    },
    Operation {
        name: "cross_entropy",
        required: &["input", "target"],
        optional: &[],
        attributes: &["label_smoothing", "ignore_index"],
        run: |call| {
            let default = CrossEntropyAttributes::default();
            let attributes = CrossEntropyAttributes {
                label_smoothing: call.settings.number("label_smoothing", default.label_smoothing)?,
                ignore_index: call.settings.number("ignore_index", default.ignore_index)?,
            };
            let target = call.file.integers("target")?;
            let (loss, grad_input) = block_on(host::cross_entropy(call.gpu, &call.input()?, &target, &attributes))?;
            Ok(vec![("loss", Array { shape: Vec::new(), data: vec![loss] }), ("grad_input", grad_input)])
        },
    },
    Operation {
        name: "adam",
        required: &["param", "grad"],
        optional: ADAM_STATE,
        attributes: ADAM,
        run: |call| adam(call, AdamKind::Adam, AdamAttributes::default()),
    },
    Operation {
        name: "adamw",
        required: &["param", "grad"],
        optional: ADAM_STATE,
        attributes: ADAM,
        run: |call| adam(call, AdamKind::AdamW, AdamAttributes::adamw()),
    },
    Operation {
        name: "sgd",
        required: &["param", "grad"],
        optional: &["momentum_buffer"],
        attributes: &["lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize"],
        run: sgd,
    },
];

fn one(output: Array) -> Result<Vec<Named>> {
    Ok(vec![("output", output)])
}

fn grad_input(found: Array) -> Result<Vec<Named>> {
    Ok(vec![("grad_input", found)])
}

fn gradients(found: Gradients) -> Result<Vec<Named>> {
    let Gradients { grad_input, grad_weight, grad_bias } = found;
    Ok(vec![("grad_input", grad_input), ("grad_weight", grad_weight), ("grad_bias", grad_bias)])
}

impl Call<'_> {
    fn on(&self) -> On<'_> {
        On { gpu: self.gpu, precision: self.precision }
    }

    fn input(&self) -> Result<Array> {
        self.file.array("input")
    }

    fn grad_output(&self) -> Result<Array> {
        self.file.array("grad_output")
    }

    fn batch_norm(&self) -> Result<BatchNormAttributes> {
        let default = BatchNormAttributes::default();
        Ok(BatchNormAttributes {
            eps: self.settings.number("eps", default.eps)?,
            momentum: self.settings.number("momentum", default.momentum)?,
            training: self.settings.flag("training", default.training)?,
        })
    }

    fn conv2d(&self) -> Result<Conv2dAttributes> {
        let default = Conv2dAttributes::default();
        Ok(Conv2dAttributes {
            stride: self.settings.pair("stride", default.stride)?,
            padding: self.settings.pair("padding", default.padding)?,
            dilation: self.settings.pair("dilation", default.dilation)?,
            groups: self.settings.number("groups", default.groups)?,
        })
    }

    fn pool(&self) -> Result<PoolAttributes> {
        let default = PoolAttributes::new(self.settings.required_pair("kernel_size")?);
        Ok(PoolAttributes {
            kernel_size: default.kernel_size,
            stride: self.settings.pair("stride", default.stride)?,
            padding: self.settings.pair("padding", default.padding)?,
            ceil_mode: self.settings.flag("ceil_mode", default.ceil_mode)?,
        })
    }
}

fn batch_norm(call: &Call) -> Result<Vec<Named>> {
    let attributes = call.batch_norm()?;
    let array = |key| call.file.array(key);
    let (weight, bias, mean, variance) =
        (array("weight")?, array("bias")?, array("running_mean")?, array("running_var")?);
    let found = block_on(host::batch_norm(call.on(), &call.input()?, [&weight, &bias, &mean, &variance], &attributes))?;
    let mut results = vec![("output", found.output)];
    if let Some([mean, variance]) = found.running {
        results.extend([("running_mean", mean), ("running_var", variance)]);
    }
    Ok(results)
}

fn adam(call: &Call, kind: AdamKind, default: AdamAttributes) -> Result<Vec<Named>> {
    let attributes = AdamAttributes {
        lr: call.settings.number("lr", default.lr)?,
        betas: call.settings.optional_pair("betas")?.unwrap_or(default.betas),
        eps: call.settings.number("eps", default.eps)?,
        weight_decay: call.settings.number("weight_decay", default.weight_decay)?,
        amsgrad: call.settings.flag("amsgrad", default.amsgrad)?,
        maximize: call.settings.flag("maximize", default.maximize)?,
    };
    let (param, grad) = (call.file.array("param")?, call.file.array("grad")?);
    let fresh = AdamState::new(&param);
    let (step, step_shape) = call.file.step("step")?.unwrap_or_default();
    let moments = [call.file.optional("exp_avg")?, call.file.optional("exp_avg_sq")?];
    let given = moments.iter().filter(|moment| moment.is_some()).count();
    if given == 1 || (given == 0 && step > 0) {
        return Err(Error::Usage(
            "an optimiser's state is exp_avg, exp_avg_sq and step together; give all of them, or none at the first step".into(),
        ));
    }
    let [exp_avg, exp_avg_sq] = moments;
    let state = AdamState {
        step,
        exp_avg: exp_avg.unwrap_or(fresh.exp_avg),
        exp_avg_sq: exp_avg_sq.unwrap_or(fresh.exp_avg_sq),
    };
    let (param, state) = block_on(host::adam(call.gpu, kind, &param, &grad, &state, &attributes))?;
    let step = Array { shape: step_shape, data: vec![state.step as f32] };
    Ok(vec![("param", param), ("exp_avg", state.exp_avg), ("exp_avg_sq", state.exp_avg_sq), ("step", step)])
}

fn sgd(call: &Call) -> Result<Vec<Named>> {
    let default = SgdAttributes::default();
    let attributes = SgdAttributes {
        lr: call.settings.number("lr", default.lr)?,
        momentum: call.settings.number("momentum", default.momentum)?,
        dampening: call.settings.number("dampening", default.dampening)?,
        weight_decay: call.settings.number("weight_decay", default.weight_decay)?,
        nesterov: call.settings.flag("nesterov", default.nesterov)?,
        maximize: call.settings.flag("maximize", default.maximize)?,
    };
    let buffer = call.file.optional("momentum_buffer")?;
    if buffer.is_some() && attributes.momentum == 0.0 {
        return Err(Error::Usage(
            "sgd without momentum has no momentum_buffer; set momentum, or leave the tensor out".into(),
        ));
    }
    let (param, grad) = (call.file.array("param")?, call.file.array("grad")?);
    let (param, buffer) = block_on(host::sgd(call.gpu, &param, &grad, buffer.as_ref(), &attributes))?;
    Ok([("param", param)].into_iter().chain(buffer.map(|buffer| ("momentum_buffer", buffer))).collect())
}
