//! Children compute by the kernel that their arguments name, or else by the one that the environment names.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// The shaders that a child compiles for a network, by `arguments` and `GPU_RESNET_CONV2D=variable`.
fn shaders(arguments: &[&str], variable: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-resnet"));
    command.args(["verify", "--child"]).args(arguments).env("GPU_RESNET_CONV2D", variable);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a child");
    let mut tasks = child.stdin.take().expect("its stdin");
    let mut answers = BufReader::new(child.stdout.take().expect("its stdout")).lines();
    let mut ask = |task: &str| {
        writeln!(tasks, "{task}").expect("a task");
        answers.next().expect("an answer").expect("text")
    };
    let case = ask("{\"case\":\"network name=plain20\"}");
    assert!(case.contains("\"pass\""), "{case}");
    let shaders = ask("\"shaders\"");
    drop(tasks);
    child.wait().expect("its end");
    shaders
}

#[test]
fn children_are_told_the_kernel_by_arguments() {
    assert!(shaders(&["--conv2d", "register"], "").contains("\"conv2d_register\""));
    assert!(shaders(&[], "gemm-32x32").contains("\"conv2d_gemm_32x32\""));
    // What the parent says goes before what the child finds.
    let both = shaders(&["--conv2d", "register"], "gemm-32x32");
    assert!(both.contains("\"conv2d_register\"") && !both.contains("gemm"), "{both}");
}
