//! What a pickle is read into.

use std::borrow::Cow;

use safetensors::Dtype;

use super::objects::{Callable, Element};

/// The place of a value in [`Pickle::values`].
pub(in crate::weights) type Id = u32;

/// A value of a pickle.
#[derive(Debug)]
pub(in crate::weights) enum Value<'a> {
    /// A value that no tensor depends on: None, floats, bytes.
    Other,
    Bool(bool),
    Int(i128),
    /// Python 2's `str` is read as Latin-1 if it is not UTF-8.
    Text(Cow<'a, str>),
    Tuple(Vec<Id>),
    /// A list or a set.
    List(Vec<Id>),
    /// In order; the last of equal keys counts.
    Dict(Vec<(Id, Id)>),
    Callable(Callable<'a>),
    Object(Box<Object<'a>>),
    Storage(Storage<'a>),
    Tensor(Box<Tensor>),
}

/// The result of an unknown class or function, which was not called.
#[derive(Debug)]
pub(in crate::weights) struct Object<'a> {
    pub module: &'a str,
    pub name: &'a str,
    /// A tuple.
    pub arguments: Id,
    /// Items that were set on it as on a dictionary.
    pub items: Vec<(Id, Id)>,
    /// Its attributes, as often as they were set: a dictionary, or a tuple of two.
    pub states: Vec<Id>,
}

/// The elements that tensors are views of, elsewhere in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::weights) struct Storage<'a> {
    pub element: Element,
    pub key: &'a str,
    /// Elements.
    pub count: usize,
}

/// A view of a storage, in elements.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::weights) struct Tensor {
    /// A [`Value::Storage`].
    pub storage: Id,
    /// The elements' type, if it differs from the storage's.
    pub dtype: Option<Dtype>,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
    /// Whether the elements are still to be negated or conjugated.
    pub lazy: bool,
}

/// A pickle that was read.
#[derive(Debug)]
pub(in crate::weights) struct Pickle<'a> {
    pub values: Vec<Value<'a>>,
    pub root: Id,
    /// Bytes of it.
    pub length: usize,
}

impl<'a> Pickle<'a> {
    pub fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }
}

pub(super) fn damaged(how: &str) -> String {
    format!("has a damaged pickle, which {how}; copy or download it again")
}

pub(super) fn underflow() -> String {
    damaged("takes more than it has")
}
