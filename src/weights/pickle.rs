//! Pickles of PyTorch state dicts, as data: a small machine that knows dictionaries, numbers, text and tensors, and
//! executes nothing.
//!
//! A pickle is a program for a stack machine (Python's `pickletools`). Its dangerous instruction names a Python object to
//! be called; here the few names that a state dict needs stand for themselves, and any other ends the reading. Values lie
//! in one vector and refer to each other by index, so that no pickle makes reading or dropping them recurse, and each
//! instruction makes one value at most, so that the pickle's own length bounds the memory.

use std::collections::HashMap;

use safetensors::Dtype;

/// The place of a value in [`Pickle::values`].
pub(super) type Id = u32;

/// The longest pickle that is read. A ResNet-152's takes 0.1 MB; this one's values take some hundred.
const LONGEST: usize = 4 << 20;

/// A value of a pickle.
#[derive(Debug)]
pub(super) enum Value<'a> {
    /// What no tensor depends on: None and floats.
    Other,
    Bool(bool),
    Int(i128),
    Text(&'a str),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// In order; of equal keys the last one counts.
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage<'a>),
    Tensor(Tensor),
}

/// The Python objects that a state dict needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Dtype),
}

/// The elements that tensors are views of, elsewhere in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Storage<'a> {
    pub dtype: Dtype,
    pub key: &'a str,
    /// Elements.
    pub count: usize,
}

/// A view of a storage, in elements.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    /// A [`Value::Storage`].
    pub storage: Id,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// A pickle that was read.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    pub values: Vec<Value<'a>>,
    pub root: Id,
    /// Bytes of it.
    pub length: usize,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle that `bytes` begin with. The error completes the sentence "FILE …".
    pub fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let mut machine = Machine { bytes: &bytes[..bytes.len().min(LONGEST)], ..Machine::default() };
        while !machine.step()? {}
        let root = machine.pop()?;
        Ok(Pickle { values: machine.values, root, length: machine.at })
    }

    pub fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }
}

