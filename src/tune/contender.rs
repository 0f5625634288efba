//! An algorithm that is checked and timed.

use std::sync::Arc;

use super::result::Candidate;
use crate::bench::Shape;
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu, Plan, Recording, block_on};
use crate::ops::{
    Conv2dAlgorithm, Conv2dPass, ConvOperands, ConvPlan, Epilogue, FeatureMap, GradEpilogue, MapShape, Precision,
    pack_nhwc,
};
use crate::reference::compare;
use crate::weights::hash_input;

/// The NMSE by which a candidate may differ from the default, and the largest difference over the largest value. In f32 two correct
/// results differ by an NMSE of at most 1e-12 (sums of 4,608 products in another order, or at Winograd's points); in f16 by 5e-8,
/// since each rounds its results and Winograd does not round the weights. One wrong value in a million makes 1e-6.
fn most_differences(precision: Precision) -> [f64; 2] {
    match precision {
        Precision::F32 => [1e-10, 1e-4],
        Precision::F16 => [4e-7, 4e-3],
    }
}

/// The inputs of all candidates.
pub(super) struct Data {
    pub precision: Precision,
    input: Arc<Buffer>,
    grad_output: Arc<Buffer>,
    /// OIHW.
    weight: Vec<f32>,
    krsc: Arc<Buffer>,
    bias: Arc<Buffer>,
}

impl Data {
    pub fn new(gpu: &Gpu, shape: &Shape, pass: Conv2dPass, precision: Precision) -> Result<Self> {
        let (op, groups) = (&shape.op, shape.op.attributes.groups);
        let map = |name: &str, shape: [usize; 4], wanted: bool| -> Result<Arc<Buffer>> {
            let values = if wanted { hash_input(name, shape.iter().product()) } else { Vec::new() };
            let packed = if wanted { pack_nhwc(&values, shape, groups) } else { Vec::new() };
            Ok(Arc::new(gpu.upload(name, &precision.words(&packed))?))
        };
        let weight = hash_input("weight", op.weight_shape().iter().product());
        Ok(Self {
            precision,
            input: map("input", shape.input, pass != Conv2dPass::ByInput)?,
            grad_output: map("grad_output", op.output_shape(shape.input)?, pass != Conv2dPass::Forward)?,
            krsc: Arc::new(gpu.upload("weight", &op.pack_krsc(&weight))?),
            bias: Arc::new(gpu.upload("bias", &op.pack_bias(Some(&hash_input("bias", op.out_channels))))?),
            weight,
        })
    }
}

/// An algorithm that is being measured.
pub(super) struct Contender {
    pub algorithm: Conv2dAlgorithm,
    plan: Plan,
    output: FeatureMap,
    /// Best time so far.
    pub seconds: f64,
    nmse: Option<f64>,
    pub rejected: Option<String>,
}

impl Contender {
    pub fn new(
        gpu: &Arc<Gpu>,
        shape: &Shape,
        pass: Conv2dPass,
        algorithm: Conv2dAlgorithm,
        data: &Data,
    ) -> Result<Self> {
        const LABEL: &str = "tune";
        let op = &shape.op;
        let mut r = Recording::new();
        let r = &mut r;
        let precision = data.precision;
        let map = |shape| Ok::<_, Error>(MapShape::grouped(shape, op.attributes.groups)?.stored(precision));
        let input = map(shape.input)?.at(r.external("input", data.input.clone()));
        let grad_output = map(op.output_shape(shape.input)?)?.at(r.external("grad_output", data.grad_output.clone()));
        let plan = ConvPlan::new(op, pass, algorithm, input.shape)?;
        let operands = match pass {
            Conv2dPass::Forward => {
                let packed = Arc::new(gpu.upload("weight", &plan.weight()?.pack_words(&data.weight))?);
                let (weight, bias) = (r.external("weight", packed), r.external("bias", data.bias.clone()));
                ConvOperands::Forward { input, weight, epilogue: Epilogue { bias: Some(bias), ..Default::default() } }
            }
            // Training packs the weight anew in each step, so packing counts here.
            Conv2dPass::ByInput => {
                let krsc = r.external("weight", data.krsc.clone());
                let weight = plan.weight()?.record_pack(r, LABEL, krsc)?;
                ConvOperands::InputGradient { grad_output, weight, epilogue: GradEpilogue::default() }
            }
            Conv2dPass::ByWeight => ConvOperands::WeightGradient { input, grad_output },
        };
        let output = plan.record(r, LABEL, operands)?;
        r.keep(output.tensor);
        let plan = Plan::new(gpu, r)?;
        Ok(Self { algorithm, plan, output, seconds: f64::INFINITY, nmse: None, rejected: None })
    }

    /// How many runs take about `seconds`.
    pub fn runs_in(&mut self, gpu: &Gpu, seconds: f64) -> Result<usize> {
        block_on(self.plan.run())?;
        Ok((seconds / gpu.last_run_seconds().max(1e-6)).ceil().clamp(1.0, 100.0) as usize)
    }

    /// The result of a run over an output that held NaN.
    pub fn run_once(&mut self) -> Result<Vec<f32>> {
        let MapShape { precision, pitch4, c4, .. } = self.output.shape;
        let len = self.output.len4() * 4;
        self.plan.write(self.output.tensor, &precision.words(&vec![f32::NAN; len]))?;
        block_on(self.plan.run())?;
        let words = block_on(self.plan.read(self.output.tensor, precision.word_count(len)))?;
        let values = precision.values(&words, len);
        Ok(values.chunks((pitch4 * 4).max(1)).flat_map(|pixel| &pixel[..c4 * 4]).copied().collect())
    }

    /// Rejects the algorithm if its result is not `expected`.
    pub fn check(&mut self, expected: &[f64]) -> Result<()> {
        let found = compare(&self.run_once()?, expected);
        self.nmse = Some(found.nmse);
        let [most_nmse, most_scaled] = most_differences(self.output.precision);
        // Written so that a NaN is a difference.
        let same = found.nmse <= most_nmse && found.max_scaled() <= most_scaled && found.non_finite_mismatches == 0;
        if !same {
            let (at, value, right) = (found.worst_index, found.worst_found, found.worst_expected);
            self.rejected = Some(format!("value {at} is {value:e} and the default's {right:e}"));
        }
        Ok(())
    }

    /// Runs `repeats` times and keeps the mean if it is the best one so far.
    pub fn time(&mut self, gpu: &Gpu, repeats: usize) -> Result<()> {
        block_on(self.plan.run_repeated(repeats))?;
        self.seconds = self.seconds.min(gpu.last_run_seconds() / repeats as f64);
        Ok(())
    }

    pub fn candidate(self, shape: &Shape) -> Candidate {
        let timed = Some(self.seconds).filter(|seconds| seconds.is_finite());
        Candidate {
            algorithm: self.algorithm.name(),
            ms: timed.map(|seconds| seconds * 1e3),
            gflops: timed.map(|seconds| shape.flops() / seconds * 1e-9),
            nmse: self.nmse,
            rejected: self.rejected,
        }
    }
}
