//! The order in which weights are trained: KRSC, input channels padded to vec4s.

use super::spec::Conv2d;
use crate::error::Result;
use crate::ops::feature_map::MapShape;

impl Conv2d {
    /// The KRSC weight as maps: K images of R x S pixels with C / groups channels, without gaps.
    pub fn krsc_shape(&self) -> Result<MapShape> {
        MapShape::dense(self.weight_shape())
    }

    /// vec4s of the weight in KRSC: `K * R * S * ceil(C / groups / 4)`.
    pub fn weight_len4(&self) -> usize {
        let [k, c, r, s] = self.weight_shape();
        k * r * s * c.div_ceil(4)
    }

    /// OIHW to KRSC with padded input channels.
    pub fn pack_krsc(&self, weight: &[f32]) -> Vec<f32> {
        self.map_krsc(weight, self.weight_len4() * 4, |oihw, krsc| (krsc, oihw))
    }

    /// KRSC with padded input channels to OIHW.
    pub fn unpack_krsc(&self, weight: &[f32]) -> Vec<f32> {
        self.map_krsc(weight, self.weight_shape().iter().product(), |oihw, krsc| (oihw, krsc))
    }

    /// Copies each element; `places(oihw, krsc)` returns its place in the result and in `weight`.
    fn map_krsc(&self, weight: &[f32], len: usize, places: impl Fn(usize, usize) -> (usize, usize)) -> Vec<f32> {
        let [k, c, r, s] = self.weight_shape();
        let stride = c.next_multiple_of(4);
        let mut out = vec![0.0; len];
        for channel in 0..k {
            for input in 0..c {
                for tap in 0..r * s {
                    let (to, at) =
                        places((channel * c + input) * r * s + tap, (channel * r * s + tap) * stride + input);
                    out[to] = weight[at];
                }
            }
        }
        out
    }
}
