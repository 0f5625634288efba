//! Runs one case on an adapter and judges it: against the f64 twin, three times bit for bit, with outputs filled with NaN and guarded
//! (by `ops::host`), and gradients also against finite differences of the forward twin.

use std::sync::Arc;

use super::case::{Body, Case, Kernel};
use super::judgement::{Check, Judgement};
use super::report::{CaseResult, Status};
use super::twin::Twin;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::ops::Precision;
use crate::ops::host::Array;
use crate::reference::Tensor;

/// How often a case runs; each run must give the same bits.
const REPEATS: usize = 3;

/// The result of a case, and the check that failed, if any.
pub struct Checked {
    pub result: CaseResult,
    pub failed: Option<Check>,
}

/// Judges cases; keeps the twin's values of the last one, since variants of a case follow each other.
#[derive(Default)]
pub struct Checker {
    last: Option<Prepared>,
}

/// The inputs and expected outputs of a case.
struct Prepared {
    data_line: String,
    inputs: Vec<Array>,
    twin: Option<Twin>,
}

/// A result with nothing measured yet.
pub fn unmeasured(case: &Case, status: Status, message: impl Into<String>) -> CaseResult {
    let variant = case.variant().map_or("-", |variant| variant.name());
    CaseResult {
        id: case.to_string(),
        op: case.operation.name.into(),
        direction: case.direction(),
        variant: variant.into(),
        precision: case.precision().name().into(),
        status,
        nmse: None,
        max_abs: None,
        max_rel: None,
        worst_index: None,
        tolerance: None,
        share: None,
        flops: (case.operation.flops)(case),
        bytes: 0.0,
        seconds: None,
        message: message.into(),
        expectation: None,
    }
}

impl Checker {
    /// Runs and judges `case` on `gpu`.
    pub async fn check(&mut self, gpu: &Arc<Gpu>, case: &Case) -> Checked {
        let mut result = unmeasured(case, Status::Pass, "");
        if let Some(why) = unsupported(gpu, case) {
            (result.status, result.message) = (Status::Unsupported, why);
            return Checked { result, failed: None };
        }
        let failed = match &case.operation.body {
            Body::Kernel(kernel) => self.kernel(gpu, case, kernel, &mut result).await,
            Body::Whole(run) => run(gpu, case, &mut result).await,
        };
        let failed = failed.and_then(|failed| gpu.check().map(|()| failed));
        match failed {
            Ok(None) => Checked { result, failed: None },
            Ok(Some((check, message))) => {
                (result.status, result.message) = (Status::Fail, message);
                Checked { result, failed: Some(check) }
            }
            Err(error) => {
                let (status, check) = classify(&error);
                (result.status, result.message) = (status, error.to_string());
                Checked { result, failed: Some(check) }
            }
        }
    }

    async fn kernel(
        &mut self,
        gpu: &Arc<Gpu>,
        case: &Case,
        kernel: &Kernel,
        result: &mut CaseResult,
    ) -> Result<Judgement> {
        let data_line = case.data_line();
        if self.last.as_ref().is_none_or(|last| last.data_line != data_line) {
            self.last = None;
            self.last = Some(Prepared { data_line, inputs: stored(case, (kernel.inputs)(case)?), twin: None });
        }
        let Some(prepared) = &mut self.last else { unreachable!("just prepared") };
        if let Some(why) = too_large(gpu, &prepared.inputs) {
            (result.status, result.message) = (Status::Unsupported, why);
            return Ok(None);
        }
        let found = (kernel.run)(gpu, case, &prepared.inputs).await?;
        let values = |arrays: &[Array]| arrays.iter().map(|array| array.data.len()).sum::<usize>() as f64;
        result.bytes = 4.0 * (values(&prepared.inputs) + values(&found));
        let mut fastest = gpu.last_run_seconds();
        for _ in 1..REPEATS {
            let again = (kernel.run)(gpu, case, &prepared.inputs).await?;
            fastest = fastest.min(gpu.last_run_seconds());
            if let Some((output, index)) = first_difference(&found, &again) {
                let (a, b) = (found[output].data[index], again[output].data[index]);
                let message = format!("two runs differ: value {index} of output {output} is {a:?}, then {b:?}");
                return Ok(Some((Check::Repeat, message)));
            }
        }
        result.seconds = Some(fastest);
        // The twin runs after the kernel, which refuses impossible cases.
        let inputs = || prepared.inputs.iter().map(|a| Tensor::from_f32(&a.shape, &a.data)).collect::<Vec<_>>();
        let twin = prepared.twin.get_or_insert_with(|| Twin::new(case, kernel, &inputs()));
        Ok(twin.judge(case, &found, kernel.slope.as_ref(), result))
    }
}

