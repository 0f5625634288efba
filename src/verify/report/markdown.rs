//! A report as Markdown, short enough for an issue tracker.

use std::fmt::Write as _;

use super::summary::{Counts, known, measure, missed, ops, percent, repro, unexpected};
use super::types::{AdapterRun, Report, Status};
use super::verdict::verdict;

/// Most failed cases that are listed; trackers cut long texts.
const MOST_CASES: usize = 20;

/// The report as text to paste.
pub fn markdown(report: &Report) -> String {
    let report = &report.clone().redacted();
    let mut out = String::new();
    let (_, word, sentence) = verdict(report);
    // Writing to a string can't fail, here and below.
    let _ = writeln!(out, "## gpu-resnet verify: {word}\n\n{}\n", text(&sentence));
    let _ = writeln!(
        out,
        "gpu-resnet {} on {}, suite {}, {}\n",
        text(&report.crate_version),
        text(&report.platform),
        text(&report.suite),
        text(&report.created)
    );
    out.push_str("| adapter | backend | driver | cases | pass | bad | lacking | controls caught |\n");
    out.push_str("|---|---|---|---:|---:|---:|---:|---:|\n");
    for run in &report.adapters {
        let (a, counts) = (&run.adapter, Counts::of(&run.cases));
        let _ = writeln!(
            out,
            "| {} | {:?} | {} {} | {} | {} | {} | {} | {} of {} |",
            text(&a.name),
            a.backend,
            text(&a.driver),
            text(&a.driver_info),
            counts.total(),
            counts.get(Status::Pass),
            counts.bad(),
            counts.get(Status::Unsupported),
            run.controls.len() - missed(run).count(),
            run.controls.len()
        );
    }
    for run in &report.adapters {
        adapter(&mut out, report, run);
    }
    out
}

fn adapter(out: &mut String, report: &Report, run: &AdapterRun) {
    let _ = writeln!(out, "\n### {}\n", text(&run.adapter.name));
    for control in missed(run) {
        let _ = writeln!(out, "- **not caught**: {} ({})", text(&control.name), text(&control.breaks));
    }
    let unexpected = unexpected(run);
    for case in unexpected.iter().take(MOST_CASES) {
        let _ = writeln!(
            out,
            "- **{}** {}: {} NMSE {} of {} allowed{}\n\n  {}",
            case.status.name(),
            code(&case.id),
            text(&case.message),
            measure(case.nmse),
            measure(case.tolerance),
            case.worst_index.as_ref().map(|at| format!(", worst at {}", code(at))).unwrap_or_default(),
            code(&repro(report, run, case))
        );
    }
    if unexpected.len() > MOST_CASES {
        let _ = writeln!(out, "- … and {} more", unexpected.len() - MOST_CASES);
    }
    let known = known(run).len();
    if known > 0 {
        let _ = writeln!(out, "- {known} cases ended as expected from a known driver bug");
    }
    out.push_str("\n| operation | direction | cases | pass | bad | tolerance used | worst NMSE |\n");
    out.push_str("|---|---|---:|---:|---:|---:|---:|\n");
    for op in ops(run) {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            text(op.op),
            op.direction.name(),
            op.counts.total(),
            op.counts.get(Status::Pass),
            op.counts.bad(),
            percent(op.worst_share),
            measure(op.worst_nmse)
        );
    }
    if let Some(fingerprint) = &run.fingerprint {
        out.push_str("\n<details><summary>Numeric fingerprint</summary>\n\n| probe | answer |\n|---|---|\n");
        for probe in &fingerprint.probes {
            let _ = writeln!(out, "| {} | {} |", text(&probe.name), text(&probe.value));
        }
        out.push_str("\n</details>\n");
    }
}

/// Untrusted text, shown literally: on one line, with every special character escaped.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            // Nobody is notified by a mention.
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Untrusted text as code, between more backticks than it contains in a row.
fn code(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // A space keeps backticks at the ends apart from the fence.
    let space = if longest > 0 { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

#[cfg(test)]
mod tests {
    use super::super::sample::sample;
    use super::*;

    #[test]
    fn all_of_it_is_told() {
        let found = markdown(&sample());
        for part in [
            "verify: Fail",
            "**device-lost** `conv2d device-lost`",
            "`relu nan`",
            "--filter 'relu nan'",
            "| conv2d | forward | 8 | 2 | 5 |",
            "fma.contraction",
        ] {
            assert!(found.contains(part), "no {part} in:\n{found}");
        }
        assert!(!found.contains("`add known`"), "what is known is only counted");
    }

    #[test]
    fn foreign_text_is_no_markup() {
        let mut report = sample();
        report.adapters[0].adapter.name = "<script>| @everyone\n# x".into();
        report.adapters[0].cases[1].id = "a``b | c\n# x".into();
        let found = markdown(&report);
        assert!(found.contains("### &lt;script>\\| &#64;everyone \\# x\n"), "{found}");
        // Inside code it has no special meaning and may stay as it is.
        assert!(found.lines().all(|line| line.contains('`') || !(line.contains("<script") || line.contains("@every"))));
        assert!(found.contains("``` a``b | c # x ```"), "{found}");
        assert!(!found.lines().any(|line| line.starts_with("# x")));
    }
}
