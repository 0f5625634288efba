//! Compares two reports: differing verdicts, errors that grew, answers of the fingerprint, and speed.

#[cfg(feature = "reports")]
mod page;
mod text;

use std::collections::BTreeMap;

use serde::Serialize;

use super::types::{AdapterRun, CaseResult, Report, Status};

/// What differs between two reports.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Reasons to doubt the comparison: other shaders, another suite, an invalid run.
    pub warnings: Vec<String>,
    pub pairs: Vec<Pair>,
}

/// One adapter of each report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    pub names: [String; 2],
    /// Cases that both have.
    pub common: usize,
    /// Cases that only one has, by report.
    pub only: [usize; 2],
    pub verdicts: Vec<VerdictDifference>,
    /// NMSE of cases that both passed or failed by comparison, largest change first.
    pub errors: Vec<ErrorRatio>,
    pub fingerprint: Vec<ProbeDifference>,
    /// Speed by op, over cases that both timed.
    pub speed: Vec<SpeedRatio>,
}

/// A case with a different verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerdictDifference {
    pub id: String,
    pub status: [Status; 2],
    /// Messages of the two, empty for a pass.
    pub messages: [String; 2],
}

/// The error of one case in both.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorRatio {
    pub id: String,
    pub nmse: [f64; 2],
    /// Second over first.
    pub ratio: f64,
}

/// A probe with a different answer; `-` if it was not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProbeDifference {
    pub name: String,
    pub values: [String; 2],
}

/// How much faster the second is at one op.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpeedRatio {
    pub op: String,
    pub cases: usize,
    /// Geometric mean of the first's time over the second's: above 1, the second is faster.
    pub mean: f64,
    pub least: f64,
    pub most: f64,
}

/// Compares `b` with `a`. Adapters are paired by name and backend, then in order.
pub fn compare(a: &Report, b: &Report) -> Comparison {
    let [a, b] = [a, b].map(|report| report.clone().redacted());
    let mut warnings = Vec::new();
    let shaders = |r: &Report| r.shader_hashes.clone();
    let (ours, theirs) = (shaders(&a), shaders(&b));
    let changed = ours.iter().filter(|(name, hash)| theirs.get(*name).is_some_and(|other| other != *hash)).count();
    let missing = ours.keys().filter(|name| !theirs.contains_key(*name)).count()
        + theirs.keys().filter(|name| !ours.contains_key(*name)).count();
    if changed + missing > 0 {
        warnings.push(format!("{changed} shaders differ and {missing} are in one report only"));
    }
    for (what, [first, second]) in [("suite", [&a.suite, &b.suite]), ("version", [&a.crate_version, &b.crate_version])]
    {
        if first != second {
            warnings.push(format!("the {what} differs: {first} and {second}"));
        }
    }
    for (which, report) in [("first", &a), ("second", &b)] {
        if !report.valid {
            warnings.push(format!("the {which} report is invalid: a negative control was not caught"));
        }
    }
    let mut rest: Vec<&AdapterRun> = b.adapters.iter().collect();
    let mut pairs = Vec::new();
    let mut unpaired = Vec::new();
    for run in &a.adapters {
        let same = |other: &&AdapterRun| {
            other.adapter.name == run.adapter.name && other.adapter.backend == run.adapter.backend
        };
        match rest.iter().position(same) {
            Some(at) => pairs.push((run, rest.remove(at))),
            None => unpaired.push(run),
        }
    }
    let left = unpaired.len().abs_diff(rest.len());
    pairs.extend(unpaired.into_iter().zip(rest));
    if left > 0 {
        warnings.push(format!("{left} adapters are in one report only"));
    }
    Comparison { warnings, pairs: pairs.into_iter().map(|(a, b)| pair(a, b)).collect() }
}

