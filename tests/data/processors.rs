//! Pixels that every processor must give, whatever vector instructions it has.

use std::path::Path;

use gpu_resnet::data::decode_bytes;
use safetensors::SafeTensors;

use crate::golden_file;

/// FNV-1a of a picture's decoded pixels.
fn digest(encoded: &[u8]) -> u64 {
    let image = decode_bytes(encoded, Path::new("picture")).expect("a picture");
    image.pixels.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// Decoders may round differently in code for AVX2, SSSE3 or NEON. These digests are of portable code, with which that for AVX2 agrees.
/// `astronaut`, `jpeg_420` and `jpeg_progressive` have halved chroma and partial blocks, so the careful decoder reads them.
#[test]
fn a_jpeg_has_the_same_pixels_on_every_processor() {
    let photo = |name: &str| digest(&golden_file(&format!("photos/{name}.jpg")));
    assert_eq!(photo("astronaut"), 0xfd39_47b5_e154_b518);
    assert_eq!(photo("chelsea"), 0xb001_dc46_64fa_d2cb);
    assert_eq!(photo("coffee"), 0x59b0_d95e_5c5e_d978);

    let images = golden_file("images.safetensors");
    let images = SafeTensors::deserialize(&images).expect("a safetensors file");
    let image = |name: &str| digest(images.tensor(&format!("{name}.file")).expect(name).data());
    assert_eq!(image("jpeg_420"), 0x2536_2359_62fb_9519);
    assert_eq!(image("jpeg_444"), 0x887d_a5ed_01a3_e423);
    assert_eq!(image("jpeg_progressive"), 0xd490_ae88_356f_a9ed);
}
