//! Reads pickles of PyTorch checkpoints as data: a machine that builds dictionaries, numbers, text and tensors, and executes nothing.
//!
//! A pickle is a program for a stack machine (Python's `pickletools`). Its dangerous instructions name a Python object and
//! call it. Here the functions that rebuild tensors are recognised. Every other class or function becomes an [`Object`]: its name and
//! arguments, which are never called. Values are in one vector and refer to each other by index, so that reading or dropping them never
//! recurses, and their number is bounded.

mod calls;
mod machine;
mod objects;
mod text;

use std::borrow::Cow;

use safetensors::Dtype;

pub(super) use objects::{Callable, Element};

/// The place of a value in [`Pickle::values`].
pub(super) type Id = u32;

/// The longest pickle that is read. A ResNet-152's takes 0.1 MB; training scripts put histories beside it.
const LONGEST: usize = 64 << 20;
/// The most values of one pickle, and the most entries of its memo: some hundred MB. None, booleans and floats are free.
const MOST_VALUES: usize = 2 << 20;

/// A value of a pickle.
#[derive(Debug)]
pub(super) enum Value<'a> {
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
pub(super) struct Object<'a> {
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
pub(super) struct Storage<'a> {
    pub element: Element,
    pub key: &'a str,
    /// Elements.
    pub count: usize,
}

/// A view of a storage, in elements.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
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
pub(super) struct Pickle<'a> {
    pub values: Vec<Value<'a>>,
    pub root: Id,
    /// Bytes of it.
    pub length: usize,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle that `bytes` begin with. The error completes the sentence "FILE …".
    pub fn read(bytes: &'a [u8]) -> Result<Self, String> {
        machine::read(&bytes[..bytes.len().min(LONGEST)])
    }

    pub fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }
}

fn damaged(how: &str) -> String {
    format!("has a damaged pickle, which {how}; copy or download it again")
}

fn underflow() -> String {
    damaged("takes more than it has")
}
