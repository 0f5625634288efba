//! The records of a CSV, one at a time. Fields are bytes, since paths are.

use std::borrow::Cow;

/// A line, or several if a quoted field has line ends in it.
pub struct Record<'a> {
    /// The number of the first line, from 1.
    pub line: usize,
    pub fields: Vec<Field<'a>>,
}

/// A field without its quotes.
pub struct Field<'a> {
    pub bytes: Cow<'a, [u8]>,
    /// True if spaces around it were dropped.
    pub padded: bool,
}

impl Field<'_> {
    /// The field as text; bytes that are not UTF-8 become U+FFFD.
    pub fn lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

/// Reads RFC 4180 with any separator, and common deviations: line ends of CR alone, spaces around fields. Spaces within quotes belong
/// to the field, spaces outside don't. Empty records are left out.
pub struct Records<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    separator: u8,
}

impl<'a> Records<'a> {
    /// `text` without a byte order mark.
    pub fn new(text: &'a [u8], separator: u8) -> Self {
        Records { text, at: 0, line: 1, separator }
    }

    /// Counts lines from `line`, for a text that starts further down in a file.
    pub fn starting_at(self, line: usize) -> Self {
        Records { line, ..self }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Skips spaces; true if there were any.
    fn skip_spaces(&mut self) -> bool {
        let start = self.at;
        while self.peek().is_some_and(|b| b == b' ' || b == b'\t' && self.separator != b'\t') {
            self.at += 1;
        }
        self.at > start
    }

    fn ends_field(&self, byte: u8) -> bool {
        byte == self.separator || byte == b'\n' || byte == b'\r'
    }

    /// The bytes from here to the end of the field, without spaces at their end.
    fn plain(&mut self) -> (&'a [u8], bool) {
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|&b| self.ends_field(b)).unwrap_or(rest.len());
        self.at += length;
        let field = &rest[..length];
        let trimmed = field.trim_ascii_end();
        (trimmed, trimmed.len() < field.len())
    }

    /// The field that the preceding quote opens, or `None` if it is never closed.
    fn quoted(&mut self) -> Option<Cow<'a, [u8]>> {
        let mut field = Cow::Borrowed(&[][..]);
        loop {
            let rest = &self.text[self.at..];
            let length = rest.iter().position(|&b| b == b'"')?;
            append(&mut field, &rest[..length]);
            self.line += rest[..length].iter().filter(|&&b| b == b'\n').count();
            self.at += length + 1;
            if self.peek() != Some(b'"') {
                // Text after the closing quote belongs to the field, as in Python's reader.
                append(&mut field, self.plain().0.trim_ascii_start());
                return Some(field);
            }
            append(&mut field, b"\"");
            self.at += 1;
        }
    }

    /// Skips a line end; false if there is none here.
    fn line_end(&mut self) -> bool {
        let length = match &self.text[self.at..] {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => return false,
        };
        self.at += length;
        self.line += 1;
        true
    }

    fn record(&mut self) -> Result<Record<'a>, (usize, &'static str)> {
        let mut record = Record { line: self.line, fields: Vec::new() };
        loop {
            let before = self.skip_spaces();
            let field = if self.peek() == Some(b'"') {
                self.at += 1;
                let bytes = self.quoted().ok_or((record.line, "opens a quote that is never closed"))?;
                Field { bytes, padded: false }
            } else {
                let (bytes, after) = self.plain();
                Field { bytes: Cow::Borrowed(bytes), padded: before || after }
            };
            record.fields.push(field);
            if self.peek() == Some(self.separator) {
                self.at += 1;
            } else if self.line_end() || self.at == self.text.len() {
                return Ok(record);
            }
        }
    }
}

/// Adds `more` to `field`, which stays borrowed while it has only one part.
fn append<'a>(field: &mut Cow<'a, [u8]>, more: &'a [u8]) {
    if field.is_empty() {
        *field = Cow::Borrowed(more);
    } else if !more.is_empty() {
        field.to_mut().extend_from_slice(more);
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, (usize, &'static str)>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.text.len() {
            match self.record() {
                Ok(record) if record.fields.iter().all(|field| field.bytes.is_empty()) => {}
                Ok(record) => return Some(Ok(record)),
                Err(problem) => {
                    self.at = self.text.len();
                    return Some(Err(problem));
                }
            }
        }
        None
    }
}