/// Why the adapter can't run the case, if it can't.
pub(super) fn unsupported(gpu: &Gpu, case: &Case) -> Option<String> {
    let variant = case.variant().and_then(|variant| variant.supported_in(gpu.report(), case.precision()).err());
    variant.or_else(|| case.precision().supported(gpu.report()).err())
}

/// The inputs rounded to the case's precision, so that only the arithmetic is judged.
fn stored(case: &Case, inputs: Vec<Array>) -> Vec<Array> {
    let precision = case.precision();
    if precision == Precision::F32 {
        return inputs;
    }
    let round = |array: Array| {
        let words = precision.words(&array.data);
        Array { data: precision.values(&words, array.data.len()), shape: array.shape }
    };
    inputs.into_iter().map(round).collect()
}

/// Why the tensors don't fit on the adapter, if they don't. Feature maps have their channels padded to four.
pub(super) fn too_large(gpu: &Gpu, inputs: &[Array]) -> Option<String> {
    let report = gpu.report();
    let most = report.max_binding_bytes.min(report.max_buffer_bytes);
    let bytes = |array: &Array| match array.shape[..] {
        [n, c, h, w] => 4 * (n * c.next_multiple_of(4) * h * w) as u64,
        _ => 4 * array.data.len() as u64,
    };
    let largest = inputs.iter().map(bytes).max().unwrap_or(0) + (1 << 12);
    (largest > most).then(|| format!("a tensor takes {largest} bytes and the adapter binds at most {most}"))
}

/// The status that an error of a run means, and the check that it is.
fn classify(error: &Error) -> (Status, Check) {
    match error {
        Error::OutOfMemory(_) => (Status::Oom, Check::Refused),
        Error::DeviceLost(_) => (Status::DeviceLost, Check::Refused),
        Error::Mismatch(message) if message.contains("past the end") => (Status::Fail, Check::Guard),
        Error::Mismatch(message) if message.contains("unwritten") => (Status::Fail, Check::Unwritten),
        _ => (Status::Fail, Check::Refused),
    }
}

/// Output and index of the first value with other bits; NaNs count as equal.
fn first_difference(a: &[Array], b: &[Array]) -> Option<(usize, usize)> {
    let same = |x: &f32, y: &f32| x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan());
    a.iter().zip(b).enumerate().find_map(|(output, (a, b))| {
        let index = a.data.iter().zip(&b.data).position(|(x, y)| !same(x, y))?;
        Some((output, index))
    })
}

#[cfg(test)]
mod tests {
    use pollster::FutureExt as _;

    use super::*;
    use crate::gpu::AdapterChoice;
    use crate::reference::relu;
    use crate::verify::case::{Expected, Operation, Slope, Suite};
    use crate::verify::cases::{cases, operation};

