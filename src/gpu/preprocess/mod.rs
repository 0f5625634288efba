//! The shader preprocessor: a few comment directives, so that what a kernel does eight times is written once.
//!
//! ```text
//! //#axis PIECE [FLAG …] | …   an axis: the file yields a shader for each alternative, with its piece of the name (- for none) and
//!                              its flags, of which the first picks it; one alternative alone is part of all. NAME=NUMBER
//!                              among the flags gives a number to {…} and to the ranges of //#for
//! //#or PIECE [FLAG …]         one more alternative of the axis before
//! //#name PIECE [FLAG …] | …   an axis that begins the name, in place of the file's own
//! //#form PIECE FLAG … | …     an axis of none of these or one of these, which the device picks
//! //#with FLAG if FLAG !FLAG … the first flag is set too where the condition holds
//! //#never FLAG !FLAG …        no shader takes alternatives with such flags
//! //#unchecked                 kernels with this text run without bounds checks: their tests surround every output with guard words
//! //#enable EXTENSION if FLAG  WGSL's own enable, where the condition holds, at the shader's start
//! //#import shared/FILE.wgsl   the text of that file, once per shader
//! //#if FLAG [!FLAG …]         lines for variants that have the flags, and none of those after a !
//! //#elif …, //#else, //#endif
//! //#for I in FROM..TO, …      lines once for each number, {…} in them replaced: {I}, {4 * I + 1}, {xyzw[I]}, {even,odd[I]};
//!                              a second loop runs within the first
//! //#endfor
//! {I in FROM..TO: TEXT}        in a line: TEXT once for each number, separated by commas
//! ```
//!
//! Used by the build script alone; the crate itself carries only the expanded, validated sources.

mod axes;
mod expression;
mod tree;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use axes::holds;
// Of the build script.
#[cfg_attr(test, allow(unused_imports))]
pub use axes::{Axes, Variant, axes};
use expression::{Variables, number, substitute};
use tree::{Condition, Node, parse};

/// A shader's text, and the file and line that each of its lines comes from.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    pub text: String,
    /// Whether its kernels run without bounds checks, and without tests of divisors for zero.
    pub is_unchecked: bool,
    origins: Vec<(String, usize)>,
}

impl Expanded {
    /// `FILE:LINE` of a line of the text, counted from 1.
    pub fn origin(&self, line: usize) -> Option<String> {
        let (file, number) = self.origins.get(line.checked_sub(1)?)?;
        Some(format!("{file}:{number}"))
    }

    fn line(&mut self, file: &str, line: usize, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
        self.origins.push((file.to_owned(), line));
    }
}

/// The flags of one shader, and those that any has: a condition on another one is a mistake. And its numbers.
pub struct Flags<'a> {
    pub set: &'a BTreeSet<String>,
    pub known: &'a BTreeSet<String>,
    pub numbers: &'a BTreeMap<String, i64>,
}

/// Expands `source`, the text of `file`; `read` returns the text of an imported file.
///
/// # Errors
/// A mistake, with the file and line that it is in.
pub fn expand(
    file: &str,
    source: &str,
    flags: &Flags,
    read: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<Expanded, String> {
    let mut expansion =
        Expansion { flags, read, imported: HashSet::new(), enabled: Expanded::default(), out: Expanded::default() };
    expansion.file(file, source)?;
    let Expansion { mut enabled, out, .. } = expansion;
    enabled.text.push_str(&out.text);
    enabled.origins.extend(out.origins);
    Ok(Expanded { is_unchecked: out.is_unchecked, ..enabled })
}

struct Expansion<'a> {
    flags: &'a Flags<'a>,
    read: &'a mut dyn FnMut(&str) -> Result<String, String>,
    imported: HashSet<String>,
    /// The extensions, which WGSL wants before everything else.
    enabled: Expanded,
    out: Expanded,
}