#[derive(Default)]
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
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
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                self.pop()?;
            }
            b'N' => self.push(Value::Other),
            b'G' => {
                self.skip(8)?;
                self.push(Value::Other)
            }
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'K' | b'M' | b'J' => {
                let count = [1, 2, 4][(opcode != b'K') as usize + (opcode == b'J') as usize];
                let value = self.little_endian(count)?;
                self.push(Value::Int(if opcode == b'J' { i128::from(value as u32 as i32) } else { value }))
            }
            // LONG1: two's complement of any length.
            0x8a => {
                let count = self.take(1)?[0] as usize;
                let unsigned = self.little_endian(count)?;
                let unused = 128 - 8 * count.clamp(1, 16) as u32;
                self.push(Value::Int((unsigned << unused) >> unused))
            }
            b'X' | b'T' => {
                let count = self.little_endian(4)? as usize;
                self.text(count)?
            }
            0x8c | b'U' => {
                let count = self.take(1)?[0] as usize;
                self.text(count)?
            }
            b'}' => self.push(Value::Dict(vec![])),
            b']' => self.push(Value::List(vec![])),
            b')' => self.push(Value::Tuple(vec![])),
            b't' => {
                let items = self.since_mark()?;
                self.push(Value::Tuple(items))
            }
            0x85..=0x87 => {
                let start = self.stack.len().checked_sub((opcode - 0x84) as usize).ok_or_else(underflow)?;
                let items = self.stack.split_off(start);
                self.push(Value::Tuple(items))
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?
            }
            b'e' => {
                let items = self.since_mark()?;
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
            b'q' | b'r' => {
                let slot = self.little_endian(if opcode == b'q' { 1 } else { 4 })? as u32;
                let top = self.top()?;
                self.memo.insert(slot, top);
            }
            0x94 => {
                let top = self.top()?;
                self.memo.insert(self.memo.len() as u32, top);
            }
            b'h' | b'j' => {
                let slot = self.little_endian(if opcode == b'h' { 1 } else { 4 })? as u32;
                let id = *self.memo.get(&slot).ok_or_else(|| damaged("refers to what it does not have"))?;
                self.stack.push(id)
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(global(module, name)?))
            }
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                let (Value::Text(module), Value::Text(name)) = (self.value(module), self.value(name)) else {
                    return Err(damaged("names an object by no text"));
                };
                let global = global(module, name)?;
                self.push(Value::Global(global))
            }
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            b'Q' => self.persistent()?,
            other => {
                return Err(format!(
                    "has the pickle instruction 0x{other:02x}, which no state dict needs; save model.state_dict() with \
                     torch.save and give that file"
                ));
            }
        }
        Ok(false)
    }

    /// Calls one of the known objects.
    fn reduce(&mut self) -> Result<(), String> {
        let arguments = self.pop()?;
        let callee = self.pop()?;
        let Value::Tuple(arguments) = self.value(arguments) else { return Err(damaged("calls with no tuple")) };
        let made = match (self.value(callee), &arguments[..]) {
            (Value::Global(Global::OrderedDict), []) => Value::Dict(vec![]),
            (Value::Global(Global::RebuildTensor), &[storage, offset, shape, strides, ..]) => {
                let is_storage = matches!(self.value(storage), Value::Storage(_));
                let offset = self.size(offset);
                match (is_storage, offset, self.sizes(shape), self.sizes(strides)) {
                    (true, Some(offset), Some(shape), Some(strides)) if shape.len() == strides.len() => {
                        Value::Tensor(Tensor { storage, offset, shape, strides })
                    }
                    _ => return Err(damaged("describes a tensor by no storage, offset, shape and strides")),
                }
            }
            (Value::Global(Global::RebuildParameter), &[tensor, ..])
                if matches!(self.value(tensor), Value::Tensor(_)) =>
            {
                self.stack.push(tensor);
                return Ok(());
            }
            _ => return Err(damaged("calls what can't be called so")),
        };
        self.push(made);
        Ok(())
    }

    /// Attributes of a state dict (its `_metadata`), which are passed over.
    fn build(&mut self) -> Result<(), String> {
        self.pop()?;
        let target = self.top()?;
        match self.value(target) {
            Value::Dict(_) => Ok(()),
            _ => Err(damaged("sets attributes of what is no dictionary")),
        }
    }

    /// A storage, by ('storage', type, key, device, count).
    fn persistent(&mut self) -> Result<(), String> {
        let id = self.pop()?;
        let wrong = || damaged("refers to something outside that is no storage");
        let Value::Tuple(parts) = self.value(id) else { return Err(wrong()) };
        let (&[tag, kind, key, _, count], rest) = parts.split_first_chunk().ok_or_else(wrong)?;
        let whole = rest.iter().all(|view| matches!(self.value(*view), Value::Other));
        let values = (self.value(tag), self.value(kind), self.value(key), self.size(count));
        match values {
            (Value::Text("storage"), Value::Global(Global::Storage(dtype)), Value::Text(key), Some(count)) if whole => {
                let storage = Storage { dtype: *dtype, key, count };
                self.push(Value::Storage(storage));
                Ok(())
            }
            _ => Err(wrong()),
        }
    }

    fn append(&mut self, mut items: Vec<Id>) -> Result<(), String> {
        let list = self.top()?;
        match &mut self.values[list as usize] {
            Value::List(list) => list.append(&mut items),
            _ => return Err(damaged("appends to what is no list")),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Id]) -> Result<(), String> {
        let dict = self.top()?;
        match &mut self.values[dict as usize] {
            Value::Dict(dict) if items.len().is_multiple_of(2) => {
                dict.extend(items.chunks_exact(2).map(|kv| (kv[0], kv[1])))
            }
            _ => return Err(damaged("sets items of what is no dictionary")),
        }
        Ok(())
    }

    fn size(&self, id: Id) -> Option<usize> {
        if let Value::Int(size) = self.value(id) { usize::try_from(*size).ok() } else { None }
    }

    /// A short tuple or list of sizes.
    fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        match self.value(id) {
            Value::Tuple(sizes) | Value::List(sizes) if sizes.len() <= 8 => {
                sizes.iter().map(|id| self.size(*id)).collect()
            }
            _ => None,
        }
    }

    fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }

    fn push(&mut self, value: Value<'a>) {
        // Fits, because a pickle has fewer instructions than bytes.
        self.stack.push(self.values.len() as Id);
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Id, String> {
        self.stack.pop().ok_or_else(underflow)
    }

    fn top(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(underflow)
    }

    fn since_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len()).ok_or_else(underflow)?;
        Ok(self.stack.split_off(mark))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| match self.bytes.len() {
            LONGEST => format!("has a pickle of more than {LONGEST} bytes, which is no state dict of a ResNet"),
            _ => damaged("ends too early"),
        })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn skip(&mut self, count: usize) -> Result<(), String> {
        self.take(count).map(|_| ())
    }

    /// At most 16 bytes, unsigned.
    fn little_endian(&mut self, count: usize) -> Result<i128, String> {
        if count > 16 {
            return Err(damaged("has a number of more than 128 bits"));
        }
        let bytes = self.take(count)?.iter().rev();
        Ok(bytes.fold(0u128, |value, byte| (value << 8) | u128::from(*byte)) as i128)
    }

    fn text(&mut self, count: usize) -> Result<(), String> {
        let text = std::str::from_utf8(self.take(count)?).map_err(|_| damaged("has text that is not UTF-8"))?;
        self.push(Value::Text(text));
        Ok(())
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("ends too early"))?;
        self.at += length + 1;
        std::str::from_utf8(&rest[..length]).map_err(|_| damaged("has a name that is not UTF-8"))
    }
}

