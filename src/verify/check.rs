//! Runs one case on an adapter and judges it: against the f64 twin, three times bit for bit, with outputs filled with NaN and guarded
//! (by `ops::host`), and gradients also against finite differences of the forward twin.

use std::sync::Arc;

use super::case::Case;
use super::cases::{Allowed, Body, Expected, Kernel, Slope};
use super::report::{CaseResult, Status};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::ops::Precision;
use crate::ops::host::Array;
use crate::reference::{Comparison, Tensor, compare_f64};
use crate::weights::hash_tensor;

/// How often a case runs; each run must give the same bits.
const REPEATS: usize = 3;
/// Square of the rounding error of f32, 2^-24.
const ROUNDING2: f64 = 1.0 / (1u64 << 48) as f64;
/// Square of the largest relative error of one rounding to f16, 2^-11, and twice that for drivers that round towards zero,
/// whose errors are on average a third of the square of 2^-10.
const HALF_ROUNDING2: f64 = 2.0 / (1u64 << 22) as f64;
/// The smallest normal f16, 2^-14: drivers may flush smaller values to zero.
const HALF_MIN_POSITIVE: f64 = 1.0 / 16_384.0;
/// The largest f16.
const HALF_MAX: f64 = 65_504.0;
/// Largest error of a slope, relative to the gradient's norm.
const SLOPE_LIMIT: f64 = 5e-4;
/// Larger cases are not compared with finite differences: the twin would take too long.
const SLOPE_FLOPS: f64 = 3e8;
const SLOPE_VALUES: usize = 1 << 20;

/// Which check failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// A value differs from the twin's by more than its tolerance.
    Tolerance,
    /// An output has the wrong shape, or the number of outputs is wrong.
    Shape,
    /// The kernel wrote past the end of a tensor.
    Guard,
    /// The kernel left a value unwritten.
    Unwritten,
    /// Two runs gave different bits.
    Repeat,
    /// A gradient is not the derivative of the forward twin.
    Slope,
    /// The driver or the operation returned an error.
    Refused,
}

impl Check {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tolerance => "tolerance",
            Self::Shape => "shape",
            Self::Guard => "guard",
            Self::Unwritten => "unwritten",
            Self::Repeat => "repeat",
            Self::Slope => "slope",
            Self::Refused => "refused",
        }
    }
}

/// The check that failed and what it found; `None` if all passed.
pub type Judgement = Option<(Check, String)>;

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

struct Twin {
    expected: Vec<Expected>,
    slope: Option<Direction>,
}