    /// The operation `name` with its kernel changed by `change`.
    fn changed(name: &str, change: impl Fn(&mut Kernel)) -> &'static Operation {
        let original = operation(name).unwrap();
        let Body::Kernel(Kernel { inputs, run, twin, slope }) = &original.body else { panic!("{name} has no twin") };
        let slope = slope.as_ref().map(|s| Slope { objective: s.objective, gradients: s.gradients });
        let mut kernel = Kernel { inputs: *inputs, run: *run, twin: *twin, slope };
        change(&mut kernel);
        let Operation { name, direction, keys, fill, list, flops, .. } = *original;
        Box::leak(Box::new(Operation { name, direction, keys, fill, list, flops, body: Body::Kernel(kernel) }))
    }

    fn check(line: &str, change: impl Fn(&mut Kernel)) -> Option<Check> {
        let gpu = Gpu::open(&AdapterChoice::default()).block_on().expect("an adapter; scripts/setup.sh installs one");
        let mut case = Case::parse(line).unwrap();
        case.operation = changed(case.operation.name, change);
        Checker::default().check(&gpu, &case).block_on().failed
    }

    /// The result of a twin that is slightly wrong.
    fn nudged(mut expected: Vec<Expected>) -> Vec<Expected> {
        let value = expected[0].tensor.data.iter_mut().find(|value| value.abs() > 0.5).unwrap();
        *value *= 1.0001;
        expected
    }

    fn twin_of(case: &Case, inputs: &[Tensor]) -> Vec<Expected> {
        let Body::Kernel(kernel) = &operation(case.operation.name).unwrap().body else { unreachable!() };
        (kernel.twin)(case, inputs)
    }

    #[test]
    fn a_wrong_twin_is_caught() {
        for line in [
            "conv2d n=1 c=3 h=5 w=7 k=5 kernel=3 padding=1 variant=register",
            "conv2d_backward n=1 c=3 h=5 w=7 k=5 kernel=3 padding=1 variant=register",
            "batch_norm n=2 c=5 h=3 w=3 training=true",
            "linear n=3 c=5 k=7",
        ] {
            assert_eq!(check(line, |_| {}), None, "{line}");
            let found = check(line, |kernel| kernel.twin = |case, inputs| nudged(twin_of(case, inputs)));
            assert_eq!(found, Some(Check::Tolerance), "{line}");
        }
    }

    /// A gradient that is wrong in both the twin and the kernel: only finite differences notice.
    #[test]
    fn a_wrong_gradient_in_twin_and_kernel_is_caught() {
        for line in [
            "conv2d_backward n=1 c=3 h=5 w=7 k=5 kernel=3 padding=1 variant=register",
            "batch_norm_backward n=2 c=5 h=3 w=3 training=true",
            "max_pool2d_backward n=1 c=3 h=9 w=9 kernel=3 stride=2 padding=1",
            "linear_backward n=3 c=5 k=7",
            "relu_backward count=33",
        ] {
            fn wrong(case: &Case, inputs: &[Tensor]) -> Vec<Expected> {
                let mut expected = twin_of(case, inputs);
                let value = expected[0].tensor.data.iter_mut().find(|value| value.abs() > 0.5).unwrap();
                *value *= 2.0;
                expected
            }
            let found = check(line, |kernel| {
                kernel.twin = wrong;
                kernel.run = |_, case, inputs| {
                    let inputs: Vec<Tensor> = inputs.iter().map(|a| Tensor::from_f32(&a.shape, &a.data)).collect();
                    let expected = wrong(case, &inputs).into_iter();
                    let found = expected.map(|e| Array { data: e.tensor.to_f32(), shape: e.tensor.shape }).collect();
                    Box::pin(std::future::ready(Ok(found)))
                };
            });
            assert_eq!(found, Some(Check::Slope), "{line}");
        }
    }

    #[test]
    fn other_bits_the_second_time_are_caught() {
        let found = check("relu count=33", |kernel| {
            kernel.run = |_, _, inputs| {
                static RUNS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
                let mut output = relu(&Tensor::from_f32(&inputs[0].shape, &inputs[0].data)).to_f32();
                if RUNS.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 1 {
                    output[7] = f32::from_bits(output[7].to_bits() + 1);
                }
                Box::pin(std::future::ready(Ok(vec![Array { shape: inputs[0].shape.clone(), data: output }])))
            };
        });
        assert_eq!(found, Some(Check::Repeat));
    }

    #[test]
    fn every_operation_has_cases_of_its_own_that_say_what_they_cost() {
        let all = cases(Suite::Full).unwrap();
        for case in &all {
            let flops = (case.operation.flops)(case);
            assert!(flops.is_finite() && flops >= 0.0, "{case}");
        }
    }
}
