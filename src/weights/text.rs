//! Text from files, made safe for messages.

/// A name from outside: control characters escaped, length bounded.
pub(super) fn printable(name: &str) -> String {
    tame(name, 120)
}

/// A parser's message, which quotes its input, treated likewise.
pub(super) fn quoted(error: impl std::fmt::Display) -> String {
    tame(&error.to_string(), 500)
}

/// The first few of some names, and how many more there are.
pub(super) fn some<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 5;
    let names: Vec<&str> = names.collect();
    let mut text = names.iter().take(SHOWN).map(|name| printable(name)).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}

fn tame(text: &str, most: usize) -> String {
    let escape = |c: char| if c.is_control() { c.escape_unicode().collect() } else { c.to_string() };
    let shown: String = text.chars().take(most).map(escape).collect();
    if text.chars().nth(most).is_some() { shown + "…" } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_outside_are_tamed() {
        assert_eq!(printable("fc.weight"), "fc.weight");
        assert_eq!(printable("a\x1b[31m"), "a\\u{1b}[31m");
        assert_eq!(printable("Größe \"x\""), "Größe \"x\"");
        assert!(printable(&"x".repeat(1 << 20)).chars().count() <= 121);
        assert_eq!(some(["a", "b"].into_iter()), "a, b");
        assert_eq!(some(["a"; 8].into_iter()), "a, a, a, a, a and 3 more");
    }
}
