//! Every shader and entry point, with the constants that ops give it, translated to what each backend compiles: SPIR-V
//! (checked by spirv-val where it is installed), MSL, HLSL and GLSL. A kernel that can't run on Metal or DX12 fails here,
//! on a machine that has neither.

use std::io::Write;
use std::process::{Command, Stdio};

use gpu_resnet::gpu::shaders::{self, Shader};
use naga::back::pipeline_constants::process_overrides;
use naga::back::{PipelineConstants, glsl, hlsl, msl, spv};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{Module, ShaderStage};

/// The largest workgroup and workgroup memory that every adapter has by default.
const MAX_INVOCATIONS: u32 = 256;
const MAX_WORKGROUP_BYTES: u32 = 16 << 10;

/// The values that ops give an `override` constant.
fn values(constant: &str) -> &'static [f64] {
    match constant {
        "POINTWISE" => &[0.0, 1.0],
        other => panic!("no values are listed here for the constant {other}; add those that its op gives it"),
    }
}

/// The specialisations of a shader: its constants all at their first value, all at their second, and so on.
fn constants(module: &Module) -> Vec<PipelineConstants> {
    let names: Vec<String> = module.overrides.iter().filter_map(|(_, constant)| constant.name.clone()).collect();
    let count = names.iter().map(|name| values(name).len()).max().unwrap_or(1);
    let value = |name: &String, index: usize| values(name)[index.min(values(name).len() - 1)];
    (0..count).map(|index| names.iter().map(|name| (name.clone(), value(name, index))).collect()).collect()
}

fn parse(text: &str) -> Result<(Module, ModuleInfo), String> {
    let module = naga::front::wgsl::parse_str(text).map_err(|error| error.emit_to_string(text))?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .map_err(|error| error.emit_to_string(text))?;
    Ok((module, info))
}

/// The problems of all translations of one entry point.
fn translate(text: &str, entry: &str) -> Vec<String> {
    let (module, info) = match parse(text) {
        Ok(parsed) => parsed,
        Err(error) => return vec![error],
    };
    let mut problems = Vec::new();
    for constants in constants(&module) {
        let stage = (ShaderStage::Compute, entry);
        let processed = process_overrides(&module, &info, Some(stage), &constants);
        let (module, info) = match processed {
            Ok(processed) => processed,
            Err(error) => return vec![format!("overrides: {error}")],
        };
        for (target, result) in [
            ("SPIR-V", spirv(&module, &info, entry)),
            ("MSL", metal(&module, &info, entry)),
            ("HLSL", direct_x(&module, &info, entry)),
            ("GLSL", gl(&module, &info, entry)),
        ] {
            if let Err(error) = result {
                problems.push(format!("{target} with {constants:?}: {error}"));
            }
        }
    }
    problems
}

fn spirv(module: &Module, info: &ModuleInfo, entry: &str) -> Result<(), String> {
    let options = spv::Options {
        // What wgpu asks of Vulkan 1.1 and later.
        lang_version: (1, 3),
        ..Default::default()
    };
    let pipeline = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: entry.into() };
    let words = spv::write_vec(module, info, &options, Some(&pipeline)).map_err(|error| error.to_string())?;
    if words.len() < 100 {
        return Err(format!("only {} words", words.len()));
    }
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    spirv_val(&bytes)
}

/// Runs spirv-val, if it is installed.
fn spirv_val(bytes: &[u8]) -> Result<(), String> {
    let mut command = Command::new("spirv-val");
    command
        .args(["--target-env", "vulkan1.1", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else { return Ok(()) };
    // Dropping the pipe ends its input.
    let written = child.stdin.take().expect("a pipe").write_all(bytes);
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return written.map_err(|error| error.to_string());
    }
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    Err(format!("spirv-val: {stdout}{stderr}"))
}

fn metal(module: &Module, info: &ModuleInfo, entry: &str) -> Result<(), String> {
    let options = msl::Options { lang_version: (2, 4), ..Default::default() };
    let pipeline =
        msl::PipelineOptions { entry_point: Some((ShaderStage::Compute, entry.into())), ..Default::default() };
    let (text, translation) =
        msl::write_string(module, info, &options, &pipeline).map_err(|error| error.to_string())?;
    for name in &translation.entry_point_names {
        name.as_ref().map_err(|error| error.to_string())?;
    }
    contains(&text, "kernel void")
}

fn direct_x(module: &Module, info: &ModuleInfo, entry: &str) -> Result<(), String> {
    // The first shader model with wave operations, which wgpu's DX12 backend needs at least.
    let options = hlsl::Options { shader_model: hlsl::ShaderModel::V6_0, ..Default::default() };
    let pipeline = hlsl::PipelineOptions { entry_point: Some((ShaderStage::Compute, entry.into())) };
    let mut text = String::new();
    let reflection = hlsl::Writer::new(&mut text, &options, &pipeline)
        .write(module, info, None)
        .map_err(|error| error.to_string())?;
    for name in &reflection.entry_point_names {
        name.as_ref().map_err(|error| error.to_string())?;
    }
    contains(&text, "numthreads")
}

fn gl(module: &Module, info: &ModuleInfo, entry: &str) -> Result<(), String> {
    let options = glsl::Options::default();
    let pipeline =
        glsl::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: entry.into(), multiview: None };
    let mut text = String::new();
    glsl::Writer::new(&mut text, module, info, &options, &pipeline, Default::default())
        .and_then(|mut writer| writer.write())
        .map_err(|error| error.to_string())?;
    contains(&text, "local_size_x")
}

