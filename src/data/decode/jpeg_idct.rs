//! The inverse cosine transform of a JPEG's block, with the roundings of libjpeg's accurate integer one (`jidctint.c`, Loeffler, Ligtenberg
//! and Moschytz 1989): 13 bits behind the point in factors, 2 between the passes.

const FACTOR_BITS: i32 = 13;
const PASS_BITS: i32 = 2;

/// The samples of a block, 0 to 255, from its dequantised coefficients; both row by row. With `SMALL` all coefficients are 0 but those of
/// the first four rows and columns, which most blocks are content with.
pub(super) fn inverse<const SMALL: bool>(block: &[i32; 64]) -> [u8; 64] {
    let mut block = *block;
    pass::<{ FACTOR_BITS - PASS_BITS }, SMALL>(&mut block);
    let mut block = transposed(&block);
    pass::<{ FACTOR_BITS + PASS_BITS + 3 }, SMALL>(&mut block);
    let mut samples = [0; 64];
    samples.iter_mut().zip(&block).for_each(|(s, &value)| *s = sample(value));
    transposed(&samples)
}

/// The value of all samples of a block that has no other coefficient than `dc`.
pub(super) fn inverse_of_dc(dc: i32) -> u8 {
    sample((dc.wrapping_shl(PASS_BITS as u32).wrapping_add(1 << (PASS_BITS + 2))) >> (PASS_BITS + 3))
}

#[inline(always)]
fn sample(value: i32) -> u8 {
    value.wrapping_add(128).clamp(0, 255) as u8
}

#[inline(always)]
fn transposed<T: Copy + Default>(block: &[T; 64]) -> [T; 64] {
    let mut turned = [T::default(); 64];
    for y in 0..8 {
        for x in 0..8 {
            turned[8 * y + x] = block[8 * x + y];
        }
    }
    turned
}

/// One-dimensional transforms of all columns, divided by 2^`SHIFT`. Coefficients of corrupt files wrap. The loop over columns becomes
/// vectors.
#[inline(always)]
fn pass<const SHIFT: i32, const SMALL: bool>(block: &mut [i32; 64]) {
    for x in 0..8 {
        let at = |y: usize| if SMALL && y > 3 { 0 } else { block[8 * y + x] };
        let times = |value: i32, factor: i32| value.wrapping_mul(factor);
        let add = i32::wrapping_add;

        let shared = times(add(at(2), at(6)), 4433);
        let low = add(shared, times(at(6), -15137));
        let high = add(shared, times(at(2), 6270));
        let sum = add(at(0), at(4)).wrapping_shl(FACTOR_BITS as u32);
        let difference = at(0).wrapping_sub(at(4)).wrapping_shl(FACTOR_BITS as u32);
        let even = [add(sum, high), add(difference, low), difference.wrapping_sub(low), sum.wrapping_sub(high)];

        let [a, b, c, d] = [at(7), at(5), at(3), at(1)];
        let shared = times(add(add(a, c), add(b, d)), 9633);
        let z1 = times(add(a, d), -7373);
        let z2 = times(add(b, c), -20995);
        let z3 = add(times(add(a, c), -16069), shared);
        let z4 = add(times(add(b, d), -3196), shared);
        let odd = [
            add(times(d, 12299), add(z1, z4)),
            add(times(c, 25172), add(z2, z3)),
            add(times(b, 16819), add(z2, z4)),
            add(times(a, 2446), add(z1, z3)),
        ];
        for y in 0..4 {
            let half = 1 << (SHIFT - 1);
            block[8 * y + x] = add(add(even[y], odd[y]), half) >> SHIFT;
            block[8 * (7 - y) + x] = add(even[y].wrapping_sub(odd[y]), half) >> SHIFT;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transform_is_that_of_the_definition() {
        // A few coefficients in different rows and columns, as a photograph's block has them.
        let mut block = [0; 64];
        for (at, value) in [(0, 240), (1, -77), (3, 20), (8, 55), (9, -31), (18, 12), (43, 9), (63, -6)] {
            block[at] = value;
        }
        let found = inverse::<false>(&block);
        let scale = |k: usize| if k == 0 { 0.5f64.sqrt() } else { 1.0 };
        let wave = |k: usize, x: usize| ((2 * x + 1) as f64 * k as f64 * std::f64::consts::PI / 16.0).cos();
        for (at, &sample) in found.iter().enumerate() {
            let (y, x) = (at / 8, at % 8);
            let terms = (0..64).map(|k| {
                let (v, u) = (k / 8, k % 8);
                0.25 * scale(v) * scale(u) * f64::from(block[k]) * wave(v, y) * wave(u, x)
            });
            let expected = (terms.sum::<f64>() + 128.0).clamp(0.0, 255.0);
            assert!((f64::from(sample) - expected).abs() < 0.6, "sample {at} is {sample} instead of {expected}");
        }
    }

    #[test]
    fn a_block_of_low_frequencies_takes_the_short_way_to_the_same() {
        let block: [i32; 64] = std::array::from_fn(|i| if i % 8 < 4 && i < 32 { 97 * i as i32 % 301 - 150 } else { 0 });
        assert_eq!(inverse::<true>(&block), inverse::<false>(&block));
    }

    #[test]
    fn a_block_of_one_value_takes_the_short_way_to_the_same() {
        for dc in -1100..1100 {
            let mut block = [0; 64];
            block[0] = dc;
            assert_eq!(inverse::<false>(&block), [inverse_of_dc(dc); 64], "{dc}");
        }
        inverse::<false>(&[i32::MIN; 64]);
        inverse::<false>(&[i32::MAX; 64]);
        inverse_of_dc(i32::MAX);
    }
}