impl Expansion<'_> {
    fn file(&mut self, file: &str, source: &str) -> Result<(), String> {
        let nodes = parse(source).map_err(|(line, what)| format!("{file}:{line}: {what}"))?;
        let numbers: Vec<_> = self.flags.numbers.iter().map(|(name, &value)| (name.as_str(), value)).collect();
        self.nodes(file, &nodes, &numbers)
    }

    fn nodes(&mut self, file: &str, nodes: &[Node], variables: &Variables) -> Result<(), String> {
        for node in nodes {
            let at = |line: usize, what: String| format!("{file}:{line}: {what}");
            match *node {
                Node::Text(line, text) => {
                    let text = substitute(text, variables).map_err(|e| at(line, e))?;
                    self.out.line(file, line, &text);
                }
                Node::Import(line, name) => {
                    if self.imported.insert(name.to_owned()) {
                        let text = (self.read)(name).map_err(|e| at(line, e))?;
                        self.file(name, &text)?;
                    }
                }
                Node::Unchecked => self.out.is_unchecked = true,
                Node::Enable { line, extension, ref condition } => {
                    if self.holds(condition).map_err(|e| at(line, e))? {
                        self.enabled.line(file, line, &format!("enable {extension};"));
                    }
                }
                Node::If(ref branches) => {
                    for (line, condition, body) in branches {
                        if self.holds(condition).map_err(|e| at(*line, e))? {
                            self.nodes(file, body, variables)?;
                            break;
                        }
                    }
                }
                Node::For { line, name, from, to, ref body } => {
                    let end = |text| number(text, variables).map_err(|e| at(line, e));
                    for value in end(from)?..end(to)? {
                        let inner: Vec<_> = variables.iter().copied().chain([(name, value)]).collect();
                        self.nodes(file, body, &inner)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn holds(&self, condition: &Condition) -> Result<bool, String> {
        let plain = |flag: &str| flag.strip_prefix('!').unwrap_or(flag).to_owned();
        match condition.iter().map(|flag| plain(flag)).find(|flag| !self.flags.known.contains(flag)) {
            Some(flag) => Err(format!("no shader has the flag {flag}")),
            None => Ok(holds(condition, self.flags.set)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(source: &str, flags: &[&str]) -> Result<Expanded, String> {
        let set = flags.iter().map(|f| f.to_string()).collect();
        let known = ["A", "B", "C", "F", "G"].map(str::to_owned).into();
        let numbers = [("SIDE".to_owned(), 3)].into();
        expand("main.wgsl", source, &Flags { set: &set, known: &known, numbers: &numbers }, &mut |name| match name {
            "shared/a.wgsl" => Ok("fn a() {}".into()),
            "shared/unchecked.wgsl" => Ok("//#unchecked\nx".into()),
            "shared/half.wgsl" => Ok("//#enable f16 if F\nx".into()),
            "shared/bad.wgsl" => Ok("x\n//#if F".into()),
            _ => Err(format!("no {name}")),
        })
    }

    fn run(source: &str, flags: &[&str]) -> Result<String, String> {
        expanded(source, flags).map(|expanded| expanded.text)
    }

    #[test]
    fn conditionals_choose_lines() {
        let source = "//#if F\nyes\n//#else\nno\n//#endif\nend";
        assert_eq!(run(source, &["F"]).unwrap(), "yes\nend\n");
        assert_eq!(run(source, &[]).unwrap(), "no\nend\n");
    }

    #[test]
    fn the_first_branch_that_holds_is_taken() {
        let source = "//#if A !B\na\n//#elif B\nb\n//#elif C\nc\n//#else\nnone\n//#endif";
        for (flags, taken) in
            [(&["A"][..], "a\n"), (&["A", "B"], "b\n"), (&["B", "C"], "b\n"), (&["C"], "c\n"), (&[], "none\n")]
        {
            assert_eq!(run(source, flags).unwrap(), taken, "{flags:?}");
        }
    }

    #[test]
    fn loops_repeat_lines() {
        let source = "//#for i in 0..2\n//#for j in i..2 * i + 1\nlet a{i}_{j} = {};\n//#endfor\n//#endfor\n}";
        assert_eq!(run(source, &[]).unwrap(), "let a0_0 = {};\nlet a1_1 = {};\nlet a1_2 = {};\n}\n");
        let nested = "//#for i in 0..2, j in i..2 * i + 1\na{i}_{j}\n//#endfor";
        assert_eq!(run(nested, &[]).unwrap(), "a0_0\na1_1\na1_2\n");
        assert_eq!(run("//#for i in 0..2\n//#if F\n{i}\n//#endif\n//#endfor", &["F"]).unwrap(), "0\n1\n");
    }

    #[test]
    fn numbers_of_axes_are_for_loops_and_text() {
        let source = "const SIDE = {SIDE};\n//#for i in 0..SIDE - 1\na{i}_{SIDE * i}\n//#endfor";
        assert_eq!(run(source, &[]).unwrap(), "const SIDE = 3;\na0_0\na1_3\n");
    }

    #[test]
    fn imports_once() {
        assert_eq!(run("//#import shared/a.wgsl\n//#import shared/a.wgsl", &[]).unwrap(), "fn a() {}\n");
        assert!(run("x\n//#import shared/b.wgsl", &[]).unwrap_err().contains("main.wgsl:2: no shared/b.wgsl"));
    }

    #[test]
    fn mistakes_are_errors_with_their_line() {
        for (bad, line) in [
            ("//#if F\nx", 1),
            ("//#endif", 1),
            ("x\n//#else", 2),
            ("//#if F\n//#else\n//#else\n//#endif", 3),
            ("//#if F\n//#else\n//#elif G\n//#endif", 3),
            ("//#if", 1),
            ("//#if F\n//#endfor", 2),
            ("//#for i in 0..2", 1),
            ("//#for i in 0..2\n{k}\n//#endfor", 2),
            ("//#for i in 0..k\n//#endfor", 1),
            ("//#for i 0..2\n//#endfor", 1),
            ("//#endfor", 1),
            ("//#nonsense", 1),
            ("//#enable f16", 1),
            ("x\n//#if FALG\n//#endif", 2),
            ("//#if F\n//#elif !FALG\n//#endif", 2),
        ] {
            let problem = run(bad, &[]).unwrap_err();
            assert!(problem.starts_with(&format!("main.wgsl:{line}: ")), "{bad:?}: {problem}");
        }
        assert!(run("//#import shared/bad.wgsl", &[]).unwrap_err().starts_with("shared/bad.wgsl:2: "));
    }

    #[test]
    fn every_line_knows_where_it_is_from() {
        let shader = expanded("//#import shared/a.wgsl\n//#if F\nx\n//#endif\n//#for i in 0..2\n{i}\n//#endfor", &[]);
        let shader = shader.unwrap();
        let origins: Vec<_> = (0..5).map(|line| shader.origin(line)).collect();
        let at = |origin: &str| Some(origin.to_owned());
        assert_eq!(origins, [None, at("shared/a.wgsl:1"), at("main.wgsl:6"), at("main.wgsl:6"), None]);
    }

    #[test]
    fn bounds_checks_are_off_where_a_file_says_so() {
        let is_unchecked = |source| expanded(source, &[]).unwrap().is_unchecked;
        assert!(is_unchecked("//#axis - | _a A\n//#unchecked\nx") && !is_unchecked("// unchecked\nx"));
        assert!(is_unchecked("//#import shared/unchecked.wgsl") && !is_unchecked("//#import shared/a.wgsl"));
        assert_eq!(run("//#unchecked\nx", &[]).unwrap(), "x\n");
    }

    #[test]
    fn extensions_are_enabled_where_a_condition_holds() {
        assert_eq!(run("//#enable f16 if F !G\nx", &["F"]).unwrap(), "enable f16;\nx\n");
        assert_eq!(run("//#enable f16 if F !G\nx", &["F", "G"]).unwrap(), "x\n");
        // At the start, wherever the file that needs it is imported.
        let shader = expanded("a\n//#import shared/half.wgsl\nb", &["F"]).unwrap();
        assert_eq!(shader.text, "enable f16;\na\nx\nb\n");
        assert_eq!(
            [1, 2, 3].map(|line| shader.origin(line).unwrap()),
            ["shared/half.wgsl:1", "main.wgsl:1", "shared/half.wgsl:2"]
        );
    }
}
