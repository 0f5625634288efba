//! Pickles of PyTorch checkpoints, as data: a machine that makes dictionaries, numbers, text and tensors of them, and
//! executes nothing.
//!
//! A pickle is a program for a stack machine (Python's `pickletools`). Its dangerous instructions name a Python object and
//! call it. Here the functions that rebuild tensors stand for themselves. Every other class or function becomes an
//! [`Object`]: its name and what it was given, which nobody calls. Values lie in one vector and refer to each other by
//! index, so that no pickle makes reading or dropping them recurse, and their number is bounded.

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