/// The objective's slope along one direction of all of its inputs at once.
struct Direction {
    /// The slope by finite differences.
    slope: f64,
    /// How far each input moves, one entry per gradient.
    steps: Vec<f64>,
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
    pub fn check(&mut self, gpu: &Arc<Gpu>, case: &Case) -> Checked {
        let mut result = unmeasured(case, Status::Pass, "");
        if let Some(why) = unsupported(gpu, case) {
            (result.status, result.message) = (Status::Unsupported, why);
            return Checked { result, failed: None };
        }
        let failed = match &case.operation.body {
            Body::Kernel(kernel) => self.kernel(gpu, case, kernel, &mut result),
            Body::Whole(run) => run(gpu, case, &mut result),
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

    fn kernel(&mut self, gpu: &Arc<Gpu>, case: &Case, kernel: &Kernel, result: &mut CaseResult) -> Result<Judgement> {
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
        let found = (kernel.run)(gpu, case, &prepared.inputs)?;
        let values = |arrays: &[Array]| arrays.iter().map(|array| array.data.len()).sum::<usize>() as f64;
        result.bytes = 4.0 * (values(&prepared.inputs) + values(&found));
        let mut fastest = gpu.last_run_seconds();
        for _ in 1..REPEATS {
            let again = (kernel.run)(gpu, case, &prepared.inputs)?;
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
        Ok(judge(case, &found, twin, kernel.slope.as_ref(), result))
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

impl Twin {
    fn new(case: &Case, kernel: &Kernel, inputs: &[Tensor]) -> Self {
        let expected = (kernel.twin)(case, inputs);
        let values: usize = inputs.iter().map(|input| input.data.len()).sum();
        let small = (case.operation.flops)(case) < SLOPE_FLOPS && values < SLOPE_VALUES;
        // Gradients that are rounded to f16 are not exact slopes; f32 gradients by the same formulas are.
        let exact = case.precision() == Precision::F32;
        let slope = kernel.slope.as_ref().filter(|_| small && exact && case.is_plain());
        let slope = slope.map(|slope| Direction::new(case, slope, inputs, &expected));
        // The mean loss of no rows has no slope.
        let slope = slope.filter(|direction| direction.slope.is_finite());
        Self { expected, slope }
    }
}

impl Direction {
    /// Every value of an input moves up or down by the same amount, so that an error in any value of its gradient shows. Inputs with
    /// small gradients move further, so that all have equal weight.
    fn new(case: &Case, slope: &Slope, inputs: &[Tensor], expected: &[Expected]) -> Self {
        // Far below the distance of most values from the kinks of a maximum; rounding costs 1e-5 of the slope.
        const FURTHEST: f64 = 1e-7;
        let norm = |output: usize| expected[output].tensor.data.iter().map(|v| v * v).sum::<f64>().sqrt();
        let steps: Vec<f64> = slope.gradients.iter().map(|&(output, _)| 1.0 / norm(output).max(1e-30)).collect();
        let step = FURTHEST / steps.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let moved = |by: f64| {
            let mut inputs = inputs.to_vec();
            for (&(output, input), amount) in slope.gradients.iter().zip(&steps) {
                let signs = signs(case, output, inputs[input].data.len());
                let values = inputs[input].data.iter_mut().zip(signs);
                values.for_each(|(value, sign)| *value += by * amount * f64::from(sign));
            }
            (slope.objective)(case, &inputs)
        };
        Self { slope: (moved(step) - moved(-step)) / (2.0 * step), steps }
    }

    /// The difference between the slope from the gradients `found` and the finite differences, in norms of a gradient.
    fn error(&self, case: &Case, slope: &Slope, found: &[Array]) -> f64 {
        let mut claimed = 0.0;
        for (&(output, _), amount) in slope.gradients.iter().zip(&self.steps) {
            let signs = signs(case, output, found[output].data.len());
            let values = found[output].data.iter().zip(signs);
            claimed += amount * values.map(|(&value, sign)| f64::from(value) * f64::from(sign)).sum::<f64>();
        }
        (claimed - self.slope).abs()
    }
}

/// A sign for each value of a gradient.
fn signs(case: &Case, output: usize, count: usize) -> Vec<f32> {
    hash_tensor(&format!("{} sign {output}", case.data_line()), count, |u| if u < 0.5 { -1.0 } else { 1.0 })
}

/// The NMSE that a tolerance allows for an output of `count` values. A sum of n products of random signs that are added one by one has an
/// NMSE of about n / 6 times the square of the rounding error. Four times n leaves room for unlucky orders and for drivers that round
/// towards zero. A few values may all be small by chance while their errors are not.
pub fn limit(allowed: Allowed, count: usize) -> f64 {
    match allowed {
        Allowed::Exact => 0.0,
        Allowed::Roundings(terms) => 4.0 * ROUNDING2 * (1.0 + terms) * (1.0 + 16.0 / count.max(1) as f64),
        Allowed::Stored(terms) | Allowed::Gradient(terms) => limit(Allowed::Roundings(terms), count) + HALF_ROUNDING2,
    }
}

/// Compares one output. Drivers may flush numbers below the smallest normal one to zero, so errors of that size do not count.
fn compare_output(found: &Array, expected: &Expected) -> Comparison {
    let floor = match expected.allowed {
        Allowed::Exact => 4.0 * f64::from(f32::MIN_POSITIVE),
        Allowed::Roundings(terms) => 4.0 * (terms + 1.0) * f64::from(f32::MIN_POSITIVE),
        Allowed::Stored(_) | Allowed::Gradient(_) => HALF_MIN_POSITIVE,
    };
    let most = if let Allowed::Gradient(_) = expected.allowed { HALF_MAX } else { f64::from(f32::MAX) };
    let expected: Vec<f64> = expected.tensor.data.iter().map(|&value| overflowed(value, most)).collect();
    let found: Vec<f64> = found.data.iter().map(|&value| f64::from(value)).collect();
    let near = |f: f64, e: f64| (f - e).abs() <= floor;
    let forgiven = found.iter().zip(&expected).map(|(&f, &e)| if near(f, e) { e } else { f });
    compare_f64(&forgiven.collect::<Vec<f64>>(), &expected)
}

/// Values larger than `most`, as f32, are expected to be infinite.
fn overflowed(value: f64, most: f64) -> f64 {
    let rounded = f64::from(value as f32);
    if rounded.is_nan() || rounded.abs() <= most { value } else { f64::INFINITY.copysign(value) }
}

/// Compares outputs with the twin's and records the measures of the worst.
fn judge(case: &Case, found: &[Array], twin: &Twin, slope: Option<&Slope>, result: &mut CaseResult) -> Judgement {
    if found.len() != twin.expected.len() {
        let problem = format!("{} outputs; {} are expected", found.len(), twin.expected.len());
        return Some((Check::Shape, problem));
    }
    let mut failed = None;
    for (found, expected) in found.iter().zip(&twin.expected) {
        let (name, shape) = (expected.name, &expected.tensor.shape);
        if &found.shape != shape {
            return Some((Check::Shape, format!("{name} has the shape {:?}; {shape:?} is expected", found.shape)));
        }
        let measured = compare_output(found, expected);
        let limit = limit(expected.allowed, measured.count);
        let share = if measured.nmse == 0.0 { 0.0 } else { measured.nmse / limit };
        if result.share.is_none_or(|worst| share > worst) {
            let at = format!("{name}{:?}", place(measured.worst_index, shape));
            if share > 1.0 {
                let (found, expected) = (measured.worst_found, measured.worst_expected);
                let message = format!(
                    "{at} is {found:e}, {expected:e} is expected; NMSE {:.1e}, {limit:.1e} is allowed",
                    measured.nmse
                );
                failed = Some((Check::Tolerance, message));
            }
            (result.nmse, result.max_abs, result.max_rel) =
                (Some(measured.nmse), Some(measured.max_abs), Some(measured.max_rel));
            (result.worst_index, result.tolerance, result.share) = (Some(at), Some(limit), Some(share));
        }
    }
    if failed.is_none()
        && let (Some(direction), Some(slope)) = (&twin.slope, slope)
    {
        let error = direction.error(case, slope, found);
        if error.is_nan() || error > SLOPE_LIMIT {
            let message = format!("the slope of the forward twin differs by {error:.1e} of the gradient");
            failed = Some((Check::Slope, message));
        }
    }
    failed
}

/// The index of flat position `at` in a tensor of `shape`.
fn place(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = Vec::with_capacity(shape.len());
    for &extent in shape.iter().rev() {
        index.push(at % extent.max(1));
        at /= extent.max(1);
    }
    index.reverse();
    index
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::AdapterChoice;
    use crate::reference::relu;
    use crate::verify::cases::cases;
    use crate::verify::cases::{Operation, Suite, operation};

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
        let gpu = Gpu::open(&AdapterChoice::default()).expect("an adapter; scripts/setup.sh installs one");
        let mut case = Case::parse(line).unwrap();
        case.operation = changed(case.operation.name, change);
        Checker::default().check(&gpu, &case).failed
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
                    Ok(expected.map(|e| Array { data: e.tensor.to_f32(), shape: e.tensor.shape }).collect())
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
                Ok(vec![Array { shape: inputs[0].shape.clone(), data: output }])
            };
        });
        assert_eq!(found, Some(Check::Repeat));
    }

    #[test]
    fn flushed_denormals_are_forgiven_and_nothing_else() {
        let expected = |value| Expected::exact("output", Tensor::new(&[2], vec![1.0, value]));
        let nmse = |found: f32, value| {
            compare_output(&Array { shape: vec![2], data: vec![1.0, found] }, &expected(value)).nmse
        };
        assert_eq!(nmse(0.0, 1e-40), 0.0);
        assert_eq!(nmse(f32::INFINITY, 1e300), 0.0);
        assert!(nmse(0.0, 1e-30) > 0.0);
        assert_eq!(nmse(f32::NAN, 0.0), f64::INFINITY);
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
