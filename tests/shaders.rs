//! Every shader and entry point, with the constants that ops give it, translated to what each backend compiles: SPIR-V, MSL,
//! HLSL and GLSL, and compiled by what tools are installed (`verify --offline-shaders`). A kernel that can't run on Metal or
//! DX12 fails here, on a machine that has neither.

#[path = "common/classes.rs"]
mod classes;

use std::collections::BTreeSet;
use std::sync::Arc;

use classes::classes;
use gpu_resnet::gpu::shaders::{self, Shader};
use gpu_resnet::gpu::{AdapterChoice, DeviceOptions, Gpu, KernelSpec, Recording};
use gpu_resnet::model::{
    Architecture, Forward, GradientPass, InputKind, Network, PassOptions, StemKind, TrainableNetwork, record_pass,
};
use gpu_resnet::ops::{MapShape, Precision};
use gpu_resnet::verify::offline::{self, Limits, Outcome, Tools};
use gpu_resnet::weights;
use pollster::FutureExt as _;

/// The largest workgroup and workgroup memory that every adapter has by default.
const MAX_INVOCATIONS: u32 = 256;
const MAX_WORKGROUP_BYTES: u32 = 16 << 10;
/// The largest tile takes a little more, and is used only on adapters that offer it (`Conv2dVariant::supported`).
const LARGEST_TILE: (&str, u32) = ("gemm_128x128", (16 << 10) + 128);

fn each_entry_point(mut visit: impl FnMut(&Shader, &shaders::EntryPoint)) {
    let mut count = 0;
    for shader in shaders::all() {
        for entry in shader.entry_points {
            visit(shader, entry);
            count += 1;
        }
    }
    assert!(count >= 45, "only {count} entry points; where are the shaders?");
}

#[test]
fn every_kernel_translates() {
    let report = offline::check(&Tools::find(Limits::default()), &|_| true).expect("a report");
    println!("{}", report.table());
    report.verdict(false).expect("no failure");
    let mut entry_points = 0;
    each_entry_point(|_, _| entry_points += 1);
    assert!(report.kernels.len() > entry_points, "specialisations are missing");
}

/// Plans use no kernel that is not checked without a GPU: those that are recorded for each class of adapters, and those that one compiles.
#[test]
fn plans_ask_for_no_other_kernels() {
    let known: BTreeSet<String> = offline::specialisations().expect("specialisations").iter().map(spell).collect();
    let mut asked = BTreeSet::new();
    let networks = ["resnet18", "resnet50", "resnext50_32x4d", "resnet20", "plain20"].map(|name| {
        let mut architecture = Architecture::named(name).expect("an architecture").with_classes(10);
        // Every kind of block and stage once.
        architecture.depths.fill(1);
        let weights = weights::hash_weights(&architecture).expect("weights");
        (architecture, weights)
    });
    for (_, report) in classes() {
        let options = DeviceOptions { as_adapter: Some(Box::new(report)), ..Default::default() };
        let gpu =
            Gpu::open_with(&AdapterChoice::default(), &options).block_on().expect("an adapter; see scripts/setup.sh");
        for (architecture, weights) in &networks {
            for precision in Precision::ALL.into_iter().filter(|precision| precision.supported(gpu.report()).is_ok()) {
                let recordings = recorded(&gpu, architecture, weights, precision);
                let kernels = recordings.iter().flat_map(|recording| recording.dispatches());
                asked.extend(kernels.map(|dispatch| spell(&dispatch.kernel)));
            }
        }
    }
    assert!(asked.len() >= 100, "only {} kernels were recorded", asked.len());
    let gpu = Gpu::open(&AdapterChoice::default()).block_on().expect("an adapter; see scripts/setup.sh");
    let (architecture, weights) = networks.last().expect("a network");
    let network = Network::new(&gpu, architecture, weights).block_on().expect("a network");
    Forward::new(&network, InputKind::Tensor, 1, [32, 32], false).expect("a plan");
    let network = TrainableNetwork::new(&gpu, architecture, weights).expect("a network");
    GradientPass::new(&network, [1, 3, 32, 32], &PassOptions::default()).expect("a plan");
    let compiled = gpu.compiled();
    assert!(compiled.len() >= 10, "only {} kernels were compiled", compiled.len());
    for spec in asked.into_iter().chain(compiled.iter().map(spell)) {
        assert!(known.contains(&spec), "{spec} is not checked offline; see ops::constant_values");
    }
}

