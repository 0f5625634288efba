//! The twins' tensor: a shape and its f64 values, row-major.

use std::ops::{Index, IndexMut};

/// A dense row-major tensor in f64.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Values, the last axis contiguous; as many as the product of `shape`.
    pub data: Vec<f64>,
}

impl Tensor {
    /// A tensor of `shape` with `data`; panics if they don't fit together.
    pub fn new(shape: &[usize], data: Vec<f64>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "shape {shape:?} needs another number of values");
        Self { shape: shape.to_vec(), data }
    }

    /// A tensor of `shape` full of zeros.
    pub fn zeros(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), data: vec![0.0; shape.iter().product()] }
    }

    /// The f32 values `data` of a tensor of `shape`, widened (exactly) to f64.
    pub fn from_f32(shape: &[usize], data: &[f32]) -> Self {
        Self::new(shape, data.iter().map(|&value| f64::from(value)).collect())
    }

    /// The values rounded to the nearest f32; those past its range become infinite.
    pub fn to_f32(&self) -> Vec<f32> {
        self.data.iter().map(|&value| value as f32).collect()
    }

    /// The shape as an array; panics unless there are `K` axes.
    pub fn dims<const K: usize>(&self) -> [usize; K] {
        match self.shape.as_slice().try_into() {
            Ok(dims) => dims,
            Err(_) => panic!("expected {K} axes, found shape {:?}", self.shape),
        }
    }

    /// Position in `data` of the element at `index`; panics if the index is outside the shape.
    pub fn offset<const K: usize>(&self, index: [usize; K]) -> usize {
        let dims = self.dims::<K>();
        let mut offset = 0;
        for axis in 0..K {
            assert!(index[axis] < dims[axis], "index {index:?} is outside shape {dims:?}");
            offset = offset * dims[axis] + index[axis];
        }
        offset
    }

    /// A tensor of the same shape whose elements are `f` of this one's.
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { shape: self.shape.clone(), data: self.data.iter().map(|&value| f(value)).collect() }
    }

    /// A tensor of the same shape whose elements are `f` of this one's and `other`'s; panics if the shapes differ.
    pub fn zip(&self, other: &Tensor, f: impl Fn(f64, f64) -> f64) -> Self {
        assert_eq!(self.shape, other.shape, "shapes differ");
        let data = self.data.iter().zip(&other.data).map(|(&a, &b)| f(a, b)).collect();
        Self { shape: self.shape.clone(), data }
    }
}

impl<const K: usize> Index<[usize; K]> for Tensor {
    type Output = f64;
    fn index(&self, index: [usize; K]) -> &f64 {
        &self.data[self.offset(index)]
    }
}

impl<const K: usize> IndexMut<[usize; K]> for Tensor {
    fn index_mut(&mut self, index: [usize; K]) -> &mut f64 {
        let offset = self.offset(index);
        &mut self.data[offset]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexing_is_row_major() {
        let mut tensor = Tensor::new(&[2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!((tensor[[0, 2]], tensor[[1, 0]], tensor.offset([1, 2])), (2.0, 3.0, 5));
        tensor[[1, 1]] = 9.0;
        assert_eq!(tensor.data[4], 9.0);
    }

    #[test]
    #[should_panic(expected = "outside shape")]
    fn an_index_past_an_inner_axis_panics() {
        let _ = Tensor::zeros(&[2, 3])[[0, 3]];
    }
}