/// The separator of a text: the first of comma, tab and semicolon that splits the first records into equally many fields, at least
/// two; otherwise the first that splits the first record; otherwise the comma.
pub fn separator(text: &[u8]) -> u8 {
    const RECORDS: usize = 20;
    let widths = |separator: &u8| {
        let records = Records::new(text, *separator).take(RECORDS).map_while(Result::ok);
        records.map(|record| record.fields.len()).collect::<Vec<_>>()
    };
    let first_is_cut = |separator: &u8| widths(separator).first().is_some_and(|&width| width > 1);
    let alike = |separator: &u8| first_is_cut(separator) && widths(separator).windows(2).all(|pair| pair[0] == pair[1]);
    let candidates = b",\t;";
    let found = candidates.iter().find(|s| alike(s)).or_else(|| candidates.iter().find(|s| first_is_cut(s)));
    *found.unwrap_or(&b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, separator: u8) -> Vec<(usize, Vec<String>)> {
        let row = |r: Record| (r.line, r.fields.iter().map(|f| f.lossy().into_owned()).collect());
        Records::new(text.as_bytes(), separator).map(|r| row(r.unwrap())).collect()
    }

    fn expect(rows: Vec<(usize, Vec<String>)>, expected: &[(usize, &[&str])]) {
        let rows: Vec<(usize, Vec<&str>)> =
            rows.iter().map(|(l, f)| (*l, f.iter().map(String::as_str).collect())).collect();
        let expected: Vec<(usize, Vec<&str>)> = expected.iter().map(|(l, f)| (*l, f.to_vec())).collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn quotes_and_line_ends() {
        expect(
            rows("a,b\r\n\n\"x, \"\"y\"\"\",2\r\n\"two\nlines\",3\n,\nlast,4", b','),
            &[(1, &["a", "b"]), (3, &["x, \"y\"", "2"]), (4, &["two\nlines", "3"]), (7, &["last", "4"])],
        );
        expect(rows("a,b\rc,\"d\"\r", b','), &[(1, &["a", "b"]), (2, &["c", "d"])]);
        expect(rows("say \"hi\",\"a\"b,\"\"", b','), &[(1, &["say \"hi\"", "ab", ""])]);
        let problem = Records::new(b"a,b\n\"c,d", b',').nth(1).unwrap().err().unwrap();
        assert_eq!(problem, (2, "opens a quote that is never closed"));
    }

    #[test]
    fn spaces_outside_of_quotes_are_no_part_of_a_field() {
        expect(
            rows("\"a.png\", \"cat\"\n b , c d \n\" e \" , \"f\"", b','),
            &[(1, &["a.png", "cat"]), (2, &["b", "c d"]), (3, &[" e ", "f"])],
        );
        let padded = |text: &str| Records::new(text.as_bytes(), b',').next().unwrap().unwrap().fields[1].padded;
        assert_eq!([padded("a,b"), padded("a, b"), padded("a,b "), padded("a, \"b\"")], [false, true, true, false]);
        // With tabs between fields, only spaces are dropped.
        expect(rows("a\t b\t\tc", b'\t'), &[(1, &["a", "b", "", "c"])]);
    }

    #[test]
    fn separators() {
        for (text, separator_of) in [
            ("a,b\nc,d", b','),
            ("path;label\na,b.png;cat", b';'),
            ("a;1.png,cat\nb.png,dog", b','),
            ("a.png;cat\nb, c.png;dog", b';'),
            ("a\tb", b'\t'),
            ("a,b\nc,d,e", b','),
            ("one column", b','),
            ("", b','),
        ] {
            assert_eq!(separator(text.as_bytes()), separator_of, "{text}");
        }
    }
}
