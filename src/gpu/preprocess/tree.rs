//! A shader's source as a tree of its directives.

use super::expression::range;

/// Flags, those that must not be set after a `!`; all must hold, and none always does.
pub type Condition<'a> = Vec<&'a str>;

/// Lines are counted from 1.
#[derive(Debug)]
pub enum Node<'a> {
    Text(usize, &'a str),
    Import(usize, &'a str),
    Unchecked,
    Enable {
        line: usize,
        extension: &'a str,
        condition: Condition<'a>,
    },
    /// The first branch whose condition holds; each with the line of its condition.
    If(Vec<(usize, Condition<'a>, Vec<Node<'a>>)>),
    For {
        line: usize,
        name: &'a str,
        from: &'a str,
        to: &'a str,
        body: Vec<Node<'a>>,
    },
}

/// A mistake, and its line.
type Mistake = (usize, String);

/// A directive's line, its word, and what follows.
type Directive<'a> = (usize, &'a str, &'a str);

/// The tree of `source`.
///
/// # Errors
/// The line of a mistake, and what it is.
pub fn parse(source: &str) -> Result<Vec<Node<'_>>, Mistake> {
    let mut parser = Parser { lines: source.lines().enumerate() };
    let (nodes, end) = parser.nodes()?;
    match end {
        None => Ok(nodes),
        Some((line, word, _)) => Err((line, format!("//#{word} without what it would end"))),
    }
}

struct Parser<'a> {
    lines: std::iter::Enumerate<std::str::Lines<'a>>,
}

impl<'a> Parser<'a> {
    /// Nodes up to a directive that ends what they are in, and that directive.
    fn nodes(&mut self) -> Result<(Vec<Node<'a>>, Option<Directive<'a>>), Mistake> {
        let mut nodes = Vec::new();
        while let Some((index, text)) = self.lines.next() {
            let line = index + 1;
            let Some(directive) = text.trim().strip_prefix("//#") else {
                nodes.push(Node::Text(line, text));
                continue;
            };
            let (word, rest) = directive.split_once(' ').map_or((directive, ""), |(word, rest)| (word, rest.trim()));
            match word {
                // See `axes`.
                "axis" | "or" | "name" | "form" | "with" | "never" => {}
                "unchecked" => nodes.push(Node::Unchecked),
                "enable" => nodes.push(enabled(line, rest)?),
                "import" => nodes.push(Node::Import(line, rest)),
                "if" => nodes.push(self.branches(line, rest)?),
                "for" => nodes.push(self.repeated(line, rest)?),
                "elif" | "else" | "endif" | "endfor" => return Ok((nodes, Some((line, word, rest)))),
                other => return Err((line, format!("unknown directive //#{other}"))),
            }
        }
        Ok((nodes, None))
    }

    fn branches(&mut self, start: usize, rest: &'a str) -> Result<Node<'a>, Mistake> {
        let mut branches = Vec::new();
        let mut at = start;
        let mut condition = condition_of(start, rest)?;
        let mut is_last = false;
        loop {
            let (body, end) = self.nodes()?;
            branches.push((at, condition, body));
            match end {
                Some((_, "endif", _)) => return Ok(Node::If(branches)),
                Some((line, word @ ("elif" | "else"), _)) if is_last => {
                    return Err((line, format!("//#{word} after //#else")));
                }
                Some((line, "elif", rest)) => (at, condition) = (line, condition_of(line, rest)?),
                Some((line, "else", _)) => (at, condition, is_last) = (line, Vec::new(), true),
                Some((line, word, _)) => return Err((line, format!("//#{word} in the //#if of line {start}"))),
                None => return Err((start, "//#if without //#endif".to_owned())),
            }
        }
    }

    fn repeated(&mut self, line: usize, rest: &'a str) -> Result<Node<'a>, Mistake> {
        let Some(ranges) = rest.split(", ").map(range).collect::<Option<Vec<_>>>() else {
            return Err((line, format!("//#for {rest} is not //#for NAME in FROM..TO, …")));
        };
        let within =
            |body, &(name, from, to): &(&'a str, &'a str, &'a str)| vec![Node::For { line, name, from, to, body }];
        match self.nodes()? {
            (body, Some((_, "endfor", _))) => Ok(ranges.iter().rev().fold(body, within).remove(0)),
            (_, Some((end, word, _))) => Err((end, format!("//#{word} in the //#for of line {line}"))),
            (_, None) => Err((line, "//#for without //#endfor".to_owned())),
        }
    }
}

fn enabled(line: usize, rest: &str) -> Result<Node<'_>, Mistake> {
    match rest.split_once(" if ") {
        Some((extension, condition)) => Ok(Node::Enable { line, extension, condition: condition_of(line, condition)? }),
        None => Err((line, format!("//#enable {rest} is not //#enable EXTENSION if FLAG"))),
    }
}

fn condition_of(line: usize, rest: &str) -> Result<Condition<'_>, Mistake> {
    let flags: Condition = rest.split_whitespace().collect();
    if flags.is_empty() { Err((line, "a condition without a flag".to_owned())) } else { Ok(flags) }
}
