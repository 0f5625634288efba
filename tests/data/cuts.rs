//! JPEGs that end before their picture does, with an end marker behind the cut.

use std::path::Path;

use gpu_resnet::data::decode_bytes;

use crate::assert_error;
use crate::formats::cases;

fn refused(bytes: &[u8], words: &[&str]) {
    assert_error(decode_bytes(bytes, Path::new("some/picture")), words);
}

/// Where the segments of `marker` begin.
fn places(file: &[u8], marker: u8) -> Vec<usize> {
    (0..file.len() - 1).filter(|&i| file[i..i + 2] == [0xff, marker]).collect()
}

fn closed(file: &[u8], cut: usize) -> Vec<u8> {
    let mut cut = file[..cut].to_vec();
    while cut.ends_with(&[0xff]) {
        cut.pop();
    }
    [&cut[..], &[0xff, 0xd9]].concat()
}

#[test]
fn a_cut_jpeg_is_refused_though_it_has_an_end() {
    for case in cases("jpeg/") {
        let first = places(&case.file, 0xda)[0] + 14;
        for percent in [0, 10, 50, 80, 97] {
            let cut = first + (case.file.len() - first) * percent / 100;
            refused(&closed(&case.file, cut.min(case.file.len() - 6)), &["some/picture", "JPEG"]);
        }
    }
}

#[test]
fn a_cut_jpeg_is_refused_whatever_fills_the_gap() {
    for case in cases("jpeg/") {
        let first = places(&case.file, 0xda)[0] + 14;
        let cut = case.file[..first + (case.file.len() - first) / 2].to_vec();
        for fill in [&[0xff; 9][..], &[0xff, 0xff, 0xff, 0xff, 0xd7], &[0xff, 0x01], &[0xff, 0xd0, 0xff, 0xd1]] {
            refused(&closed(&[&cut[..], fill].concat(), cut.len() + fill.len()), &["some/picture", "JPEG"]);
        }
    }
}

#[test]
fn fill_bytes_before_a_marker_change_nothing() {
    for case in cases("jpeg/") {
        let pixels = |bytes: &[u8]| decode_bytes(bytes, Path::new("picture")).expect("a picture").pixels;
        let mut filled = case.file.clone();
        let first = places(&filled, 0xda)[0];
        let markers = [0xc4, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd9, 0xda];
        let mut at: Vec<usize> = markers.iter().flat_map(|&marker| places(&filled, marker)).collect();
        at.retain(|&place| place >= first);
        at.sort_unstable();
        for &place in at.iter().rev() {
            filled.splice(place..place, [0xff; 3]);
        }
        assert!(pixels(&filled) == pixels(&case.file), "{}", case.name);
    }
}

#[test]
fn a_coefficient_past_the_end_of_its_block_is_refused() {
    let mut seen = 0;
    for case in cases("jpeg/") {
        let first = places(&case.file, 0xda)[0] + 14;
        for at in (first..case.file.len() - 2).step_by(7) {
            let mut bytes = case.file.clone();
            bytes[at] ^= 0x55;
            let Err(error) = decode_bytes(&bytes, Path::new("some/picture")) else { continue };
            seen += usize::from(error.to_string().contains("do not fit its header and its tables"));
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn a_jpeg_whose_last_scans_are_missing_is_refused() {
    let mut several = 0;
    for case in cases("jpeg/") {
        let scans = places(&case.file, 0xda);
        for &scan in scans.iter().skip(1) {
            refused(&closed(&case.file, scan), &["some/picture", "is a truncated", "copy or download it again"]);
        }
        several += usize::from(scans.len() > 1);
    }
    assert!(several > 20, "{several}");
}

#[test]
fn a_jpeg_without_some_of_its_restart_intervals_is_refused() {
    for case in cases("jpeg/420_restart") {
        let restarts: Vec<usize> = (0xd0..=0xd7).flat_map(|marker| places(&case.file, marker)).collect();
        let [from, to] = [restarts.iter().min(), restarts.iter().max()].map(|at| *at.expect("a restart marker"));
        assert!(from < to, "{}", case.name);
        refused(&[&case.file[..from], &case.file[to..]].concat(), &["is a corrupt JPEG", "copy or download it again"]);
    }
}

/// Changes bytes of every JPEG in turn, each of which must be refused; how many were tried.
fn all_refused(change: impl Fn(&[u8]) -> Vec<(usize, u8)>, words: &str) -> usize {
    let mut tried = 0;
    for case in cases("jpeg/") {
        for (at, byte) in change(&case.file) {
            let mut bytes = case.file.clone();
            assert_ne!(bytes[at], byte, "{}: nothing is changed", case.name);
            bytes[at] = byte;
            refused(&bytes, &["some/picture", words, "copy or download it again"]);
            tried += 1;
        }
    }
    tried
}

#[test]
fn restart_markers_out_of_order_are_refused() {
    let swapped = |file: &[u8]| places(file, 0xd1).into_iter().map(|at| (at + 1, 0xd5)).collect();
    assert!(all_refused(swapped, "is a corrupt JPEG") > 4);
}

#[test]
fn a_table_whose_marker_is_damaged_is_missed() {
    let damaged = |file: &[u8]| places(file, 0xc4).into_iter().map(|at| (at + 1, 0x21)).collect();
    assert!(all_refused(damaged, "is a corrupt JPEG (it has a marker 0x21)") > 50);
}

/// Frames of Motion JPEG leave out the tables that most encoders write.
#[test]
fn a_jpeg_without_tables_has_the_standard_ones() {
    let mut tried = 0;
    for case in cases("jpeg/") {
        let mut bytes = case.file.clone();
        let tables = places(&bytes, 0xc4);
        let length = |bytes: &[u8], at: usize| usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        // A table of DC and one of AC, or two of each, of as many codes as the standard's.
        let total: usize = tables.iter().map(|&at| length(&bytes, at) - 2).sum();
        let standard = [29 + 179, 2 * (29 + 179)].contains(&total);
        if standard && !places(&bytes, 0xc0).is_empty() && !case.name.starts_with("jpeg/cmyk") {
            for &at in tables.iter().rev() {
                let end = at + 2 + length(&bytes, at);
                bytes.drain(at..end);
            }
            let found = decode_bytes(&bytes, Path::new("picture")).expect("a picture");
            assert!(found == case.expected, "{}", case.name);
            tried += 1;
        }
    }
    assert!(tried > 5, "{tried}");
}

#[test]
fn tables_and_frames_of_other_lengths_are_refused() {
    let longer = |file: &[u8]| {
        let of = |marker| places(file, marker).into_iter().map(|at| (at + 3, file[at + 3].wrapping_add(1)));
        [0xc0, 0xc2, 0xc4, 0xda, 0xdb, 0xdd].into_iter().flat_map(of).collect()
    };
    assert!(all_refused(longer, "JPEG") > 100);
}

#[test]
fn scans_that_do_not_go_on_where_the_last_one_ended_are_refused() {
    let bits = |file: &[u8]| {
        if places(file, 0xc2).is_empty() {
            return Vec::new();
        }
        // The last byte of a scan's header: the lowest bit known before, and after.
        let end = |at: usize| at + 1 + usize::from(file[at + 3]);
        let scans = places(file, 0xda).into_iter().map(end);
        scans.flat_map(|at| [(at, file[at] ^ 0x11), (at, file[at] ^ 0x10), (at, file[at] ^ 0xe0)]).collect()
    };
    assert!(all_refused(bits, "JPEG") > 100);
}
