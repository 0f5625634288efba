//! Which cases of a suite run, and which negative controls.

use std::collections::HashMap;

use regex_lite::Regex;

use super::case::{Case, PARTS, WINOGRAD};
use super::cases::{Suite, cases};
use super::controls::{Control, controls};
use crate::error::{Error, Result};

use crate::ops::{Conv2dVariant, ConvTarget, Precision};

/// Arithmetic of the largest case that stands for a kernel which the adapter does not use by itself.
const SAMPLE_FLOPS: f64 = 1e6;

/// The regular expression that a filter is.
pub fn filter_regex(filter: Option<&str>) -> Result<Option<Regex>> {
    let compile =
        |text| Regex::new(text).map_err(|e| Error::Usage(format!("--filter {text:?} is no regular expression: {e}")));
    filter.map(compile).transpose()
}

/// What chooses among the cases.
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

    /// The one case whose line the filter is. A line is no regular expression, but would match others that it starts.
    fn single(&self) -> Option<Case> {
        self.filter.as_deref().and_then(|line| Case::parse(line.trim()).ok())
    }

    /// Whether this is the quick suite and nothing else was asked for: then an adapter leaves out what it does not use.
    fn is_plain_quick(&self) -> bool {
        self.suite == Suite::Quick && self.filter.is_none() && self.variant.is_none()
    }

    /// Whether every kernel that an adapter can run is among the cases.
    pub fn is_every_kernel(&self) -> bool {
        self.suite != Suite::Quick && self.filter.is_none() && self.variant.is_none()
    }

    /// Those of `cases` that run on `adapter`, in order. The quick suite leaves out kernels that neither plans nor training take
    /// there by themselves, but for one case each: of those tuning may choose, and most of its time would go into compiling them.
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

    /// The negative controls that belong to the operations of `cases` and the chosen variant. The quick suite puts a fault that several
    /// kernels share into the first of them that the adapter can run, since the checks that catch it are the same; and faults of
    /// one kernel for convolutions into those that the adapter uses by itself.
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
            if control.shader.starts_with("winograd4_") {
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
                (false, true) => usual.contains(&variant) || control.may_hide,
                (false, false) => true,
            }
        };
        controls().iter().filter(|control| fits(control)).collect()
    }
}

/// The kernel for convolutions that a case runs, or packs weights for.
fn kernel_of(case: &Case) -> Option<Conv2dVariant> {
    let named = |name: &str| Conv2dVariant::FORWARD.into_iter().find(|variant| variant.name() == name);
    case.variant().or_else(|| named(case.word("layout")))
}

/// For each kernel and operation the place of the case that stands for it: a small one that says most about shapes and attributes. One kernel's
/// stands for reductions in parts by all of them.
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
