//! The shader preprocessor: a few comment directives, so that every file under `shaders/` stays plain WGSL to an editor.
//!
//! ```text
//! //#variant NAME [FLAG …]   this file also yields the shader NAME, with the flags set (none: one shader, the file's name)
//! //#import shared/FILE.wgsl the text of that file, once per shader
//! //#if FLAG / //#else / //#endif
//! ```
//!
//! Used by the build script alone; the crate itself carries only the expanded, validated sources.

use std::collections::HashSet;

/// One shader to build: its name and the flags that select its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    pub name: String,
    pub flags: HashSet<String>,
}

/// The variants that `source` declares, or the single one `stem`.
pub fn variants(stem: &str, source: &str) -> Vec<Variant> {
    let declared: Vec<Variant> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("//#variant "))
        .map(|rest| {
            let mut words = rest.split_whitespace().map(str::to_owned);
            Variant { name: words.next().unwrap_or_default(), flags: words.collect() }
        })
        .collect();
    if declared.is_empty() { vec![Variant { name: stem.to_owned(), flags: HashSet::new() }] } else { declared }
}

/// Expands imports and conditionals of `source`; `read` returns the text of an imported file.
pub fn expand(
    source: &str,
    flags: &HashSet<String>,
    read: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<String, String> {
    let mut out = String::new();
    expand_into(source, flags, read, &mut HashSet::new(), &mut out)?;
    Ok(out)
}

fn expand_into(
    source: &str,
    flags: &HashSet<String>,
    read: &mut dyn FnMut(&str) -> Result<String, String>,
    imported: &mut HashSet<String>,
    out: &mut String,
) -> Result<(), String> {
    // One entry per open `//#if`: whether its lines are kept.
    let mut open: Vec<bool> = Vec::new();
    for (number, line) in source.lines().enumerate() {
        let at = |what: &str| format!("line {}: {what}", number + 1);
        let Some(directive) = line.trim().strip_prefix("//#") else {
            if open.iter().all(|&kept| kept) {
                out.push_str(line);
                out.push('\n');
            }
            continue;
        };
        let (word, rest) = directive.split_once(' ').unwrap_or((directive, ""));
        match word {
            "variant" => {}
            "if" => open.push(flags.contains(rest.trim())),
            "else" => {
                let last = open.last_mut().ok_or_else(|| at("//#else without //#if"))?;
                *last = !*last;
            }
            "endif" => drop(open.pop().ok_or_else(|| at("//#endif without //#if"))?),
            "import" => {
                if open.iter().all(|&kept| kept) && imported.insert(rest.trim().to_owned()) {
                    let text = read(rest.trim()).map_err(|e| at(&e))?;
                    expand_into(&text, flags, read, imported, out)?;
                }
            }
            other => return Err(at(&format!("unknown directive //#{other}"))),
        }
    }
    if open.is_empty() { Ok(()) } else { Err("//#if without //#endif".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(source: &str, flags: &[&str]) -> Result<String, String> {
        let flags = flags.iter().map(|f| f.to_string()).collect();
        expand(source, &flags, &mut |name| {
            if name == "shared/a.wgsl" { Ok("fn a() {}".into()) } else { Err(format!("no {name}")) }
        })
    }

    #[test]
    fn conditionals_choose_lines() {
        let source = "//#if F\nyes\n//#else\nno\n//#endif\nend";
        assert_eq!(run(source, &["F"]).unwrap(), "yes\nend\n");
        assert_eq!(run(source, &[]).unwrap(), "no\nend\n");
    }

    #[test]
    fn imports_once() {
        assert_eq!(run("//#import shared/a.wgsl\n//#import shared/a.wgsl", &[]).unwrap(), "fn a() {}\n");
        assert!(run("//#import shared/b.wgsl", &[]).unwrap_err().contains("line 1"));
    }

    #[test]
    fn mistakes_are_errors() {
        for bad in ["//#if F\nx", "//#endif", "//#else", "//#nonsense"] {
            assert!(run(bad, &[]).is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn variants_default_to_the_file() {
        assert_eq!(variants("relu", "fn x() {}")[0].name, "relu");
        let declared = variants("conv", "//#variant conv_a A B\n//#variant conv_b");
        assert_eq!(declared.len(), 2);
        assert!(declared[0].flags.contains("B") && declared[1].flags.is_empty());
    }
}