/// The network's forward pass, and a pass that gives every gradient.
fn recorded(
    gpu: &Arc<Gpu>,
    architecture: &Architecture,
    weights: &weights::Weights,
    precision: Precision,
) -> [Recording; 2] {
    let side = if architecture.stem.kind == StemKind::Imagenet { 224 } else { 32 };
    let input = |r: &mut Recording, images| {
        let shape = MapShape::new([images, 3, side, side]).expect("a shape").stored(precision);
        shape.at(r.temporary("input", 0))
    };
    let mut forward = Recording::new();
    let network = Network::with_precision(gpu, architecture, weights, precision).block_on().expect("a network");
    let map = input(&mut forward, 1);
    network.record_sizes(&mut forward, map).expect("a forward pass");
    let mut pass = Recording::new();
    let network = TrainableNetwork::new(gpu, architecture, weights).expect("a network");
    let (map, targets) = (input(&mut pass, 8), pass.temporary("targets", 0));
    let loss_scale = (precision == Precision::F16).then(|| pass.temporary("loss scale", 0));
    let options = PassOptions { grad_input: true, loss_scale, ..Default::default() };
    record_pass(&network, &mut pass, map, targets, &options).map(drop).expect("a pass");
    [forward, pass]
}

/// A kernel's name with its constants in order.
fn spell(spec: &KernelSpec) -> String {
    // The device gives this one.
    let constants: BTreeSet<_> = spec.constants.iter().filter(|(name, _)| *name != "LANES").collect();
    format!("{} {} {constants:?}", spec.shader_name(), spec.entry)
}

/// Each layer's gradient has its shader, and so has each kernel of a convolution's gradients.
#[test]
fn every_backward_kernel_is_there() {
    for name in [
        "conv2d_backward_input_gemm",
        "conv2d_backward_input_register",
        "conv2d_backward_input_subgroup",
        "conv2d_backward_input_subgroup_wide",
        "conv2d_backward_input_subgroup_quad",
        "conv2d_backward_input_subgroup_oct",
        "conv2d_backward_input_subgroup4",
        "conv2d_backward_input_blocks_gemm",
        "conv2d_backward_input_blocks_register",
        "conv2d_backward_input_blocks_subgroup",
        "conv2d_backward_input_blocks_subgroup_wide",
        "conv2d_backward_input_blocks_subgroup_quad",
        "conv2d_backward_input_blocks_subgroup4",
        "conv2d_backward_input_blocks_repair",
        "pack_weight_blocks",
        "conv2d_backward_weight_gemm",
        "conv2d_backward_weight_register",
        "conv2d_backward_weight_subgroup",
        "conv2d_backward_weight_subgroup_wide",
        "conv2d_backward_weight_subgroup_quad",
        "conv2d_backward_weight_subgroup_wide_pointwise",
        "conv2d_backward_weight_subgroup_quad_pointwise",
        "conv2d_backward_weight_subgroup4",
        "sum_partials",
        "sum_partials_wide",
        "sum_pixels",
        "pack_weight",
        "batch_norm_backward",
        "relu_backward",
        "add_relu_backward",
        "max_pool2d_indices",
        "max_pool2d_backward",
        "avg_pool2d_backward",
        "global_avg_pool_backward",
        "shortcut_pad_backward",
        "linear_backward",
    ] {
        assert!(shaders::find(name).is_some(), "there is no shader {name}");
    }
    // What is visited is what the kernels name: a variant, not the file that it is made from.
    let transposed = shaders::find("conv2d_backward_input_gemm").expect("a shader").source;
    assert!(
        transposed.contains("fn taps_of")
            && !shaders::find("conv2d_gemm").expect("a shader").source.contains("fn taps_of")
    );
}

/// Functions of shaders are short, as they are written.
#[test]
fn functions_are_short() {
    const MOST_LINES: usize = 120;
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let mut functions = 0;
    for folder in ["", "software", "shared", "fingerprint"] {
        for entry in std::fs::read_dir(root.join(folder)).expect("a folder of shaders").map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if path.is_dir() {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a shader");
            let lines: Vec<&str> = text.lines().collect();
            for (start, head) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("fn ")) {
                let length = lines[start..].iter().position(|line| *line == "}").expect("its end") + 1;
                assert!(length <= MOST_LINES, "{name}: {head} has {length} lines");
                functions += 1;
            }
        }
    }
    assert!(functions >= 100, "only {functions} functions; where are the shaders?");
}

