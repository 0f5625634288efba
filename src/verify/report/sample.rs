//! A small report with one of everything, for tests.

use super::types::*;
use crate::bench::Peaks;
use crate::gpu::{AdapterReport, Capabilities, Features};

/// An adapter without anything unusual.
fn adapter(index: usize, name: &str) -> AdapterReport {
    AdapterReport {
        index,
        name: name.into(),
        kind: "cpu".into(),
        driver: "llvmpipe".into(),
        driver_info: "Mesa 25.0.7 (LLVM 15.0.6)".into(),
        vendor: 0x10005,
        features: Features { f16: true, subgroups: true, timestamps: true, pipeline_cache: true, ..Default::default() },
        ..AdapterReport::example()
    }
}

/// A case of `op` that ended as `status` and used `share` of its tolerance.
pub fn case(op: &str, id: &str, status: Status, share: Option<f64>) -> CaseResult {
    CaseResult {
        id: format!("{op} {id}"),
        op: op.into(),
        direction: Direction::Forward,
        variant: "register".into(),
        precision: "f32".into(),
        status,
        nmse: share.map(|share| share * 1e-9),
        max_abs: share,
        max_rel: share,
        worst_index: share.map(|_| "output[0, 1, 2, 3]".into()),
        tolerance: share.map(|_| 1e-9),
        share,
        flops: 2e9,
        bytes: 1e7,
        seconds: share.map(|_| 0.05),
        message: if status == Status::Pass { String::new() } else { format!("it ended in {}", status.name()) },
        expectation: None,
    }
}

/// A run in which everything happens once: each status, NaN and infinite measures, a known bug and one that is gone.
pub fn sample() -> Report {
    let known =
        |expected| Some(Expectation { expected, reason: "loops end early".into(), link: "https://x.test/1".into() });
    let mut cases: Vec<CaseResult> =
        Status::ALL.iter().map(|&status| case("conv2d", status.name(), status, None)).collect();
    cases.push(case("conv2d", "n=1 c=64", Status::Pass, Some(0.25)));
    cases.push(case("relu", "nan", Status::Fail, Some(f64::NAN)));
    cases.push(case("relu", "inf", Status::Fail, Some(f64::INFINITY)));
    cases.push(CaseResult { expectation: known(Status::Fail), ..case("add", "known", Status::Fail, Some(2.0)) });
    cases.push(CaseResult { expectation: known(Status::Fail), ..case("add", "fixed", Status::Pass, Some(0.5)) });
    let probe = |name: &str, value: &str| Probe { name: name.into(), value: value.into(), detail: String::new() };
    let control = ControlResult {
        name: "relu-negated".into(),
        breaks: "min instead of max".into(),
        caught_by: "tolerance".into(),
        caught: true,
        message: String::new(),
    };
    let run = AdapterRun {
        adapter: adapter(0, "llvmpipe (LLVM 15.0.6, 256 bits)"),
        capabilities: Capabilities {
            limits: [("maxBufferSize".to_owned(), 1 << 31)].into(),
            features: vec!["shader-f16".into()],
            cooperative_matrices: vec!["8x8x8 f16 f32".into()],
            dx12_compiler: None,
        },
        fingerprint: Some(Fingerprint {
            probes: vec![probe("fma.contraction", "rounded twice"), probe("f32.exp", "2 ULP")],
        }),
        peaks: Some(Peaks { gflops: 80.0, gbps: 10.0 }),
        controls: vec![control],
        cases,
        left_out: 0,
        shaders_not_run: None,
        seconds: 12.5,
    };
    Report { adapters: vec![run], valid: true, ..Report::new("quick", None) }
}
