//! The inputs of a case: hashed from its line, so that the line alone says everything.

use super::case::Case;
use crate::ops::host::Array;
use crate::weights::{hash_input, hash_targets};

impl Case {
    fn seed(&self, name: &str) -> String {
        format!("{} {name}", self.data_line())
    }

    /// Values in [-2, 2) that depend on the line and `name`.
    pub fn array(&self, name: &str, shape: &[usize]) -> Array {
        Array { shape: shape.to_vec(), data: hash_input(&self.seed(name), shape.iter().product()) }
    }

    /// [`Self::array`] with `f` applied.
    pub fn array_with(&self, name: &str, shape: &[usize], f: impl Fn(f32) -> f32) -> Array {
        let mut array = self.array(name, shape);
        array.data.iter_mut().for_each(|value| *value = f(*value));
        array
    }

    /// Class numbers below `classes`.
    pub fn classes(&self, name: &str, count: usize, classes: usize) -> Vec<i64> {
        hash_targets(&self.seed(name), count, classes as u64)
    }

    /// An input as `values`, `scale` and `offset` describe it; `place` is its number among the inputs.
    pub fn filled(&self, name: &str, shape: &[usize], place: usize) -> Array {
        let (scale, offset) = (self.number("scale") as f32, self.number("offset") as f32);
        self.fill(name, shape, place, self.word("values"), |value| value * scale + offset)
    }

    /// An upstream gradient as `grad_values` describes it.
    pub fn grad(&self, name: &str, shape: &[usize], place: usize) -> Array {
        self.fill(name, shape, place, self.word("grad_values"), |value| value)
    }

    /// An input of the kind `values`.
    pub fn fill_as(&self, name: &str, shape: &[usize], place: usize, values: &str) -> Array {
        self.fill(name, shape, place, values, |value| value)
    }

    fn fill(&self, name: &str, shape: &[usize], place: usize, values: &str, f: impl Fn(f32) -> f32) -> Array {
        const SPECIAL: [f32; 9] =
            [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, f32::MAX, f32::MIN, 1e-30, -1e-30];
        let mut array = self.array(name, shape);
        // The gradient has one special value, far from the borders, because there 0 times NaN may or may not be added.
        let chosen = |i: usize| if place == 0 { i % 97 == 40 } else { i == 40 };
        for (i, value) in array.data.iter_mut().enumerate() {
            let plain = f(*value);
            *value = match values {
                "zeros" => 0.0,
                // All bits of a mantissa, exponent 0.
                "denormal" => f32::from_bits(value.to_bits() & 0x807f_ffff),
                "positive" => (value.abs() + 1.0) * f(1.0),
                "nan" if chosen(i) => f32::NAN,
                "inf" if chosen(i) => f32::INFINITY,
                "-inf" if chosen(i) => f32::NEG_INFINITY,
                "special" => SPECIAL[i / SPECIAL.len().pow(place as u32) % SPECIAL.len()],
                "coarse" => (*value * 1.5).round(),
                "equal" => 1.0,
                "rectified" => value.max(0.0),
                "lowest" => f32::NEG_INFINITY,
                _ => plain,
            };
        }
        array
    }
}