#[test]
fn every_entry_point_keeps_to_the_common_limits() {
    each_entry_point(|shader, entry| {
        let module = naga::front::wgsl::parse_str(&shader.source).expect("a valid shader");
        let invocations: u32 = entry.workgroup_size.iter().product();
        assert!((1..=MAX_INVOCATIONS).contains(&invocations), "{}: {invocations} invocations", shader.name);
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).expect("a layout");
        let workgroup = module.global_variables.iter().filter(|(_, g)| g.space == naga::AddressSpace::WorkGroup);
        let bytes: u32 = workgroup.map(|(_, global)| layouter[global.ty].size).sum();
        // Chosen only where there is so much.
        let large =
            [LARGEST_TILE, ("cooperative_128x64", 20 << 10)].into_iter().find(|(name, _)| shader.name.contains(name));
        let most = large.map_or(MAX_WORKGROUP_BYTES, |(_, bytes)| bytes);
        assert!(bytes <= most, "{}: {bytes} bytes of workgroup memory", shader.name);
        let storage = entry.bindings.iter().filter(|(_, kind)| *kind != shaders::BindingKind::Uniform).count();
        assert!(storage <= 8, "{} {}: {storage} storage buffers", shader.name, entry.name);
    });
}

/// The negative control: each installed tool refuses a broken shader, also one that naga accepts.
#[test]
fn tools_refuse_broken_shaders() {
    let relu = shaders::find("relu").expect("relu").source.as_str();
    let tools = Tools::find(Limits::default());
    let outcomes =
        |source: &str| offline::check_kernel(&tools, source, &KernelSpec::new(shaders::files::relu::FILE)).targets;
    assert!(outcomes(relu).values().all(|outcome| !matches!(outcome, Outcome::Failed { .. })), "the control");
    // Valid for naga, but no backend of ours has doubles in GLSL ES or Metal.
    let double = relu.replace("input[i])", "input[i]) * f32(f64(1.0) * f64(size4.x))");
    let found = outcomes(&double);
    for target in ["msl", "glsl"] {
        assert!(matches!(found[target], Outcome::Failed { .. }), "{target}: {:?}", found[target]);
    }
}

/// Chrome's compiler, if it is installed, refuses what naga accepts.
#[test]
fn tint_refuses_what_naga_lets_pass() {
    let relu = shaders::find("relu").expect("relu").source.as_str();
    let outcome = |source: &str| {
        let kernel = KernelSpec::new(shaders::files::relu::FILE);
        offline::check_kernel(&Tools::find(Limits::default()), source, &kernel).targets["wgsl"].clone()
    };
    let found = outcome(relu);
    if found == Outcome::Translated {
        println!("not tested: Tint is not here; scripts/setup.sh --all-drivers fetches it where Node.js and npm are");
        return;
    }
    assert_eq!(found, Outcome::Compiled { tool: "tint".into() });
    let barrier = relu.replace("input[i]", "input[i + u32(f())]") + "fn f() -> f32 { workgroupBarrier(); return 0.0; }";
    assert_ne!(barrier, relu);
    match outcome(&barrier) {
        Outcome::Failed { by, message } => {
            assert!(by == "tint" && message.contains("uniform control flow"), "{message}")
        }
        other => panic!("{other:?}"),
    }
}

