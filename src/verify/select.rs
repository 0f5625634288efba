//! Selects the cases of a suite and the negative controls that run.

use std::collections::HashMap;

use regex_lite::Regex;

use super::case::{Case, Suite};
use super::cases::cases;
use super::controls::{Control, controls};
use super::key::{PARTS, WINOGRAD};
use crate::error::{Error, Result};
use crate::gpu::shaders::{self, flags};
use crate::ops::{Conv2dVariant, ConvTarget, Precision};

/// Operations of the largest case that represents a kernel which the adapter does not use by default.
const SAMPLE_FLOPS: f64 = 1e6;

/// A filter as a regular expression.
pub fn filter_regex(filter: Option<&str>) -> Result<Option<Regex>> {
    let compile = |text| {
        Regex::new(text).map_err(|e| Error::Usage(format!("--filter {text:?} is not a regular expression: {e}")))
    };
    filter.map(compile).transpose()
}

/// The selection of cases.
#[derive(Debug, Clone)]
pub struct Selection {
    pub suite: Suite,
    /// The line of one case, in the list or not, or a regular expression over lines.
    pub filter: Option<String>,
    /// Only this kernel variant where there are several.
    pub variant: Option<String>,
}

impl Selection {
    /// The cases, in order.
    ///
    /// # Errors
    /// [`Error::Usage`] for a filter that is neither a case nor a regular expression, and if nothing is left.
    pub fn cases(&self) -> Result<Vec<Case>> {
        if let Some(case) = self.single() {
            return Ok(vec![case]);
        }
        let filter = filter_regex(self.filter.as_deref())?;
        let wanted = |case: &Case| {
            let named = case.variant().map(|variant| variant.name());
            let right = self.variant.as_deref().is_none_or(|wanted| named.is_none_or(|name| name == wanted));
            right && filter.as_ref().is_none_or(|filter| filter.is_match(&case.to_string()))
        };
        let chosen: Vec<Case> = cases(self.suite)?.into_iter().filter(wanted).collect();
        if chosen.is_empty() {
            return Err(Error::Usage("no case is left; `verify --list` shows them all".into()));
        }
        Ok(chosen)
    }

    /// The one case whose line is the filter. As a regular expression, a line would also match longer lines.
    fn single(&self) -> Option<Case> {
        self.filter.as_deref().and_then(|line| Case::parse(line.trim()).ok())
    }

    /// Whether this is the quick suite without filters: then an adapter leaves out what it does not use.
    fn is_plain_quick(&self) -> bool {
        self.suite == Suite::Quick && self.filter.is_none() && self.variant.is_none()
    }

    /// Whether every kernel that an adapter can run is among the cases.
    pub fn is_every_kernel(&self) -> bool {
        self.suite != Suite::Quick && self.filter.is_none() && self.variant.is_none()
    }

    /// The cases of `cases` that run on the target, in order. The quick suite has only one case for each kernel that neither inference nor
    /// training uses there by default: tuning may choose it, but most of the suite's time would go into compiling it.
    pub fn cases_on<'a>(&self, target: impl Into<ConvTarget<'a>>, cases: &[Case]) -> Vec<Case> {
        if !self.is_plain_quick() {
            return cases.to_vec();
        }
        let usual = Conv2dVariant::usual(target);
        let samples = samples(cases);
        let runs = |(index, case): &(usize, &Case)| match kernel_of(case) {
            Some(kernel) => usual.contains(&kernel) || samples.contains(index),
            None => true,
        };
        cases.iter().enumerate().filter(runs).map(|(_, case)| case.clone()).collect()
    }

    /// The negative controls for the operations of `cases` and the chosen variant. The quick suite puts a fault that several kernels share
    /// into the first of them that the adapter can run, since the checks that catch it are the same, and faults of one convolution kernel
    /// only into kernels that the adapter uses by default.
    pub fn controls_on<'a>(&self, target: impl Into<ConvTarget<'a>>, cases: &[Case]) -> Vec<&'static Control> {
        let target = target.into();
        let (adapter, usual) = (target.adapter, Conv2dVariant::usual(target));
        let mut shared: Vec<(&str, &str)> = Vec::new();
        let mut fits = |control: &&Control| {
            let Ok(case) = Case::parse(&control.case) else { return true };
            let named = case.variant().map(|variant| variant.name());
            let right = self.variant.as_deref().is_none_or(|wanted| named.is_none_or(|name| name == wanted));
            if !right || !cases.iter().any(|chosen| chosen.operation.name == case.operation.name) {
                return false;
            }
            if !self.is_plain_quick() {
                return true;
            }
            // Compilers take longest over Winograd's larger tile (controls of it took up to 23 s, lavapipe 25.0.7); the smaller one's transforms are broken
            // in the same places and go through the same cases.
            if shaders::find(control.shader).is_some_and(|shader| shader.flags.contains(flags::F4)) {
                return false;
            }
            let Some(variant) = case.variant() else { return true };
            let able = variant.supported_in(adapter, case.precision()).is_ok();
            let fault = (control.breaks, case.operation.name);
            match (control.shared, control.of_one_kernel()) {
                (true, _) if able && !shared.contains(&fault) => {
                    shared.push(fault);
                    true
                }
                (true, _) => false,
                (false, true) => usual.contains(&variant) || control.may_hide(),
                (false, false) => true,
            }
        };
        controls().iter().filter(|control| fits(control)).collect()
    }
}

/// The convolution kernel that a case runs, or packs weights for.
fn kernel_of(case: &Case) -> Option<Conv2dVariant> {
    case.variant().or_else(|| Conv2dVariant::named(case.word("layout")))
}

/// For each kernel and operation, the position of the case that represents it: a small one that covers shapes and attributes best. One kernel
/// represents split reductions for all.
fn samples(cases: &[Case]) -> Vec<usize> {
    let mut best: HashMap<(&str, &str, Precision), (usize, usize)> = HashMap::new();
    for (index, case) in cases.iter().enumerate() {
        let (precision, small) = (case.precision(), (case.operation.flops)(case) < SAMPLE_FLOPS);
        let direct = matches!(case.word(WINOGRAD), "" | "no") && case.is_plain();
        // An adapter may have matrices of either precision.
        let fits = |kernel: &Conv2dVariant| direct && small && (precision == Precision::F32 || kernel.is_cooperative());
        let Some(kernel) = kernel_of(case).filter(fits) else { continue };
        let said = case.to_string().split(' ').count();
        let kernel = if case.parts() == 1 { kernel.name() } else { PARTS.name };
        let sample = best.entry((case.operation.name, kernel, precision)).or_insert((said, index));
        if said > sample.0 {
            *sample = (said, index);
        }
    }
    best.into_values().map(|(_, index)| index).collect()
}
