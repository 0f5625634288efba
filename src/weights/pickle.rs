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
mod value;

pub(super) use objects::Element;
pub(super) use value::{Id, Object, Pickle, Storage, Tensor, Value};

impl<'a> Pickle<'a> {
    /// Reads the pickle that `bytes` begin with. The error completes the sentence "FILE …".
    pub fn read(bytes: &'a [u8]) -> Result<Self, String> {
        machine::read(&bytes[..bytes.len().min(machine::LONGEST)])
    }
}