/// The compiler's process ends even if its library has a destructor that never returns.
#[cfg(target_os = "linux")]
#[test]
fn dxc_leaves_without_the_librarys_destructors() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    if !Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("not tested: scripts/dxc.py needs python3, which is not here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [source, library] = ["library.c", "library.so"].map(|name| folder.path().join(name));
    let text = "#include <unistd.h>
        int DxcCreateInstance(void *a, void *b, void **c) { return 1; }
        __attribute__((destructor)) static void hang(void) { for (;;) pause(); }";
    std::fs::write(&source, text).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(built.expect("a C compiler: Rust links with it").success());
    let [kernel, script] =
        ["shaders/relu.wgsl", "scripts/dxc.py"].map(|path| format!("{}/{path}", env!("CARGO_MANIFEST_DIR")));
    // Both are refused, after the library was loaded; and the second is no library.
    for (arguments, library) in [
        (["--version"], library.display().to_string()),
        ([&kernel], library.display().to_string()),
        (["--version"], kernel.clone()),
    ] {
        let mut command = Command::new("python3");
        command.arg(&script).args(arguments).env("GPU_RESNET_DXCOMPILER", library);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let started = Instant::now();
        let status = loop {
            if let Some(status) = process.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > Duration::from_secs(60) {
                process.kill().unwrap();
                panic!("{arguments:?}: it did not leave");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let said = std::io::read_to_string(process.stderr.take().unwrap()).unwrap();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.starts_with("dxc.py: ") && !said.contains("Traceback"), "{said}");
    }
}

/// If Tint crashes on one kernel and hangs on the next, each of the two is a result, and the other kernels are still checked.
#[cfg(unix)]
#[test]
fn a_tint_that_crashes_is_a_result() {
    let folder = tempfile::tempdir().unwrap();
    let tool = script(&folder.path().join("tint"), |log| {
        format!(
            "case $1 in --version) echo fake 1; exit ;; esac
            echo run >> {log}
            case $(wc -l < {log}) in
            1) echo \"{{\\\"message\\\": null}}\" > $2; kill -SEGV $$ ;;
            2) sleep 600 ;;
            *) echo \"{{\\\"message\\\": \\\"no\\\"}}\" > $2 ;;
            esac"
        )
    });
    let mut command = offline_command("3", "^(relu|add|add_relu) main");
    let output = command.env("GPU_RESNET_TINT", &tool).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found: Vec<_> = report["kernels"].as_array().unwrap().iter().map(|k| &k["targets"]["wgsl"]["status"]).collect();
    // Each time the list is what is left: of three or more kernels the first compiles, the second crashes, the third hangs.
    assert_eq!(found[..3], ["compiled", "failed", "timeout"], "{found:?}");
    assert!(found[3..].iter().all(|status| *status == "failed"), "{found:?}");
}

/// A DXC that takes lists compiles several kernels in one process, and each gets the outcome of its own line.
#[cfg(unix)]
#[test]
fn dxc_compiles_lists() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dxc");
    let tool = script(&path, |log| {
        format!(
            "case $1 in --version) echo fake 1, lists of kernels; exit ;; esac
            grep -o '\"entry\":\"main\"' \"$8\" | sed s/.*/run/ >> {log}
            echo \"{{\\\"message\\\": null}}\" > \"$9\"
            echo \"{{\\\"message\\\": \\\"no\\\"}}\" >> \"$9\""
        )
    });
    let output = offline_command("60", "^(relu|add) main").env("GPU_RESNET_DXC", &tool).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found: Vec<_> = report["kernels"].as_array().unwrap().iter().map(|k| &k["targets"]["hlsl"]).collect();
    assert_eq!((&found[0]["status"], &found[0]["tool"]), (&"compiled".into(), &"dxc".into()), "{found:?}");
    assert_eq!((&found[1]["status"], &found[1]["message"]), (&"failed".into(), &"no".into()), "{found:?}");
    assert_eq!(std::fs::read_to_string(path.with_extension("log")).unwrap().lines().count(), 2);
}

/// A compiler that hangs is stopped with everything that it started. Its kernel gets a result, and the others are still checked.
#[cfg(unix)]
#[test]
fn a_compiler_that_hangs_is_a_result() {
    let folder = tempfile::tempdir().unwrap();
    let path =
        script(&folder.path().join("dxc"), |_| "case $1 in --version) echo fake 1 ;; *) sleep 600 ;; esac".into());
    let offline =
        |timeout: &str| offline_command(timeout, "^(relu|add) main").env("GPU_RESNET_DXC", &path).output().unwrap();
    let output = offline("3");
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let kernels = report["kernels"].as_array().unwrap();
    assert_eq!(kernels.len(), 2);
    for kernel in kernels {
        assert_eq!(kernel["targets"]["hlsl"]["status"], "timeout", "{kernel}");
        assert_eq!(kernel["targets"]["hlsl"]["by"], "dxc");
        assert_ne!(kernel["targets"]["glsl"]["status"], "timeout");
    }
}

/// Writes a shell script to `path`; its text may name a log file beside it.
#[cfg(unix)]
fn script(path: &std::path::Path, text: impl Fn(String) -> String) -> std::path::PathBuf {
    // By another process: a file that this one had open for writing could not be run.
    let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$2\" && chmod +x \"$2\"";
    let text = text(path.with_extension("log").display().to_string());
    let status = std::process::Command::new("sh").args(["-c", write, "sh", &text]).arg(path).status();
    assert!(status.unwrap().success());
    path.to_owned()
}

/// A command that checks the kernels that `filter` selects with the shader compilers of this machine.
#[cfg(unix)]
fn offline_command(timeout: &str, filter: &str) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gpu-resnet"));
    command.args(["verify", "--offline-shaders", "--gpus", "none", "--filter", filter, "--timeout", timeout, "--json"]);
    command
}
