//! Cases counted and grouped, as every presentation of a report shows them.

use super::types::{AdapterRun, CaseResult, ControlResult, Direction, Report, Status};

/// The cases of one op and direction.
#[derive(Debug, Clone, PartialEq)]
pub struct OpSummary<'a> {
    pub op: &'a str,
    pub direction: Direction,
    pub counts: Counts,
    /// Largest share of the tolerance that a case used.
    pub worst_share: Option<f64>,
    pub worst_nmse: Option<f64>,
}

/// Cases by [`Status::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([usize; Status::ALL.len()]);

impl Counts {
    pub fn of<'a>(cases: impl IntoIterator<Item = &'a CaseResult>) -> Self {
        cases.into_iter().fold(Self::default(), |mut counts, case| {
            counts.add(case);
            counts
        })
    }

    fn add(&mut self, case: &CaseResult) {
        self.0[case.status as usize] += 1;
    }

    pub fn get(&self, status: Status) -> usize {
        self.0[status as usize]
    }

    pub fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// Cases that ended badly, in any way.
    pub fn bad(&self) -> usize {
        Status::ALL.iter().filter(|status| !status.is_good()).map(|&status| self.get(status)).sum()
    }
}

/// The ops of a run, in the order of their first case.
pub fn ops(run: &AdapterRun) -> Vec<OpSummary<'_>> {
    let mut ops: Vec<OpSummary> = Vec::new();
    for case in &run.cases {
        let at = ops.iter().position(|op| op.op == case.op && op.direction == case.direction);
        let at = at.unwrap_or_else(|| {
            let counts = Counts::default();
            ops.push(OpSummary {
                op: &case.op,
                direction: case.direction,
                counts,
                worst_share: None,
                worst_nmse: None,
            });
            ops.len() - 1
        });
        let op = &mut ops[at];
        op.counts.add(case);
        op.worst_share = worst(op.worst_share, case.share);
        op.worst_nmse = worst(op.worst_nmse, case.nmse);
    }
    ops
}

/// The larger of two measures; NaN is the worst there is.
fn worst(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }),
        (a, b) => a.or(b),
    }
}

/// Cases that ended otherwise than expected, worst first.
pub fn unexpected(run: &AdapterRun) -> Vec<&CaseResult> {
    let mut cases: Vec<&CaseResult> = run.cases.iter().filter(|case| case.is_unexpected()).collect();
    // Lost devices before crashes before failures; unexpected passes come last.
    cases.sort_by_key(|case| (case.status == Status::Pass, std::cmp::Reverse(case.status)));
    cases
}

/// Cases that a known driver bug covers and that ended as it says.
pub fn known(run: &AdapterRun) -> Vec<&CaseResult> {
    run.cases.iter().filter(|case| case.expectation.is_some() && !case.is_unexpected()).collect()
}

/// Cases that need what the adapter lacks.
pub fn unsupported(run: &AdapterRun) -> Vec<&CaseResult> {
    run.cases.iter().filter(|case| case.status == Status::Unsupported && !case.is_unexpected()).collect()
}

/// Controls that were not caught although they must be.
pub fn missed(run: &AdapterRun) -> impl Iterator<Item = &ControlResult> {
    run.controls.iter().filter(|control| !control.is_good())
}

/// One line to run `case` again.
pub fn repro(report: &Report, run: &AdapterRun, case: &CaseResult) -> String {
    let suite = if report.suite == "quick" { String::new() } else { format!(" --suite {}", quote(&report.suite)) };
    let backend = serde_json::to_string(&run.adapter.backend).unwrap_or_default();
    let (backend, adapter) = (backend.trim_matches('"').to_owned(), quote(&select(report, run)));
    format!("gpu-resnet --backend {backend} --adapter {adapter} verify{suite} --filter {}", quote(&case.id))
}

