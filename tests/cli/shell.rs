//! What shells and `man` are told.

use super::support::Sandbox;

const COMMANDS: [&str; 6] = ["infer", "finetune", "evaluate", "verify", "weights", "data"];

#[test]
fn completions_know_the_commands() {
    let here = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = here.good(&["completions", shell]);
        assert!(COMMANDS.iter().all(|command| script.contains(command)), "{shell}");
        assert!(script.contains("top-k"), "{shell} knows no options");
    }
    here.bad(2, "csh", &["completions", "csh"]);
}

#[test]
fn manual_pages_are_written_for_each_command() {
    let here = Sandbox::new();
    let page = here.good(&["man"]);
    assert!(page.contains(".TH gpu-resnet 1"), "{page}");
    here.good(&["man", "--output", "pages"]);
    for command in COMMANDS {
        let page = std::fs::read_to_string(here.path(&format!("pages/gpu-resnet-{command}.1"))).unwrap();
        assert!(page.contains("Example"), "{command} has no example");
    }
    here.write("file", b"");
    here.bad(1, "file", &["man", "--output", "file"]);
}
