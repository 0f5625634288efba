//! Text in old protocols: quoted, escaped, Latin-1.

use std::borrow::Cow;

use super::value::damaged;

/// Each byte is a character.
pub(super) fn latin1(bytes: &[u8]) -> Cow<'_, str> {
    bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into()
}

/// Protocol 0's `str`: Python's `repr`.
pub(super) fn unquoted(line: &[u8]) -> Result<Cow<'_, str>, String> {
    let quoted = match line {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => return Err(damaged("has text without quotes")),
    };
    Ok(unescaped(quoted))
}

/// Python's escapes of one character; of any other the backslash stays, as Python keeps it.
pub(super) fn unescaped(line: &[u8]) -> Cow<'_, str> {
    if let (Ok(text), false) = (std::str::from_utf8(line), line.contains(&b'\\')) {
        return Cow::Borrowed(text);
    }
    let text = latin1(line).into_owned();
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('\\') {
        out += before;
        let kind = after.chars().next().unwrap_or('\\');
        let digits = match kind {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let hex = after.get(1..1 + digits).filter(|hex| !hex.is_empty());
        let code = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        let (character, used) = match (kind, code) {
            (_, Some(code)) => (Some(code), 1 + digits),
            ('n', _) => (Some('\n'), 1),
            ('t', _) => (Some('\t'), 1),
            ('r', _) => (Some('\r'), 1),
            ('\\' | '\'' | '"', _) => (Some(kind), 1),
            _ => (None, 0),
        };
        out.push(character.unwrap_or('\\'));
        rest = after.get(used..).unwrap_or_default();
    }
    (out + rest).into()
}

#[cfg(test)]
mod tests {
    use super::super::{Pickle, Value};

    fn text(bytes: &[u8]) -> String {
        let pickle = Pickle::read(bytes).unwrap();
        let Value::Text(text) = pickle.get(pickle.root) else { panic!("{bytes:?}") };
        text.to_string()
    }

    #[test]
    fn texts_of_every_protocol() {
        assert_eq!(text(b"X\x02\x00\x00\x00\xc3\xa9."), "é");
        assert_eq!(text(b"U\x01\xe9."), "é");
        assert_eq!(text(b"S'a\\'b\\x41\\n'\n."), "a'bA\n");
        assert_eq!(text(b"S\"it's\"\n."), "it's");
        assert_eq!(text(b"V\\u00e9\\U0001F600z\n."), "é😀z");
        assert_eq!(text(b"V\\ud800\\q\\\n."), "\\ud800\\q\\");
        assert!(Pickle::read(b"S'\n.").unwrap_err().contains("quotes"));
    }
}
