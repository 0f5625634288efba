//! Finds the tensors of a checkpoint, at any depth of its dictionaries.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::pickle::{Id, Object, Pickle, Value};
use super::text::printable;

/// How deep nested dictionaries are searched.
const DEEPEST: usize = 64;
/// The longest name, and the most bytes that all names have together: a pickle can name a long text a million times.
const LONGEST_NAME: usize = 512;
const MOST_BYTES: usize = 64 << 20;
/// More tensors than any ResNet and its optimiser have.
const MOST_TENSORS: usize = 100_000;

/// The names of a module's own dictionaries, which are not part of a tensor's name.
const MODULE_PARTS: [&str; 3] = ["_parameters", "_buffers", "_modules"];

/// Every tensor by its name: the keys on the way to it joined by dots, such as `state_dict.module.conv1.weight`. Lists count
/// their elements; of an object from an unknown class what was set on it and its attributes are looked at. The error
/// completes the sentence "FILE …".
pub(super) fn tensors(pickle: &Pickle) -> Result<BTreeMap<String, Id>, String> {
    let mut walk = Walk { pickle, seen: BTreeSet::new(), found: BTreeMap::new(), todo: vec![], bytes: 0 };
    walk.todo.push((pickle.root, String::new(), 0));
    while let Some((id, name, depth)) = walk.todo.pop() {
        walk.visit(id, name, depth)?;
    }
    Ok(walk.found)
}

struct Walk<'p, 'a> {
    pickle: &'p Pickle<'a>,
    /// Visited containers: each is searched once, however often it is referenced.
    seen: BTreeSet<Id>,
    found: BTreeMap<String, Id>,
    todo: Vec<(Id, String, usize)>,
    bytes: usize,
}

impl<'p, 'a> Walk<'p, 'a> {
    fn visit(&mut self, id: Id, name: String, depth: usize) -> Result<(), String> {
        let pickle = self.pickle;
        match pickle.get(id) {
            Value::Tensor(_) => {
                // The last of equal keys counts, and it is visited first.
                self.found.entry(name).or_insert(id);
                return if self.found.len() > MOST_TENSORS {
                    Err(format!("has more than {MOST_TENSORS} tensors, which is not a checkpoint of a ResNet"))
                } else {
                    Ok(())
                };
            }
            Value::Dict(_) | Value::List(_) | Value::Tuple(_) | Value::Object(_) => {}
            _ => return Ok(()),
        }
        if depth > DEEPEST || !self.seen.insert(id) {
            return Ok(());
        }
        match pickle.get(id) {
            Value::Dict(items) => self.pairs(items, &name, depth, false),
            Value::List(items) | Value::Tuple(items) => {
                // A history may have millions of numbers.
                let inner = items.iter().enumerate().filter(|(_, item)| leads_on(pickle, **item));
                inner.into_iter().try_for_each(|(i, item)| self.child(*item, &name, i.to_string().into(), depth))
            }
            Value::Object(object) => self.object(object, &name, depth),
            _ => Ok(()),
        }
    }

    fn object(&mut self, object: &Object, name: &str, depth: usize) -> Result<(), String> {
        let pickle = self.pickle;
        // Its arguments: a dictionary, or Python 2's list of keys and values.
        if let Value::Tuple(arguments) = pickle.get(object.arguments) {
            for argument in arguments {
                match pickle.get(*argument) {
                    Value::Dict(items) if self.seen.insert(*argument) => self.pairs(items, name, depth, true)?,
                    Value::List(rows) if self.seen.insert(*argument) => {
                        let pair = |row: &Id| match pickle.get(*row) {
                            Value::List(pair) | Value::Tuple(pair) => Some((*pair.first()?, *pair.get(1)?)),
                            _ => None,
                        };
                        let pairs: Vec<_> = rows.iter().filter_map(pair).collect();
                        self.pairs(&pairs, name, depth, false)?
                    }
                    _ => {}
                }
            }
        }
        self.pairs(&object.items, name, depth, false)?;
        for state in &object.states {
            let parts = match pickle.get(*state) {
                Value::Tuple(parts) => &parts[..],
                _ => std::slice::from_ref(state),
            };
            for part in parts {
                if let Value::Dict(items) = pickle.get(*part)
                    && self.seen.insert(*part)
                {
                    self.pairs(items, name, depth, true)?;
                }
            }
        }
        Ok(())
    }

