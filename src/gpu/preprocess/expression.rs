//! The values between braces: integer arithmetic over the numbers of axes and loop variables, and picks out of words; and lists.

/// A number or loop variable and its value, innermost last.
pub type Variables<'a> = [(&'a str, i64)];

/// `line` with every `{…}` replaced by its value, and every list `{NAME in FROM..TO: …}` by what it repeats, separated by commas.
///
/// # Errors
/// What is between braces and has no value.
pub fn substitute(line: &str, variables: &Variables) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = line;
    while let Some(open) = rest.find('{') {
        let Some(close) = closing(&rest[open..]).map(|at| open + at) else { break };
        let inside = &rest[open + 1..close];
        out.push_str(&rest[..open]);
        let replaced = match list(inside, variables)? {
            Some(items) => items,
            // Braces around nothing or around statements are WGSL's own.
            None if variables.is_empty() || inside.trim().is_empty() || inside.contains([';', '{', '=']) => {
                out.push('{');
                rest = &rest[open + 1..];
                continue;
            }
            None => value(inside, variables).map_err(|e| format!("{{{inside}}}: {e}"))?,
        };
        out.push_str(&replaced);
        rest = &rest[close + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Where the brace that `text` begins with is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    text.char_indices().find_map(|(at, c)| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        (depth == 0).then_some(at)
    })
}

/// What `NAME in FROM..TO: TEXT` repeats, if `inside` is of that form.
fn list(inside: &str, variables: &Variables) -> Result<Option<String>, String> {
    let Some((head, body)) = inside.split_once(": ") else { return Ok(None) };
    let Some((name, from, to)) = range(head) else { return Ok(None) };
    let item = |value| substitute(body, &[variables, &[(name, value)]].concat());
    let items: Result<Vec<_>, _> = (number(from, variables)?..number(to, variables)?).map(item).collect();
    Ok(Some(items?.join(", ")))
}

/// The parts of `NAME in FROM..TO`.
pub fn range(text: &str) -> Option<(&str, &str, &str)> {
    let (name, range) = text.split_once(" in ")?;
    let (from, to) = range.split_once("..")?;
    Some((name.trim(), from, to))
}

/// `xyzw[i]` is a letter of the word, `even,odd[i]` one of the words, anything else a number.
fn value(text: &str, variables: &Variables) -> Result<String, String> {
    let Some((words, index)) = text.trim().strip_suffix(']').and_then(|text| text.split_once('[')) else {
        return number(text, variables).map(|n| n.to_string());
    };
    let index = number(index, variables)?;
    let choices: Vec<String> = if words.contains(',') {
        words.split(',').map(|word| word.trim().to_owned()).collect()
    } else {
        words.trim().chars().map(String::from).collect()
    };
    let chosen = usize::try_from(index).ok().and_then(|index| choices.get(index));
    chosen.cloned().ok_or_else(|| format!("there is no number {index} among {words}"))
}

/// The value of `text`, with the usual precedence of + - * / % and parentheses.
///
/// # Errors
/// What is not understood.
pub fn number(text: &str, variables: &Variables) -> Result<i64, String> {
    let mut parser = Parser { rest: text, variables };
    let sum = parser.sum()?;
    if parser.rest.trim().is_empty() { Ok(sum) } else { Err(format!("{:?} is not understood", parser.rest.trim())) }
}

struct Parser<'a> {
    rest: &'a str,
    variables: &'a Variables<'a>,
}

impl Parser<'_> {
    /// Takes the next character if it is one of `wanted`.
    fn take(&mut self, wanted: &[char]) -> Option<char> {
        let rest = self.rest.trim_start();
        let found = rest.chars().next().filter(|c| wanted.contains(c))?;
        self.rest = &rest[1..];
        Some(found)
    }

    fn sum(&mut self) -> Result<i64, String> {
        let mut left = self.product()?;
        while let Some(sign) = self.take(&['+', '-']) {
            let right = self.product()?;
            left += if sign == '+' { right } else { -right };
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<i64, String> {
        let mut left = self.operand()?;
        while let Some(sign) = self.take(&['*', '/', '%']) {
            let right = self.operand()?;
            left = match sign {
                '*' => left.checked_mul(right),
                '/' => left.checked_div(right),
                _ => left.checked_rem(right),
            }
            .ok_or("it divides by zero or is too large")?;
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<i64, String> {
        if self.take(&['(']).is_some() {
            let inner = self.sum()?;
            return self.take(&[')']).map(|_| inner).ok_or_else(|| "a parenthesis is open".to_owned());
        }
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        self.rest = after;
        if let Ok(number) = word.parse() {
            return Ok(number);
        }
        let found = self.variables.iter().rev().find(|(name, _)| *name == word);
        found.map(|&(_, value)| value).ok_or_else(|| format!("{word:?} is no number and no loop variable"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_usual_precedence() {
        let of = |text| number(text, &[("i", 3), ("j", 5)]);
        assert_eq!(of("4 * i + j % 2"), Ok(13));
        assert_eq!(of("(i + j) * 2 - 10 / i"), Ok(13));
        assert_eq!(of("7"), Ok(7));
        for bad in ["", "k", "i +", "(i", "i 2", "i / 0", "1.5"] {
            assert!(of(bad).is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn inner_variables_hide_outer_ones() {
        assert_eq!(number("i", &[("i", 1), ("i", 2)]), Ok(2));
    }

    #[test]
    fn braces_are_replaced() {
        let of = |line| substitute(line, &[("i", 2)]);
        assert_eq!(of("sum{4 * i + 1} += g{i}.{xyzw[i + 1]};").unwrap(), "sum9 += g2.w;");
        assert_eq!(of("{even,odd[i % 2]}{i}").unwrap(), "even2");
        assert_eq!(of("if x { y = 1; }").unwrap(), "if x { y = 1; }");
        assert_eq!(of("fn f() {}").unwrap(), "fn f() {}");
        assert_eq!(of("loop {").unwrap(), "loop {");
        for bad in ["{k}", "{xyz[3]}", "{a,b[2]}", "{i i}"] {
            assert!(of(bad).is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn lists_repeat_what_they_hold() {
        let of = |line| substitute(line, &[("n", 2)]);
        assert_eq!(
            of("f({i in 0..n + 1: a{i * n} + x[{i}]}, {n});").unwrap(),
            "f(a0 + x[0], a2 + x[1], a4 + x[2], 2);"
        );
        assert_eq!(of("f({i in 1..3: g({j in i..3: {i}{j}})})").unwrap(), "f(g(11, 12), g(22))");
        assert!(of("struct A { at: u32 }").is_err());
        assert_eq!(substitute("g({i in 0..2: y{i}}) {}", &[]).unwrap(), "g(y0, y1) {}");
        assert_eq!(substitute("struct A { at: u32 }", &[]).unwrap(), "struct A { at: u32 }");
        for bad in ["{i in 0..k: {i}}", "{i in 0..2: {k}}"] {
            assert!(of(bad).is_err(), "{bad} was accepted");
        }
    }
}