/// The known objects by their Python names.
fn global(module: &str, name: &str) -> Result<Global, String> {
    Ok(match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
        ("torch", "FloatStorage") => Global::Storage(Dtype::F32),
        ("torch", "DoubleStorage") => Global::Storage(Dtype::F64),
        ("torch", "HalfStorage") => Global::Storage(Dtype::F16),
        ("torch", "BFloat16Storage") => Global::Storage(Dtype::BF16),
        ("torch", "LongStorage") => Global::Storage(Dtype::I64),
        ("torch", "IntStorage") => Global::Storage(Dtype::I32),
        ("torch", "ShortStorage") => Global::Storage(Dtype::I16),
        ("torch", "CharStorage") => Global::Storage(Dtype::I8),
        ("torch", "ByteStorage") => Global::Storage(Dtype::U8),
        ("torch", "BoolStorage") => Global::Storage(Dtype::BOOL),
        _ => {
            let object = super::file::printable(&format!("{module}.{name}"));
            return Err(format!(
                "wants the Python object {object}, which no state dict needs, and nothing of a pickle is run here; save \
                 model.state_dict() with torch.save and give that file"
            ));
        }
    })
}

fn damaged(how: &str) -> String {
    format!("has a damaged pickle, which {how}; copy or download it again")
}

fn underflow() -> String {
    damaged("takes more than it has")
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
            (&b"M\x00\x01."[..], 256),
        ] {
            let pickle = Pickle::read(bytes).unwrap();
            assert!(matches!(pickle.get(pickle.root), Value::Int(value) if *value == expected), "{bytes:?}");
        }
        // A list that holds itself, and tuples nested as deep as the pickle is long: neither recurses.
        Pickle::read(b"]q\x00h\x00a.").unwrap();
        let deep: Vec<u8> = [b")".as_slice(), &[0x85; 1_000_000], b"."].concat();
        assert_eq!(Pickle::read(&deep).unwrap().values.len(), 1_000_001);
    }

    #[test]
    fn nothing_is_called_but_what_is_known() {
        assert!(refusal(b"cos\nsystem\n(X\x02\x00\x00\x00idtR.").contains("wants the Python object os.system"));
        assert!(refusal(b"\x80\x04\x8c\x05posix\x8c\x06system\x93.").contains("posix.system"));
        assert!(refusal(b"cbuiltins\neval\n.").contains("builtins.eval"));
        assert!(refusal(b"ctorch.FloatStorage\n__init__\n.").contains("wants"));
        // INST and OBJ make objects without GLOBAL; EXT1 takes them from a registry.
        for opcode in [b'i', b'o', 0x81, 0x82, 0x92] {
            assert!(refusal(&[b'(', opcode, b'.']).contains(&format!("instruction 0x{opcode:02x}")));
        }
        assert!(refusal(b"ccollections\nOrderedDict\n(K\x01tR.").contains("calls what can't be called so"));
        assert!(refusal(b"K\x01K\x02b.").contains("no dictionary"));
    }

    #[test]
    fn every_end_and_every_length_is_checked() {
        for bytes in [
            &b""[..],
            b"X\xff\xff\xff\xffabc.",
            b"\x8a\xff\x00.",
            b"t.",
            b"R.",
            b"Q.",
            b"h\x05.",
            b"(0",
            b"a.",
            b"K\x01s.",
        ] {
            refusal(bytes);
        }
        // A slot that would be four billion entries of an array, and a pickle too long.
        Pickle::read(b"Nr\xff\xff\xff\xff.").unwrap();
        assert!(refusal(&vec![b'N'; LONGEST + 1]).contains("more than"));
    }
}
