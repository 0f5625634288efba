//! A report is sent to strangers, so home folders, which contain the user's name, are removed from every message.

use super::types::Report;

impl Report {
    /// The report without anything about the person whose machine it is: paths under a home folder start with `~`.
    pub fn redacted(mut self) -> Self {
        let homes: Vec<String> = ["HOME", "USERPROFILE"].iter().filter_map(|name| std::env::var(name).ok()).collect();
        let clean = |text: &mut String| *text = redact(text, &homes);
        for run in &mut self.adapters {
            for text in [&mut run.adapter.name, &mut run.adapter.driver, &mut run.adapter.driver_info] {
                clean(text);
            }
            run.adapter.unusable.iter_mut().for_each(clean);
            run.controls.iter_mut().for_each(|control| clean(&mut control.message));
            run.cases.iter_mut().for_each(|case| clean(&mut case.message));
            let probes = run.fingerprint.iter_mut().flat_map(|fingerprint| &mut fingerprint.probes);
            probes.for_each(|probe| clean(&mut probe.detail));
        }
        self.switches.values_mut().for_each(clean);
        self
    }
}

/// `text` with home folders replaced by `~`: those in `homes`, and whatever looks like one.
fn redact(text: &str, homes: &[String]) -> String {
    let mut text = text.to_owned();
    for home in homes.iter().filter(|home| home.len() > 1) {
        text = text.replace(home.as_str(), "~");
    }
    for folder in ["/home/", "/Users/", "\\Users\\"] {
        while let Some(at) = text.find(folder) {
            let name = at + folder.len();
            let end =
                text[name..].find(['/', '\\', ' ', '\'', '"', ':', ')', '\n']).map_or(text.len(), |end| name + end);
            // A drive letter belongs to it.
            let start = if folder.starts_with('\\') && text[..at].ends_with(':') { at.saturating_sub(2) } else { at };
            let start = if text.is_char_boundary(start) { start } else { at };
            text.replace_range(start..end, "~");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::sample::sample;
    use super::*;

    #[test]
    fn homes_are_taken_out() {
        let homes = ["/srv/people/ada".to_owned(), "/".to_owned()];
        for (text, clean) in [
            ("at /srv/people/ada/.cargo/x.rs:1", "at ~/.cargo/x.rs:1"),
            ("/home/bob/a and /home/eve", "~/a and ~"),
            ("open '/Users/Grace Hopper/x'", "open '~ Hopper/x'"),
            (r"C:\Users\bob\a.json", r"~\a.json"),
            (r"é\Users\bob", r"é~"),
            ("/usr/share/vulkan", "/usr/share/vulkan"),
        ] {
            assert_eq!(redact(text, &homes), clean);
        }
    }

    /// No report names the user or their home folder, whatever a driver says.
    #[test]
    fn a_report_names_nobody() {
        let mut report = sample();
        let home = std::env::var("HOME").unwrap_or("/home/somebody".into());
        let run = &mut report.adapters[0];
        run.cases[0].message = format!("panicked at {home}/.cargo/registry/wgpu.rs, /home/somebody/x");
        run.controls[0].message = format!("{home}/cache");
        run.adapter.driver_info = format!("{home}/driver.so");
        let leaks = |report: &Report| {
            let text = report.to_json().unwrap();
            text.contains(&home) || text.contains("somebody")
        };
        assert!(leaks(&report), "the control");
        assert!(!leaks(&report.redacted()));
    }
}
