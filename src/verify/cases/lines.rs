//! Lists of cases as text.

/// Non-empty lines of a text, blanks trimmed and `#` comments dropped.
pub(super) fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The same lines for maps that are stored as f16.
pub(super) fn halves(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| format!("{line} precision=f16")).collect()
}
