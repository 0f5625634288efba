//! Calls of classes and functions: those that rebuild tensors give tensors, all others give objects.

use safetensors::Dtype;

use super::machine::Machine;
use super::objects::Callable;
use super::value::{Id, Object, Storage, Tensor, Value, damaged, underflow};

impl<'a> Machine<'a> {
    /// Names a class or function, or creates an object of it.
    pub(super) fn object(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Callable(Callable::named(module, name)?))
            }
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                let (Some(module), Some(name)) = (self.borrowed(module), self.borrowed(name)) else {
                    return Err(damaged("names an object without text"));
                };
                self.push(Value::Callable(Callable::named(module, name)?))
            }
            // A class by its number in a registry that only the writer has.
            0x82..=0x84 => {
                self.skip(1 << (opcode - 0x82))?;
                self.push(Value::Callable(Callable::Unknown { module: "copyreg", name: "extension" }))
            }
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                let callable = Callable::named(module, name)?;
                let arguments = self.since_mark()?;
                self.push(Value::Tuple(arguments))?;
                let arguments = self.pop()?;
                self.call(callable, arguments)
            }
            b'o' => {
                let mut arguments = self.since_mark()?;
                if arguments.is_empty() {
                    return Err(underflow());
                }
                let class = arguments.remove(0);
                self.push(Value::Tuple(arguments))?;
                let arguments = self.pop()?;
                self.call(self.callable(class)?, arguments)
            }
            b'b' => {
                let state = self.pop()?;
                let target = self.top()?;
                if let Value::Object(object) = &mut self.values[target as usize] {
                    object.states.push(state);
                }
                Ok(())
            }
            // REDUCE, NEWOBJ, NEWOBJ_EX (with keywords before).
            _ => {
                if opcode == 0x92 {
                    self.pop()?;
                }
                let arguments = self.pop()?;
                let callable = self.pop()?;
                self.call(self.callable(callable)?, arguments)
            }
        }
    }

    fn callable(&self, id: Id) -> Result<Callable<'a>, String> {
        match self.value(id) {
            Value::Callable(callable) => Ok(*callable),
            // The result of an object (`getattr` of a class, a partial function).
            Value::Object(object) => Ok(Callable::Unknown { module: object.module, name: object.name }),
            _ => Err(damaged("calls something that can't be called")),
        }
    }

    /// The value that stands for a call of `callable`.
    fn call(&mut self, mut callable: Callable<'a>, mut arguments: Id) -> Result<(), String> {
        // A tensor of a subclass says how to rebuild the tensor itself. A loop, since that may be nested.
        while let (Callable::RebuildFromType, Value::Tuple(parts)) = (callable, self.value(arguments)) {
            let &[function, _, inner, ..] = &parts[..] else { return Err(damaged("describes a tensor incompletely")) };
            (callable, arguments) = (self.callable(function)?, inner);
        }
        let Value::Tuple(parts) = self.value(arguments) else { return Err(damaged("calls with no tuple")) };
        let value = match (callable, &parts[..]) {
            (Callable::RebuildTensor, &[storage, offset, shape, strides, ref rest @ ..]) => {
                self.tensor([storage, offset, shape, strides], None, rest.get(2))?
            }
            (Callable::RebuildTyped, &[storage, offset, shape, strides, _, _, dtype, ref rest @ ..]) => {
                let Value::Callable(Callable::Dtype(dtype)) = self.value(dtype) else {
                    return Err(damaged("describes a tensor without a type"));
                };
                self.tensor([storage, offset, shape, strides], Some(*dtype), rest.first())?
            }
            (Callable::RebuildTensor | Callable::RebuildTyped, _) => {
                return Err(damaged("describes a tensor incompletely"));
            }
            (Callable::RebuildParameter, &[tensor, ..]) => {
                self.stack.push(tensor);
                return Ok(());
            }
            (Callable::Unknown { module, name }, _) => {
                let object = Object { module, name, arguments, items: vec![], states: vec![] };
                Value::Object(Box::new(object))
            }
            _ => Value::Other,
        };
        self.push(value)
    }

    /// A view of a storage; `bits` are what `torch._utils.get_tensor_metadata` says about it: `neg`, `conj`.
    fn tensor(
        &self,
        [storage, offset, shape, strides]: [Id; 4],
        dtype: Option<Dtype>,
        bits: Option<&Id>,
    ) -> Result<Value<'a>, String> {
        let is_set = |(_, value): &(Id, Id)| matches!(self.value(*value), Value::Bool(true));
        let lazy = bits.is_some_and(|bits| matches!(self.value(*bits), Value::Dict(bits) if bits.iter().any(is_set)));
        let is_storage = matches!(self.value(storage), Value::Storage(_));
        match (is_storage, self.size(offset), self.sizes(shape), self.sizes(strides)) {
            (true, Some(offset), Some(shape), Some(strides)) if shape.len() == strides.len() => {
                Ok(Value::Tensor(Box::new(Tensor { storage, dtype, offset, shape, strides, lazy })))
            }
            _ => Err(damaged("describes a tensor without storage, offset, shape and strides")),
        }
    }

    /// A storage, by ('storage', type, key, device, count).
    pub(super) fn persistent(&mut self) -> Result<(), String> {
        let id = self.pop()?;
        let wrong = || damaged("refers to something outside that is not a storage");
        let Value::Tuple(parts) = self.value(id) else { return Err(wrong()) };
        // PyTorch before 1.6 kept each class of a whole module with its source: ('module', class, file, source).
        if let &[tag, class, ..] = &parts[..]
            && matches!(self.value(tag), Value::Text(tag) if tag == "module")
            && matches!(self.value(class), Value::Callable(_))
        {
            self.stack.push(class);
            return Ok(());
        }
        let (&[tag, kind, key, _, count], rest) = parts.split_first_chunk().ok_or_else(wrong)?;
        let whole = rest.iter().all(|view| matches!(self.value(*view), Value::Other));
        let is_storage = matches!(self.value(tag), Value::Text(tag) if tag == "storage");
        match (self.value(kind), self.borrowed(key), self.size(count)) {
            (Value::Callable(Callable::Storage(element)), Some(key), Some(count)) if whole && is_storage => {
                let storage = Storage { element: *element, key, count };
                self.push(Value::Storage(storage))
            }
            _ => Err(wrong()),
        }
    }

    fn size(&self, id: Id) -> Option<usize> {
        if let Value::Int(size) = self.value(id) { usize::try_from(*size).ok() } else { None }
    }

    /// A short tuple or list of sizes, or a `torch.Size` of them.
    fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        match self.value(id) {
            Value::Tuple(sizes) | Value::List(sizes) if sizes.len() <= 8 => {
                sizes.iter().map(|id| self.size(*id)).collect()
            }
            Value::Object(object) if object.name == "Size" => match self.value(object.arguments) {
                Value::Tuple(arguments) => match arguments.first().map(|id| self.value(*id)) {
                    Some(Value::Tuple(sizes) | Value::List(sizes)) if sizes.len() <= 8 => {
                        sizes.iter().map(|id| self.size(*id)).collect()
                    }
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pickle;
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        Pickle::read(bytes).map(|pickle| pickle.root).unwrap_err()
    }

    #[test]
    fn unknown_objects_are_kept_as_data() {
        // argparse.Namespace(lr=1) by BUILD; a subclass of OrderedDict by NEWOBJ and SETITEMS; Python 2's reconstructor.
        for (bytes, name, items, states) in [
            (&b"cargparse\nNamespace\n)R}X\x02\x00\x00\x00lrK\x01sb."[..], "Namespace", 0, 1),
            (&b"cmine\nState\n)\x81(X\x01\x00\x00\x00aK\x01u."[..], "State", 1, 0),
            (&b"ccopy_reg\n_reconstructor\n(cmine\nState\nc__builtin__\ndict\n}tR."[..], "_reconstructor", 0, 0),
            (&b"(imine\nState\n."[..], "State", 0, 0),
            (&b"(cmine\nState\nK\x01o."[..], "State", 0, 0),
            (&b"cmine\nState\n)}\x92."[..], "State", 0, 0),
            (&b"\x82\x05)R."[..], "extension", 0, 0),
        ] {
            let pickle = Pickle::read(bytes).unwrap();
            let Value::Object(object) = pickle.get(pickle.root) else { panic!("{bytes:?}") };
            assert_eq!((object.name, object.items.len(), object.states.len()), (name, items, states));
        }
    }

    #[test]
    fn a_class_with_its_source_is_the_class() {
        let class = b"(X\x06\x00\x00\x00modulecmine\nNet\nX\x01\x00\x00\x00fX\x01\x00\x00\x00stQ)\x81.";
        let pickle = Pickle::read(class).unwrap();
        assert!(matches!(pickle.get(pickle.root), Value::Object(object) if object.name == "Net"));
        assert!(refusal(b"(X\x06\x00\x00\x00moduleK\x01tQ.").contains("not a storage"));
    }

    #[test]
    fn what_the_system_says_of_itself_is_data() {
        for bytes in [&b"cposix\nuname_result\n)R."[..], b"cos\nstat_result\n)R.", b"cos\nterminal_size\n)R."] {
            let pickle = Pickle::read(bytes).unwrap();
            assert!(matches!(pickle.get(pickle.root), Value::Object(_)));
        }
    }

    #[test]
    fn what_would_run_a_command_is_refused_by_name() {
        assert!(refusal(b"cos\nsystem\n(X\x02\x00\x00\x00idtR.").contains("wants the Python object os.system"));
        assert!(refusal(b"\x80\x04\x8c\x05posix\x8c\x06system\x93.").contains("posix.system"));
        assert!(refusal(b"cbuiltins\neval\n.").contains("builtins.eval"));
        assert!(refusal(b"(S'id'\nios\nsystem\n.").contains("os.system"));
        assert!(refusal(b"csubprocess\nPopen\n.").contains("wants"));
    }
}