fn pair(a: &AdapterRun, b: &AdapterRun) -> Pair {
    let cases = |run: &AdapterRun| run.cases.iter().map(|c| (c.id.clone(), c.clone())).collect::<BTreeMap<_, _>>();
    let (ours, theirs) = (cases(a), cases(b));
    let common: Vec<[&CaseResult; 2]> = ours.iter().filter_map(|(id, case)| Some([case, theirs.get(id)?])).collect();
    Pair {
        names: [a, b]
            .map(|run| format!("{} ({:?}, {})", run.adapter.name, run.adapter.backend, run.adapter.driver_info)),
        common: common.len(),
        only: [ours.len() - common.len(), theirs.len() - common.len()],
        verdicts: verdicts(&common),
        errors: errors(&common),
        fingerprint: fingerprint(a, b),
        speed: speed(&common),
    }
}

fn verdicts(common: &[[&CaseResult; 2]]) -> Vec<VerdictDifference> {
    let mut found: Vec<VerdictDifference> = common
        .iter()
        .filter(|[a, b]| a.status != b.status)
        .map(|pair| VerdictDifference {
            id: pair[0].id.clone(),
            status: pair.map(|case| case.status),
            messages: pair.map(|case| case.message.clone()),
        })
        .collect();
    // Cases that the second does worse come first, cases that one lacks come last.
    let lacks = |d: &VerdictDifference| d.status.contains(&Status::Unsupported);
    found.sort_by_key(|d| (lacks(d), d.status[1].is_good(), std::cmp::Reverse(d.status[1])));
    found
}

fn errors(common: &[[&CaseResult; 2]]) -> Vec<ErrorRatio> {
    let mut found: Vec<ErrorRatio> = common
        .iter()
        .filter_map(|[a, b]| {
            let nmse = [a.nmse?, b.nmse?];
            // Equal errors, and two exact results, are not a difference.
            (nmse[0] != nmse[1]).then(|| ErrorRatio { id: a.id.clone(), nmse, ratio: nmse[1] / nmse[0] })
        })
        .collect();
    let change = |e: &ErrorRatio| if e.ratio.is_nan() { f64::INFINITY } else { e.ratio.ln().abs() };
    found.sort_by(|a, b| change(b).total_cmp(&change(a)));
    found
}

fn fingerprint(a: &AdapterRun, b: &AdapterRun) -> Vec<ProbeDifference> {
    let probes = |run: &AdapterRun| run.fingerprint.clone().unwrap_or_default().probes;
    let (ours, theirs) = (probes(a), probes(b));
    let value = |probes: &[super::Probe], name: &str| {
        probes.iter().find(|probe| probe.name == name).map_or("-".to_owned(), |probe| probe.value.clone())
    };
    let new = theirs.iter().filter(|probe| ours.iter().all(|other| other.name != probe.name));
    ours.iter()
        .chain(new)
        .map(|probe| ProbeDifference {
            name: probe.name.clone(),
            values: [value(&ours, &probe.name), value(&theirs, &probe.name)],
        })
        .filter(|difference| difference.values[0] != difference.values[1])
        .collect()
}

