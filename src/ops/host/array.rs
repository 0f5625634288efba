//! A tensor on the host, as PyTorch lays it out.

use crate::error::{Error, Result};

/// A dense row-major f32 tensor; an empty shape is a scalar.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Values, the last axis contiguous; as many as the product of `shape`.
    pub data: Vec<f32>,
}

impl Array {
    /// A tensor of `shape`.
    ///
    /// # Errors
    /// [`Error::Shape`] if `data` doesn't have as many values as `shape` says.
    pub fn new(shape: &[usize], data: Vec<f32>) -> Result<Self> {
        let array = Self { shape: shape.to_vec(), data };
        array.check("tensor", "the data")?;
        Ok(array)
    }

    /// Checks that shape and data fit together and that there is at least one value; `name` is PyTorch's of the argument.
    pub(super) fn check(&self, op: &str, name: &str) -> Result<()> {
        let count = self.shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
        if count != Some(self.data.len()) {
            return Err(Error::shape(
                op,
                format!("{name} has {} values, which don't fill its shape {:?}", self.data.len(), self.shape),
            ));
        }
        if self.data.is_empty() {
            return Err(Error::shape(op, format!("{name} has the shape {:?}, which holds no values", self.shape)));
        }
        Ok(())
    }

    /// The shape as an array of `K` extents, `axes` naming them for the message.
    pub(super) fn dims<const K: usize>(&self, op: &str, name: &str, axes: &str) -> Result<[usize; K]> {
        self.check(op, name)?;
        <[usize; K]>::try_from(self.shape.as_slice())
            .map_err(|_| Error::shape(op, format!("{name} has the shape {:?}; it must be {axes}", self.shape)))
    }

    /// Checks that the shape is `expected`, which `why` explains.
    pub(super) fn expect(&self, op: &str, name: &str, expected: &[usize], why: &str) -> Result<()> {
        self.check(op, name)?;
        if self.shape != expected {
            let found = &self.shape;
            return Err(Error::shape(op, format!("{name} has the shape {found:?}; it must be {expected:?}, {why}")));
        }
        Ok(())
    }
}
