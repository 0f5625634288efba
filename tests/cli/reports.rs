//! `verify`'s reports: what is written, that it names nobody, two side by side, and shaders without a GPU.

use super::support::Sandbox;

#[test]
fn reports_are_written_compared_and_name_nobody() {
    let here = Sandbox::new();
    here.good(&["verify", "--filter", "^relu ", "--report", "a.json", "--html", "a.html", "--markdown", "a.md"]);
    let read = |name: &str| std::fs::read_to_string(here.path(name)).unwrap();
    let report: serde_json::Value = serde_json::from_str(&read("a.json")).unwrap();
    assert_eq!((&report["schema"], &report["valid"]), (&1.into(), &true.into()));
    assert!(report["adapters"][0]["fingerprint"]["probes"].as_array().unwrap().len() > 80);
    assert!(read("a.html").contains("Pass") && read("a.md").contains("verify: Pass"));
    let home = std::env::var("HOME").unwrap_or_default();
    let users = ["USER", "LOGNAME", "HOSTNAME"].map(|name| std::env::var(name).unwrap_or_default());
    for file in ["a.json", "a.html", "a.md"] {
        let text = read(file);
        assert!(home.len() < 2 || !text.contains(&home), "{file} has the home folder {home}");
        for user in users.iter().filter(|user| user.len() > 2) {
            // As a word: "root" is part of others.
            let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
            assert!(!text.split(|c| !word(c)).any(|found| found == user), "{file} names {user}");
        }
    }
    let alike = here.good(&["verify", "--compare", "a.json", "a.json", "--html", "c.html"]);
    assert!(alike.contains("verdicts that differ: all alike") && read("c.html").contains("Alike"), "{alike}");
    here.good(&["verify", "--read", "a.json", "--html", "b.html"]);
    assert_eq!(read("a.html"), read("b.html"));
    here.write("b.json", b"{\"schema\": 7}");
    here.bad(1, "b.json", &["verify", "--compare", "a.json", "b.json"]);
    here.bad(1, "no/a.html", &["verify", "--filter", "^relu ", "--html", "no/a.html"]);
}

#[test]
fn shaders_are_checked_without_a_gpu() {
    let here = Sandbox::new();
    let table = here.good(&["verify", "--offline-shaders", "--gpus", "none", "--filter", "^relu "]);
    assert!(table.contains("spirv-val") && table.contains("relu main") && !table.contains("conv2d"), "{table}");
    let json: serde_json::Value = serde_json::from_str(&here.good(&[
        "verify",
        "--offline-shaders",
        "--gpus",
        "none",
        "--filter",
        "^relu ",
        "--json",
    ]))
    .unwrap();
    let status = json["kernels"][0]["targets"]["msl"]["status"].as_str().unwrap();
    assert!(["translated", "compiled"].contains(&status));
    here.bad(2, "no kernel", &["verify", "--offline-shaders", "--gpus", "none", "--filter", "nonsense"]);
}