    /// `attributes` are those of an object, which may be a module.
    fn pairs(&mut self, items: &[(Id, Id)], name: &str, depth: usize, attributes: bool) -> Result<(), String> {
        for (key, value) in items {
            let key = match self.pickle.get(*key) {
                Value::Text(key) if attributes && MODULE_PARTS.contains(&&**key) => Cow::Borrowed(""),
                Value::Text(key) => Cow::Borrowed(&**key),
                Value::Int(key) => Cow::Owned(key.to_string()),
                _ => continue,
            };
            self.child(*value, name, key, depth)?;
        }
        Ok(())
    }

    fn child(&mut self, id: Id, name: &str, key: Cow<str>, depth: usize) -> Result<(), String> {
        if !leads_on(self.pickle, id) {
            return Ok(());
        }
        let dot = if name.is_empty() || key.is_empty() { "" } else { "." };
        let whole = format!("{name}{dot}{key}");
        self.bytes += whole.len();
        if whole.len() > LONGEST_NAME || self.bytes > MOST_BYTES {
            let shown = printable(&whole);
            return Err(format!("has names that are too long, such as {shown}; it is not a checkpoint of a ResNet"));
        }
        self.todo.push((id, whole, depth + 1));
        Ok(())
    }
}

/// Whether a value is a tensor or may hold one.
fn leads_on(pickle: &Pickle, id: Id) -> bool {
    match pickle.get(id) {
        Value::Tensor(_) | Value::Dict(_) | Value::Object(_) => true,
        Value::List(items) | Value::Tuple(items) => !items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENSOR: &[u8] = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQK\x00))tR";

    fn text(text: &str) -> Vec<u8> {
        [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
    }

    fn names(parts: &[&[u8]]) -> Result<Vec<String>, String> {
        let bytes = parts.concat();
        let pickle = Pickle::read(&bytes).unwrap();
        tensors(&pickle).map(|found| found.into_keys().collect())
    }

    #[test]
    fn tensors_at_any_depth() {
        let (a, b) = (text("a"), text("b"));
        assert_eq!(names(&[b"}", &a, b"}", &b, TENSOR, b"ss."]).unwrap(), ["a.b"]);
        assert_eq!(names(&[b"](}", &b, TENSOR, b"sNe."]).unwrap(), ["0.b"]);
        assert_eq!(names(&[b"}K\x07", TENSOR, b"s."]).unwrap(), ["7"]);
        assert_eq!(names(&[TENSOR, b"."]).unwrap(), [""]);
        // An attribute of an object, Python 2's OrderedDict, and a whole module.
        assert_eq!(names(&[b"cx\nNamespace\n)R}", &a, TENSOR, b"sb."]).unwrap(), ["a"]);
        assert_eq!(names(&[b"ccollections\nOrderedDict\n(](](", &a, TENSOR, b"eetR."]).unwrap(), ["a"]);
        let (modules, parameters) = (text("_modules"), text("_parameters"));
        let child = [b"cx\nConv\n)\x81}".as_slice(), &parameters, b"}", &b, TENSOR, b"ssb"].concat();
        assert_eq!(names(&[b"cx\nNet\n)\x81}", &modules, b"}", &a, &child, b"ssb."]).unwrap(), ["a.b"]);
    }

    #[test]
    fn hostile_trees_end() {
        // A dictionary that holds itself, and one that is doubled at each of 40 levels.
        let a = text("a");
        assert!(names(&[b"}q\x00", &a, b"h\x00s."]).unwrap().is_empty());
        let doubled = [b")".as_slice(), &b"2\x86".repeat(40), b"."].concat();
        assert!(names(&[&doubled]).unwrap().is_empty());
        // Deeper than is followed.
        let deep =
            [[b"}".as_slice(), &a].concat().repeat(100), TENSOR.to_vec(), b"s".repeat(100), b".".to_vec()].concat();
        assert!(names(&[&deep]).unwrap().is_empty());
        // A long name, many times.
        let long = text(&"x".repeat(513));
        assert!(names(&[b"}", &long, TENSOR, b"s."]).unwrap_err().contains("too long"));
    }
}