/// The value of `--adapter` that selects the adapter of `run` and no other of the report: its name, its driver, or its number.
fn select(report: &Report, run: &AdapterRun) -> String {
    let found = |text: &str| {
        let others = report.adapters.iter().filter(|other| other.adapter.backend == run.adapter.backend);
        let texts = others.map(|other| [&other.adapter.name, &other.adapter.driver, &other.adapter.driver_info]);
        texts.filter(|texts| texts.iter().any(|other| other.contains(text))).count()
    };
    let a = &run.adapter;
    let unique = [&a.name, &a.driver_info].into_iter().find(|text| !text.is_empty() && found(text) == 1);
    unique.cloned().unwrap_or_else(|| a.index.to_string())
}

/// `text` as one word of a shell.
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A measure in few digits.
pub fn measure(value: Option<f64>) -> String {
    match value {
        None => "–".into(),
        Some(value) if value.is_nan() => "NaN".into(),
        Some(value) if value.is_infinite() => "inf".into(),
        Some(0.0) => "0".into(),
        Some(value) => format!("{value:.1e}"),
    }
}

/// A share of the tolerance in per cent.
pub fn percent(share: Option<f64>) -> String {
    match share {
        Some(share) if share.is_finite() && share < 100.0 => {
            let percent = share * 100.0;
            if percent == 0.0 {
                "0 %".into()
            } else if percent < 0.1 {
                "< 0.1 %".into()
            } else if percent < 10.0 {
                format!("{percent:.1} %")
            } else {
                format!("{percent:.0} %")
            }
        }
        Some(share) if share.is_finite() => format!("{share:.0e} x"),
        other => measure(other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{case, sample};
    use super::*;

    #[test]
    fn the_worst_case_counts() {
        let report = sample();
        let run = &report.adapters[0];
        let ops = ops(run);
        assert_eq!(ops.iter().map(|op| op.op).collect::<Vec<_>>(), ["conv2d", "relu", "add"]);
        assert_eq!((ops[0].counts.total(), ops[0].counts.get(Status::Pass), ops[0].counts.bad()), (8, 2, 5));
        assert!(ops[1].worst_share.unwrap().is_nan(), "NaN is worse than infinity");
        assert_eq!((ops[2].worst_share, ops[2].counts.bad()), (Some(2.0), 1));
        // A lost device first, the bug that is gone last, the known one not at all.
        let unexpected = unexpected(run);
        assert_eq!(unexpected[0].status, Status::DeviceLost);
        assert_eq!(unexpected.last().unwrap().id, "add fixed");
        assert_eq!(unexpected.len(), 5 + 2 + 1);
        assert_eq!(known(run).len(), 1);
    }

    #[test]
    fn commands_survive_a_shell() {
        let mut report = sample();
        report.suite = "full".into();
        report.adapters[0].adapter.name = "Bob's GPU; rm -rf".into();
        let case = case("conv2d", "n=1\nc=2", Status::Fail, None);
        let command = repro(&report, &report.adapters[0], &case);
        assert_eq!(
            command,
            r"gpu-resnet --backend vulkan --adapter 'Bob'\''s GPU; rm -rf' verify --suite full --filter 'conv2d n=1 c=2'"
        );
    }

    #[test]
    fn commands_name_one_adapter() {
        let mut report = sample();
        let mut other = report.adapters[0].clone();
        other.adapter.driver_info = "Mesa 22.3.6".into();
        other.adapter.index = 7;
        report.adapters.push(other);
        let named = |report: &Report| select(report, &report.adapters[1]);
        assert_eq!(named(&report), "Mesa 22.3.6");
        report.adapters[1].adapter.driver_info = report.adapters[0].adapter.driver_info.clone();
        assert_eq!(named(&report), "7");
    }

    #[test]
    fn numbers_are_short() {
        let shown = [None, Some(0.0), Some(1.25e-13), Some(f64::NAN), Some(f64::INFINITY)].map(measure);
        assert_eq!(shown, ["–", "0", "1.2e-13", "NaN", "inf"]);
        let shown = [Some(0.0), Some(1e-5), Some(0.0123), Some(0.5), Some(2.0), Some(1e6)].map(percent);
        assert_eq!(shown, ["0 %", "< 0.1 %", "1.2 %", "50 %", "200 %", "1e6 x"]);
    }
}
