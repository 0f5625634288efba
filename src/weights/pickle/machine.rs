//! The stack machine: every instruction of the pickle protocols 0 to 5, none of which does more than create a value.

use std::borrow::Cow;
use std::collections::HashMap;

use super::text::{latin1, unescaped, unquoted};
use super::value::{Id, Pickle, Value, damaged, underflow};

/// The longest pickle that is read. A ResNet-152's takes 0.1 MB; training scripts put histories beside it.
pub(super) const LONGEST: usize = 64 << 20;
/// The most values of one pickle, and the most entries of its memo: some hundred MB. None, booleans and floats are free.
const MOST_VALUES: usize = 2 << 20;

/// Values that every pickle has, so that millions of them take no memory.
const OTHER: Id = 0;
const FALSE: Id = 1;
const TRUE: Id = 2;

/// Reads one pickle from the beginning of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Pickle<'_>, String> {
    let values = vec![Value::Other, Value::Bool(false), Value::Bool(true)];
    let mut machine = Machine { bytes, at: 0, values, stack: vec![], marks: vec![], memo: HashMap::new() };
    while !machine.step()? {}
    let root = machine.pop()?;
    Ok(Pickle { values: machine.values, root, length: machine.at })
}

pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    pub values: Vec<Value<'a>>,
    pub stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    /// One instruction; true after the last.
    fn step(&mut self) -> Result<bool, String> {
        let opcode = self.take(1)?[0];
        match opcode {
            // PROTO; FRAME only groups what follows.
            0x80 => self.skip(1)?,
            0x95 => self.skip(8)?,
            b'.' => return Ok(true),
            b'(' => {
                self.marks.push(self.stack.len());
                if self.marks.len() > MOST_VALUES {
                    return Err(too_many());
                }
            }
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.since_mark()?;
            }
            b'2' => {
                let top = self.top()?;
                self.stack.push(top)
            }
            b'N' | b'G' | b'F' | b'I' | b'L' | b'K' | b'M' | b'J' | 0x88..=0x8b => self.number(opcode)?,
            b'S' | b'V' | b'T' | b'U' | b'X' | 0x8c | 0x8d => self.string(opcode)?,
            b'B' | b'C' | 0x8e | 0x96 => {
                let count = self.length(if opcode == b'B' {
                    4
                } else if opcode == b'C' {
                    1
                } else {
                    8
                })?;
                self.skip(count)?;
                self.stack.push(OTHER)
            }
            // A buffer outside the pickle, which no file has; read-only or not.
            0x97 => self.stack.push(OTHER),
            0x98 => {}
            b'}' | b']' | b')' | b'l' | b'd' | b't' | 0x85..=0x87 | 0x8f | 0x91 => self.container(opcode)?,
            b'a' | b'e' | 0x90 => {
                let items = if opcode == b'a' { vec![self.pop()?] } else { self.since_mark()? };
                self.append(items)?
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(&[key, value])?
            }
            b'u' => {
                let items = self.since_mark()?;
                self.set(&items)?
            }
            b'p' | b'q' | b'r' | 0x94 | b'g' | b'h' | b'j' => self.remember(opcode)?,
            b'c' | 0x93 | b'R' | b'i' | b'o' | 0x81 | 0x82..=0x84 | 0x92 | b'b' => self.object(opcode)?,
            b'Q' => self.persistent()?,
            other => return Err(damaged(&format!("has the unknown instruction 0x{other:02x}"))),
        }
        Ok(false)
    }

    fn number(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            b'N' => self.stack.push(OTHER),
            b'G' => {
                self.skip(8)?;
                self.stack.push(OTHER)
            }
            b'F' => {
                self.line()?;
                self.stack.push(OTHER)
            }
            0x88 => self.stack.push(TRUE),
            0x89 => self.stack.push(FALSE),
            b'I' | b'L' => match self.line()? {
                "00" => self.stack.push(FALSE),
                "01" => self.stack.push(TRUE),
                digits => {
                    // A number of more than 128 bits is not a size.
                    let number = digits.trim_end_matches('L').parse();
                    self.push(number.map_or(Value::Other, Value::Int))?
                }
            },
            b'K' => self.integer(1, false)?,
            b'M' => self.integer(2, false)?,
            b'J' => self.integer(4, true)?,
            // LONG1 and LONG4: two's complement of any length.
            _ => {
                let count = self.length(if opcode == 0x8a { 1 } else { 4 })?;
                self.integer(count, true)?
            }
        }
        Ok(())
    }

    fn integer(&mut self, count: usize, signed: bool) -> Result<(), String> {
        let bytes = self.take(count)?;
        if count > 16 {
            return self.push(Value::Other);
        }
        let value = little_endian(bytes);
        let unused = if signed { 128 - 8 * count.clamp(1, 16) as u32 } else { 0 };
        self.push(Value::Int((value << unused) >> unused))
    }

    fn string(&mut self, opcode: u8) -> Result<(), String> {
        let text = match opcode {
            b'S' => unquoted(self.raw_line()?)?,
            b'V' => unescaped(self.raw_line()?),
            _ => {
                let count = self.length(match opcode {
                    b'U' | 0x8c => 1,
                    b'T' | b'X' => 4,
                    _ => 8,
                })?;
                let bytes = self.take(count)?;
                match (std::str::from_utf8(bytes), opcode) {
                    (Ok(text), _) => Cow::Borrowed(text),
                    (Err(_), b'U' | b'T') => latin1(bytes),
                    (Err(_), _) => return Err(damaged("has text that is not UTF-8")),
                }
            }
        };
        self.push(Value::Text(text))
    }

    fn container(&mut self, opcode: u8) -> Result<(), String> {
        let value = match opcode {
            b'}' => Value::Dict(vec![]),
            b']' | 0x8f => Value::List(vec![]),
            b')' => Value::Tuple(vec![]),
            b'l' | 0x91 => Value::List(self.since_mark()?),
            b't' => Value::Tuple(self.since_mark()?),
            b'd' => {
                let items = self.since_mark()?;
                self.push(Value::Dict(vec![]))?;
                return self.set(&items);
            }
            _ => {
                let start = self.stack.len().checked_sub((opcode - 0x84) as usize).ok_or_else(underflow)?;
                Value::Tuple(self.stack.split_off(start))
            }
        };
        self.push(value)
    }

    /// Puts the top into the memo, or gets a value from there.
    fn remember(&mut self, opcode: u8) -> Result<(), String> {
        let slot = match opcode {
            b'p' | b'g' => self.line()?.parse().map_err(|_| damaged("has a memo index that is not a number"))?,
            b'q' | b'h' => self.length(1)? as u32,
            b'r' | b'j' => self.length(4)? as u32,
            _ => self.memo.len() as u32,
        };
        if matches!(opcode, b'g' | b'h' | b'j') {
            let id = *self.memo.get(&slot).ok_or_else(|| damaged("refers to a missing value"))?;
            self.stack.push(id);
            return Ok(());
        }
        let top = self.top()?;
        self.memo.insert(slot, top);
        if self.memo.len() > MOST_VALUES { Err(too_many()) } else { Ok(()) }
    }

    fn append(&mut self, mut items: Vec<Id>) -> Result<(), String> {
        let list = self.top()?;
        match &mut self.values[list as usize] {
            Value::List(list) => list.append(&mut items),
            // A subclass of a list or a set, whose elements nothing depends on.
            Value::Object(_) => {}
            _ => return Err(damaged("appends to something that is not a list")),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Id]) -> Result<(), String> {
        let dict = self.top()?;
        let pairs = items.chunks_exact(2).map(|kv| (kv[0], kv[1]));
        match &mut self.values[dict as usize] {
            _ if !items.len().is_multiple_of(2) => Err(damaged("sets a key without a value")),
            Value::Dict(dict) => {
                dict.extend(pairs);
                Ok(())
            }
            Value::Object(object) => {
                object.items.extend(pairs);
                Ok(())
            }
            _ => Err(damaged("sets items of something that is not a dictionary")),
        }
    }

    pub(super) fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }

    /// Text that is in the file verbatim.
    pub(super) fn borrowed(&self, id: Id) -> Option<&'a str> {
        if let Value::Text(Cow::Borrowed(text)) = self.value(id) { Some(text) } else { None }
    }

    pub(super) fn push(&mut self, value: Value<'a>) -> Result<(), String> {
        if self.values.len() >= MOST_VALUES {
            return Err(too_many());
        }
        self.stack.push(self.values.len() as Id);
        self.values.push(value);
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Result<Id, String> {
        self.stack.pop().ok_or_else(underflow)
    }

    pub(super) fn top(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(underflow)
    }

    pub(super) fn since_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len()).ok_or_else(underflow)?;
        Ok(self.stack.split_off(mark))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| match self.bytes.len() {
            LONGEST => format!("has a pickle of more than {LONGEST} bytes, which is not a state dict of a ResNet"),
            _ => damaged("ends too early"),
        })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), String> {
        self.take(count).map(|_| ())
    }

    /// An unsigned number of at most 8 bytes.
    fn length(&mut self, count: usize) -> Result<usize, String> {
        usize::try_from(little_endian(self.take(count)?))
            .map_err(|_| damaged("has a length past this machine's memory"))
    }

    fn raw_line(&mut self) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("ends too early"))?;
        self.at += length + 1;
        Ok(&rest[..length])
    }

    pub(super) fn line(&mut self) -> Result<&'a str, String> {
        std::str::from_utf8(self.raw_line()?).map_err(|_| damaged("has a name that is not UTF-8"))
    }
}

