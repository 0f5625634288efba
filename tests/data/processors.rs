//! Pixels that every processor must give, whatever vector instructions it has.

use std::path::Path;

use gpu_resnet::data::decode_bytes;
use safetensors::SafeTensors;

use crate::formats::cases;
use crate::golden_file;

/// FNV-1a of a picture's decoded pixels.
fn digest(encoded: &[u8]) -> u64 {
    let image = decode_bytes(encoded, Path::new("picture")).expect("a picture");
    image.pixels.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// The digests are those of Pillow's pixels. The files have halved chroma or whole, partial blocks or whole, one pass or several.
#[test]
fn a_jpeg_has_the_same_pixels_on_every_processor() {
    let photo = |name: &str| digest(&golden_file(&format!("photos/{name}.jpg")));
    assert_eq!(photo("astronaut"), 0x8925_46eb_0cc3_a553);
    assert_eq!(photo("chelsea"), 0x46ee_4c2e_5555_b49e);
    assert_eq!(photo("coffee"), 0xe2bf_2790_29b4_d7de);

    let images = golden_file("images.safetensors");
    let images = SafeTensors::deserialize(&images).expect("a safetensors file");
    let image = |name: &str| digest(images.tensor(&format!("{name}.file")).expect(name).data());
    assert_eq!(image("jpeg_420"), 0xcb17_4fa6_d133_138f);
    assert_eq!(image("jpeg_444"), 0x4074_590c_5f10_ff51);
    assert_eq!(image("jpeg_progressive"), 0x6494_3e22_18b1_120b);
}

/// Chroma of one or two columns is repeated instead of blended. The files' frame headers say another size, of one MCU, so that their data
/// suffice; the digests are of Pillow's pixels.
#[test]
fn narrow_jpegs_have_pillows_pixels_too() {
    for (name, width, height, expected) in [
        ("422", 2u16, 8u16, 0xaf6e_4dc1_f716_d654),
        ("422", 3, 8, 0x8283_47d1_4ab0_b191),
        ("422", 4, 8, 0x9e79_1563_ceab_fec4),
        ("422", 5, 8, 0x3669_5a88_37e9_b520),
        ("420", 1, 3, 0x5b2f_ecdf_41a0_5caf),
        ("420", 2, 2, 0xab4d_c44e_2d6d_2d2d),
        ("420", 2, 8, 0xd909_dc80_2a90_c09a),
        ("420", 4, 1, 0xea2d_143b_fef0_0c39),
        ("420", 5, 8, 0x0b8f_8be9_e4a7_4254),
        ("444", 3, 8, 0x7f0c_aac9_bb98_c6c2),
        ("440", 3, 8, 0x9b99_b3e3_b75a_199b),
    ] {
        let mut file = cases(&format!("jpeg/{name}")).swap_remove(0).file;
        let at = file.windows(2).position(|w| w == [0xff, 0xc0]).expect("a frame") + 5;
        file[at..at + 4].copy_from_slice(&[height.to_be_bytes(), width.to_be_bytes()].concat());
        assert_eq!(digest(&file), expected, "{name} of {width} x {height}");
    }
}
