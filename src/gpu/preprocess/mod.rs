//! The shader preprocessor: a few comment directives, so that what a kernel does eight times is written once.
//!
//! ```text
//! //#variant NAME [FLAG …]     this file also yields the shader NAME, with the flags set (none: one shader, the file's name)
//! //#unchecked                 its kernels run without bounds checks: their tests surround every output with guard words
//! //#import shared/FILE.wgsl   the text of that file, once per shader
//! //#if FLAG [!FLAG …]         lines for variants that have the flags, and none of those after a !
//! //#elif …, //#else, //#endif
//! //#for I in FROM..TO         lines once for each number, {…} in them replaced: {I}, {4 * I + 1}, {xyzw[I]}, {even,odd[I]}
//! //#endfor
//! ```
//!
//! Used by the build script alone; the crate itself carries only the expanded, validated sources.

mod expression;
mod tree;

use std::collections::HashSet;

use expression::{Variables, number, substitute};
use tree::{Condition, Node, parse};

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

/// Whether the kernels of `source` run without bounds checks, and without tests of divisors for zero.
pub fn is_unchecked(source: &str) -> bool {
    source.lines().any(|line| line.trim() == "//#unchecked")
}

/// A shader's text, and the file and line that each of its lines comes from.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    pub text: String,
    origins: Vec<(String, usize)>,
}

impl Expanded {
    /// `FILE:LINE` of a line of the text, counted from 1.
    pub fn origin(&self, line: usize) -> Option<String> {
        let (file, number) = self.origins.get(line.checked_sub(1)?)?;
        Some(format!("{file}:{number}"))
    }
}

/// Expands `source`, the text of `file`; `read` returns the text of an imported file.
///
/// # Errors
/// A mistake, with the file and line that it is in.
pub fn expand(
    file: &str,
    source: &str,
    flags: &HashSet<String>,
    read: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<Expanded, String> {
    let mut expansion = Expansion { flags, read, imported: HashSet::new(), out: Expanded::default() };
    expansion.file(file, source)?;
    Ok(expansion.out)
}

struct Expansion<'a> {
    flags: &'a HashSet<String>,
    read: &'a mut dyn FnMut(&str) -> Result<String, String>,
    imported: HashSet<String>,
    out: Expanded,
}

impl Expansion<'_> {
    fn file(&mut self, file: &str, source: &str) -> Result<(), String> {
        let nodes = parse(source).map_err(|(line, what)| format!("{file}:{line}: {what}"))?;
        self.nodes(file, &nodes, &[])
    }

    fn nodes(&mut self, file: &str, nodes: &[Node], variables: &Variables) -> Result<(), String> {
        for node in nodes {
            let at = |line: usize, what: String| format!("{file}:{line}: {what}");
            match *node {
                Node::Text(line, text) => {
                    let text = if variables.is_empty() { Ok(text.to_owned()) } else { substitute(text, variables) };
                    self.out.text.push_str(&text.map_err(|e| at(line, e))?);
                    self.out.text.push('\n');
                    self.out.origins.push((file.to_owned(), line));
                }
                Node::Import(line, name) => {
                    if self.imported.insert(name.to_owned()) {
                        let text = (self.read)(name).map_err(|e| at(line, e))?;
                        self.file(name, &text)?;
                    }
                }
                Node::If(ref branches) => {
                    if let Some((_, body)) = branches.iter().find(|(condition, _)| self.holds(condition)) {
                        self.nodes(file, body, variables)?;
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

    fn holds(&self, condition: &Condition) -> bool {
        condition.iter().all(|flag| match flag.strip_prefix('!') {
            Some(flag) => !self.flags.contains(flag),
            None => self.flags.contains(*flag),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(source: &str, flags: &[&str]) -> Result<Expanded, String> {
        let flags = flags.iter().map(|f| f.to_string()).collect();
        expand("main.wgsl", source, &flags, &mut |name| match name {
            "shared/a.wgsl" => Ok("fn a() {}".into()),
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
        let source = "//#for i in 0..2\n//#for j in i..2 * i + 1\nlet a{i}_{j} = {};\n//#endfor\n//#endfor\n{i}";
        assert_eq!(run(source, &[]).unwrap(), "let a0_0 = {};\nlet a1_1 = {};\nlet a1_2 = {};\n{i}\n");
        assert_eq!(run("//#for i in 0..2\n//#if F\n{i}\n//#endif\n//#endfor", &["F"]).unwrap(), "0\n1\n");
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
    fn bounds_checks_are_off_where_the_file_says_so() {
        assert!(is_unchecked("//#variant a\n//#unchecked\nx") && !is_unchecked("// unchecked\n//#unchecked_not"));
        assert_eq!(run("//#unchecked\nx", &[]).unwrap(), "x\n");
    }

    #[test]
    fn variants_default_to_the_file() {
        assert_eq!(variants("relu", "fn x() {}")[0].name, "relu");
        let declared = variants("conv", "//#variant conv_a A B\n//#variant conv_b");
        assert_eq!(declared.len(), 2);
        assert!(declared[0].flags.contains("B") && declared[1].flags.is_empty());
    }
}