fn too_many() -> String {
    format!(
        "has a pickle of more than {MOST_VALUES} values, which is not a checkpoint of a ResNet; save model.state_dict()"
    )
}

fn little_endian(bytes: &[u8]) -> i128 {
    bytes.iter().rev().fold(0u128, |value, byte| (value << 8) | u128::from(*byte)) as i128
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        Pickle::read(bytes).map(|pickle| pickle.root).unwrap_err()
    }

    #[test]
    fn numbers_and_containers() {
        let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
        let pickle = Pickle::read(magic).unwrap();
        assert!(matches!(pickle.get(pickle.root), Value::Int(0x1950_a86a_20f9_469c_fc6c)));
        assert_eq!(pickle.length, magic.len());
        for (bytes, expected) in [
            (&b"J\xff\xff\xff\xff."[..], -1),
            (&b"\x8a\x01\xfe."[..], -2),
            (&b"\x8a\x00."[..], 0),
            (&b"\x8b\x02\x00\x00\x00\x00\x01."[..], 256),
            (&b"M\x00\x01."[..], 256),
            (&b"I-7\n."[..], -7),
            (&b"L119547037146038801333356L\n."[..], 0x1950_a86a_20f9_469c_fc6c),
        ] {
            let pickle = Pickle::read(bytes).unwrap();
            assert!(matches!(pickle.get(pickle.root), Value::Int(value) if *value == expected), "{bytes:?}");
        }
        for (bytes, expected) in [(&b"\x88."[..], true), (&b"I00\n."[..], false), (&b"I01\n."[..], true)] {
            let pickle = Pickle::read(bytes).unwrap();
            assert!(matches!(pickle.get(pickle.root), Value::Bool(value) if *value == expected), "{bytes:?}");
        }
        // A list that holds itself, and tuples nested as deep as the pickle is long: neither recurses.
        Pickle::read(b"]q\x00h\x00a.").unwrap();
        let depth = if cfg!(miri) { 1_000 } else { 1_000_000 };
        let deep: Vec<u8> = [b")".as_slice(), &vec![0x85; depth], b"."].concat();
        assert_eq!(Pickle::read(&deep).unwrap().values.len(), depth + 4);
    }

    #[test]
    fn every_end_and_every_length_is_checked() {
        for bytes in [
            &b""[..],
            b"X\xff\xff\xff\xffabc.",
            b"X\x01\x00\x00\x00\xff.",
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc.",
            b"\x8a\xff\x00.",
            b"\x8b\xff\xff\xff\xff.",
            b"t.",
            b"R.",
            b"(o.",
            b"Q.",
            b"h\x05.",
            b"gx\n.",
            b"(0",
            b"a.",
            b"K\x01s.",
            b"(K\x01d.",
            b"K\x01)R.",
            b"\xff.",
        ] {
            refusal(bytes);
        }
        // A slot that would be four billion entries of an array.
        Pickle::read(b"Nr\xff\xff\xff\xff.").unwrap();
    }

    #[test]
    fn memory_is_bounded() {
        assert!(refusal(&vec![b'N'; LONGEST + 1]).contains("more than"));
        assert!(refusal(&vec![b')'; MOST_VALUES + 1]).contains("values"));
        let memo: Vec<u8> = [b"N".as_slice(), &vec![0x94; MOST_VALUES + 1]].concat();
        assert!(refusal(&memo).contains("values"));
    }
}
