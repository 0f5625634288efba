//! Vendors' compilers: what they are asked, and how a driver that misbehaves is told. With the drivers that scripts/vendor-gpus.sh unpacks
//! where they are there, and with children that die and hang in any case.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use gpu_resnet::gpu::KernelSpec;
use gpu_resnet::gpu::shaders::find;
use gpu_resnet::verify::child::Setup;
use gpu_resnet::verify::expectations::Expectations;
use gpu_resnet::verify::offline::vendors::{VendorReport, compile};
use gpu_resnet::verify::offline::{Limits, Tree};
use gpu_resnet::verify::report::Status;
use serde_json::Value;

fn offline(arguments: &[&str]) -> Output {
    super::command(&["--offline-shaders"]).args(arguments).output().unwrap()
}

/// The JSON of an offline check that ends with `status`.
fn report(status: i32, arguments: &[&str]) -> Value {
    let output = offline(&[arguments, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The result of `kernel` on `gpu`.
fn ended<'a>(report: &'a Value, gpu: &str, kernel: &str) -> &'a Value {
    let run = report["vendors"]["gpus"].as_array().unwrap().iter().find(|run| run["gpu"] == gpu);
    let kernels = run.unwrap_or_else(|| panic!("{gpu} is not in the report"))["kernels"].as_array().unwrap();
    kernels.iter().find(|one| one["kernel"] == kernel).unwrap_or_else(|| panic!("{kernel} was not compiled"))
}

/// Whether the drivers are here; if not, that is said.
fn drivers() -> bool {
    Tree::find().inspect_err(|why| println!("not tested: {why}")).is_ok()
}

#[test]
fn kernels_are_compiled_as_each_gpu_or_excluded_with_the_reason() {
    if !drivers() {
        return;
    }
    let report = report(
        0,
        &[
            "--gpus",
            "amd-navi31,adreno-750,apple-m1,nvidia-192",
            "--filter",
            "^(relu|relu_f16|conv2d_gemm|conv2d_subgroup) main",
        ],
    );
    for (gpu, name) in [("amd-navi31", "NAVI31"), ("adreno-750", "750"), ("apple-m1", "M1"), ("nvidia-192", "NVK")] {
        let runs = report["vendors"]["gpus"].as_array().unwrap();
        let run = runs.iter().find(|run| run["gpu"] == gpu).unwrap();
        assert!(run["adapter"]["name"].as_str().unwrap().contains(name) && run["problem"].is_null(), "{run}");
        for kernel in ["relu main", "conv2d_gemm main POINTWISE=0 WHOLE=0", "conv2d_gemm main POINTWISE=1 WHOLE=1"] {
            let one = ended(&report, gpu, kernel);
            assert_eq!(one["status"], "pass", "{gpu}: {one}");
            assert!(one["figures"]["registers"].as_f64().unwrap() > 4.0, "{gpu}: {one}");
            assert_eq!(one["figures"]["spills"], 0.0, "{gpu}: {one}");
        }
        let one = ended(&report, gpu, "conv2d_subgroup main");
        assert_eq!(one["status"], "unsupported");
        assert!(one["message"].as_str().unwrap().contains("subgroups of exactly 8"), "{one}");
    }
    let half = ended(&report, "adreno-750", "relu_f16 main");
    assert_eq!(
        (&half["status"], half["message"].as_str()),
        (&"unsupported".into(), Some("the adapter has no f16 in shaders"))
    );
    assert_eq!(ended(&report, "apple-m1", "relu_f16 main")["status"], "pass");
}

/// The loops of the tiles that plans take for large maps, forward, under several taps and under one, and the least share of multiply-adds in
/// each that docs/internals/kernels.md has. Another version of the compilers may make something else of them.
#[test]
fn loops_are_multiply_adds_that_do_not_wait() {
    const LEAST: [(&str, &str, f64); 6] = [
        ("amd-vega20", "conv2d_gemm", 0.75),
        ("amd-navi21", "conv2d_gemm_128x128", 0.85),
        ("amd-navi31", "conv2d_gemm_128x128_16x8", 0.85),
        ("amd-gfx1201", "conv2d_gemm_128x128_16x8", 0.85),
        ("nvidia-192", "conv2d_gemm_128x128_pairs", 0.85),
        ("adreno-750", "conv2d_gemm_64x64", 0.85),
    ];
    if !drivers() {
        return;
    }
    let gpus = LEAST.map(|(gpu, ..)| gpu).join(",");
    let filter = "^conv2d_gemm(_64x64|_128x128(_16x8|_pairs)?)? main POINTWISE=[01] WHOLE=1$";
    let report = report(0, &["--gpus", &gpus, "--filter", filter]);
    for (gpu, shader, least) in LEAST {
        let run = report["vendors"]["gpus"].as_array().unwrap().iter().find(|run| run["gpu"] == gpu).unwrap();
        let version = run["adapter"]["driver_info"].as_str().unwrap();
        for pointwise in [0, 1] {
            let one = ended(&report, gpu, &format!("{shader} main POINTWISE={pointwise} WHOLE=1"));
            let share = one["figures"]["hot_loop_fma_share"].as_f64();
            if !version.contains("Mesa 26.2") {
                println!("not tested: {gpu} is compiled by {version}, with a share of {share:?}");
                continue;
            }
            assert!(share.unwrap() >= least, "{gpu}: {one}");
            assert_eq!(one["figures"]["waits_for_prefetch"], false, "{gpu}: {one}");
            assert_eq!(one["figures"]["spills"], 0.0, "{gpu}: {one}");
        }
    }
}

/// The negative controls: a kernel that spills and one that does not compile are failures, unless the expectations say so.
#[test]
fn spills_and_refusals_are_failures_that_may_be_expected() {
    if !drivers() {
        return;
    }
    const SPILL: &str = "relu: output[i] = Stored4(rectify(vec4f(input[i]))); => var a: array<vec4f, 400>; \
        for (var k = 0u; k < 400u; k++) { a[k] = vec4f(input[i + k]); } output[i] = Stored4(a[u32(input[i].x) % 400u]);";
    const REFUSED: &str = "add: i >= size4.x => i >= vec3f(1.0)";
    let only = ["--gpus", "amd-gfx1201,apple-m1", "--filter", "^(relu|add) main"];
    let broken = report(3, &[&only[..], &["--fault", SPILL, "--fault", REFUSED]].concat());
    for gpu in ["amd-gfx1201", "apple-m1"] {
        let spilled = ended(&broken, gpu, "relu main");
        assert_eq!(spilled["status"], "fail", "{spilled}");
        assert!(spilled["message"].as_str().unwrap().contains("scratch"), "{spilled}");
        let refused = ended(&broken, gpu, "add main");
        assert!(refused["status"] == "fail" && refused["figures"].is_null(), "{refused}");
        assert!(refused["message"].as_str().unwrap().contains("vec3"), "{refused}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known.toml");
    let known = "[[expect]]\ncase = \"^compile relu main$\"\nreason = \"it was broken\"\nlink = \"a test\"\n";
    std::fs::write(&file, known).unwrap();
    let known = ["--expectations", file.to_str().unwrap()];
    let forgiven = report(0, &[&only[..], &known, &["--fault", SPILL]].concat());
    assert_eq!(ended(&forgiven, "apple-m1", "relu main")["expectation"]["reason"], "it was broken");
    // What was expected to fail and did not is noticed.
    let only = ["--gpus", "apple-m1", "--filter", "^(relu|add) main"];
    report(3, &[&only[..], &known].concat());
    report(0, &[&only[..], &known, &["--allow-unexpected-pass"]].concat());
}

#[test]
fn without_the_drivers_one_sentence_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = super::command(&["--offline-shaders", "--filter", "^relu main"]);
        command.args(arguments).env("GPU_RESNET_DRIVERS", folder.path()).output().unwrap()
    };
    let output = run(&[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 skipped: vendors' compilers are not in"), "{said}");
    assert!(said.contains("vendor-gpus.sh"), "{said}");
    // Who names a GPU wants it.
    let output = run(&["--gpus", "apple-m1"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let output = run(&["--gpus", "apple-m9"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("apple-m1") && output.status.code() == Some(2));
    assert!(run(&["--gpus", "none"]).status.success());
}

/// A driver that dies of one kernel and hangs on another fails those two by name, and is asked about the rest.
#[cfg(unix)]
#[test]
fn a_driver_that_dies_or_hangs_fails_that_kernel_alone() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "while read -r line; do case $line in *'\"add\"'*) kill -SEGV $$; exit ;; *'\"linear\"'*) sleep 600 ;; esac; \
         printf '%s\\n' \"$line\"; done | {} verify --child --adapter 0",
        env!("CARGO_BIN_EXE_gpu-resnet")
    );
    let program = super::children::program(folder.path(), &script);
    let report =
        VendorReport { skipped: None, gpus: run(&program, &["relu", "add", "linear", "add", "relu_backward"]) };
    let kernels = &report.gpus[0].kernels;
    let found: Vec<_> = kernels.iter().map(|kernel| (kernel.kernel.as_str(), kernel.status)).collect();
    let (add, linear) = (("add main", Status::Crash), ("linear main", Status::Timeout));
    assert_eq!((found[1], found[2], found[3]), (add, linear, add));
    assert!(kernels[1].message.contains("signal"), "{}", kernels[1].message);
    // The driver of this machine answers, whatever it has to say.
    assert!(![Status::Crash, Status::Timeout].iter().any(|bad| found[0].1 == *bad || found[4].1 == *bad), "{found:?}");
    assert_eq!(report.verdict(true).unwrap_err().exit_status(), 3);
    assert!(report.table().contains("CRASH  add main"), "{}", report.table());
}

/// One that always dies ends the run soon.
#[cfg(unix)]
#[test]
fn a_driver_that_never_answers_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let program = super::children::program(folder.path(), "echo no such device >&2; exit 4");
    let report = VendorReport { skipped: None, gpus: run(&program, &["relu"]) };
    let problem = report.gpus[0].problem.as_deref().unwrap();
    assert!(problem.contains("no such device") && report.gpus[0].kernels.is_empty(), "{problem}");
    assert!(report.verdict(true).unwrap_err().to_string().contains("fake: the driver could not be opened"));
}

#[cfg(unix)]
fn run(program: &Path, shaders: &[&'static str]) -> Vec<gpu_resnet::verify::offline::vendors::VendorRun> {
    let setup = Setup { program: program.into(), loading: vec![], arguments: vec![], environment: vec![] };
    let specs: Vec<KernelSpec> =
        shaders.iter().map(|name| KernelSpec::exactly(find(name).expect("a shader"))).collect();
    let limits = Limits { timeout: Duration::from_secs(3), stop: || false };
    compile(&[("fake".into(), setup)], &specs, &Expectations::default(), limits, 2, &|_| ()).unwrap()
}