fn speed(common: &[[&CaseResult; 2]]) -> Vec<SpeedRatio> {
    let mut ops: Vec<(String, Vec<f64>)> = Vec::new();
    for [a, b] in common {
        let (Some(first), Some(second)) = (a.seconds, b.seconds) else { continue };
        let ratio = first / second;
        if !(ratio.is_finite() && ratio > 0.0) {
            continue;
        }
        let op = format!("{} {}", a.op, a.direction.name());
        match ops.iter_mut().find(|(name, _)| *name == op) {
            Some((_, ratios)) => ratios.push(ratio),
            None => ops.push((op, vec![ratio])),
        }
    }
    let ratio = |(op, ratios): (String, Vec<f64>)| SpeedRatio {
        op,
        cases: ratios.len(),
        mean: (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp(),
        least: ratios.iter().copied().fold(f64::INFINITY, f64::min),
        most: ratios.iter().copied().fold(0.0, f64::max),
    };
    ops.into_iter().map(ratio).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::sample;
    use super::super::types::{Expectation, Probe};
    use super::*;

    #[test]
    fn equal_reports_have_no_differences() {
        let report = sample();
        let found = compare(&report, &report);
        assert!(found.warnings.is_empty());
        let pair = &found.pairs[0];
        assert_eq!((pair.common, pair.only), (report.adapters[0].cases.len(), [0, 0]));
        assert!(pair.verdicts.is_empty() && pair.fingerprint.is_empty());
        // NaN differs from itself: it is shown.
        assert_eq!(pair.errors.len(), 1);
        assert!(pair.speed.iter().all(|op| op.mean == 1.0 && op.least == 1.0 && op.most == 1.0));
    }

    #[test]
    fn each_difference_is_found() {
        let a = sample();
        let mut b = a.clone();
        let run = &mut b.adapters[0];
        let at = run.cases.iter().position(|case| case.id == "conv2d n=1 c=64").unwrap();
        let case = &mut run.cases[at];
        (case.status, case.nmse, case.seconds, case.message) = (Status::Fail, Some(1e-3), Some(0.0125), "wrong".into());
        case.expectation = Some(Expectation { expected: Status::Fail, reason: String::new(), link: String::new() });
        run.cases.remove(0);
        let fingerprint = run.fingerprint.as_mut().unwrap();
        fingerprint.probes[0].value = "fused".into();
        fingerprint.probes.push(Probe { name: "new".into(), value: "1".into(), detail: String::new() });
        b.shader_hashes.insert("relu".into(), "0".into());
        (b.valid, b.suite) = (false, "full".into());

        let found = compare(&a, &b);
        assert_eq!(found.warnings.len(), 3, "{:?}", found.warnings);
        let pair = &found.pairs[0];
        assert_eq!(pair.only, [1, 0]);
        assert_eq!(pair.verdicts.len(), 1);
        assert_eq!(
            (pair.verdicts[0].id.as_str(), pair.verdicts[0].status),
            ("conv2d n=1 c=64", [Status::Pass, Status::Fail])
        );
        let grown = pair.errors.iter().find(|e| e.id == "conv2d n=1 c=64").unwrap();
        assert!((grown.ratio / 4e6 - 1.0).abs() < 1e-9, "{grown:?}");
        let probes: Vec<_> =
            pair.fingerprint.iter().map(|d| (d.name.as_str(), d.values[0].as_str(), d.values[1].as_str())).collect();
        assert_eq!(probes, [("fma.contraction", "rounded twice", "fused"), ("new", "-", "1")]);
        let conv = pair.speed.iter().find(|op| op.op == "conv2d forward").unwrap();
        assert_eq!((conv.cases, conv.mean), (1, 4.0));

        let text = found.text();
        for part in ["pass", "fail", "conv2d n=1 c=64", "fused", "4.00", "invalid"] {
            assert!(text.contains(part), "no {part} in:\n{text}");
        }
    }

    #[test]
    fn adapters_are_paired_by_name() {
        let mut a = sample();
        let mut other = a.adapters[0].clone();
        other.adapter.name = "other".into();
        a.adapters.push(other);
        let mut b = a.clone();
        b.adapters.reverse();
        let pairs = compare(&a, &b).pairs;
        assert!(pairs.len() == 2 && pairs.iter().all(|pair| pair.names[0] == pair.names[1]));
        b.adapters.truncate(1);
        b.adapters[0].adapter.name = "third".into();
        let found = compare(&a, &b);
        assert_eq!((found.pairs.len(), found.warnings.len()), (1, 1));
    }

    #[test]
    #[cfg(feature = "reports")]
    fn pages_hold_no_foreign_markup() {
        let a = sample();
        let mut b = a.clone();
        b.adapters[0].adapter.driver_info = "<script>".into();
        b.adapters[0].cases[0].status = Status::Crash;
        b.adapters[0].cases[0].message = "<script>".into();
        let page = compare(&a, &b).page();
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script"));
    }
}