fn contains(text: &str, part: &str) -> Result<(), String> {
    if text.contains(part) { Ok(()) } else { Err(format!("the translation has no {part:?}")) }
}

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
fn every_entry_point_translates() {
    let installed = Command::new("spirv-val").arg("--version").output().is_ok();
    println!("spirv-val is {}", if installed { "installed" } else { "not installed, so SPIR-V is only written" });
    let mut problems = Vec::new();
    each_entry_point(|shader, entry| {
        for problem in translate(shader.source, entry.name) {
            problems.push(format!("{} {}: {problem}", shader.name, entry.name));
        }
    });
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Each layer's gradient has its shader, and each way of running a convolution backward.
#[test]
fn every_backward_kernel_is_there() {
    for name in [
        "conv2d_backward_input_gemm",
        "conv2d_backward_input_register",
        "conv2d_backward_input_subgroup",
        "conv2d_backward_weight_register",
        "conv2d_backward_weight_subgroup",
        "sum_partials",
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

#[test]
fn every_entry_point_keeps_to_the_common_limits() {
    each_entry_point(|shader, entry| {
        let (module, _) = parse(shader.source).expect("a valid shader");
        let invocations: u32 = entry.workgroup_size.iter().product();
        assert!((1..=MAX_INVOCATIONS).contains(&invocations), "{}: {invocations} invocations", shader.name);
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).expect("a layout");
        let workgroup = module.global_variables.iter().filter(|(_, g)| g.space == naga::AddressSpace::WorkGroup);
        let bytes: u32 = workgroup.map(|(_, global)| layouter[global.ty].size).sum();
        assert!(bytes <= MAX_WORKGROUP_BYTES, "{}: {bytes} bytes of workgroup memory", shader.name);
        let storage = entry.bindings.iter().filter(|(_, kind)| *kind != shaders::BindingKind::Uniform).count();
        assert!(storage <= 8, "{} {}: {storage} storage buffers", shader.name, entry.name);
    });
}

/// The negative control: a broken shader fails, wherever it is broken.
#[test]
fn broken_shaders_are_caught() {
    let relu = shaders::find("relu").expect("relu").source;
    assert_eq!(translate(relu, "main"), Vec::<String>::new());
    let broken = |from: &str, to: &str| {
        assert!(relu.contains(from), "relu has no {from:?} to break");
        relu.replace(from, to)
    };
    assert!(!translate(&broken("return;", "return 1;"), "main").is_empty(), "a type error");
    assert!(!translate(&broken("input[i]", "inptu[i]"), "main").is_empty(), "an unknown name");
    assert!(!translate(relu, "other").is_empty(), "an entry point that isn't there");
    // Valid for naga, but Metal has no doubles.
    let double = broken("input[i])", "input[i]) * f32(f64(1.0) * f64(size4.x))");
    assert!(parse(&double).is_ok(), "the shader itself is valid");
    assert!(translate(&double, "main").iter().any(|problem| problem.starts_with("MSL")), "doubles on Metal");
}

/// spirv-val itself must notice.
#[test]
fn broken_spirv_is_caught() {
    if Command::new("spirv-val").arg("--version").output().is_err() {
        println!("spirv-val is not installed");
        return;
    }
    // A header, and OpCapability Shader with nothing after it.
    let words = [0x0723_0203u32, 0x0001_0300, 0, 1, 0, 0x0002_0011, 1];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    assert!(spirv_val(&bytes).is_err());
}
