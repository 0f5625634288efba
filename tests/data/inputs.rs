//! What a user may type as inputs, and the contact sheet.

use std::path::{Path, PathBuf};

use gpu_resnet::data::{Rgb8, decode_file, expand_inputs, grid, is_image_name, write_png};

use crate::{assert_error, put, source};

fn expand(dir: &Path, inputs: &[&str], list: Option<&str>) -> gpu_resnet::Result<Vec<String>> {
    let inputs: Vec<PathBuf> = inputs.iter().map(|i| if *i == "-" { "-".into() } else { dir.join(i) }).collect();
    let list = list.map(|l| l.replace("DIR", &dir.display().to_string()));
    let mut reader = list.as_ref().map(|l| l.as_bytes());
    let found = expand_inputs(&inputs, reader.as_mut().map(|r| r as &mut dyn std::io::BufRead))?;
    Ok(found.files.iter().map(|p| p.strip_prefix(dir).unwrap_or(p).display().to_string()).collect())
}

#[test]
fn files_folders_globs_and_lists() {
    let tmp = tempfile::tempdir().expect("a folder");
    let dir = tmp.path();
    for name in ["b.jpg", "a.png", "x/c.gif", "x/y/d.webp", "x/notes.txt", ".hid.png", "odd[1].png", "x/.h/e.png"] {
        put(dir.join(name), "");
    }
    assert_eq!(expand(dir, &["x/notes.txt", "b.jpg"], None).expect("files"), ["x/notes.txt", "b.jpg"]);
    assert_eq!(
        expand(dir, &["."], None).expect("a folder").iter().map(|p| p.trim_start_matches("./")).collect::<Vec<_>>(),
        ["a.png", "b.jpg", "odd[1].png", "x/c.gif", "x/y/d.webp"]
    );
    assert_eq!(expand(dir, &["*.png"], None).expect("a glob"), ["a.png", "odd[1].png"]);
    assert_eq!(expand(dir, &["**/*.webp"], None).expect("a deep glob"), ["x/y/d.webp"]);
    assert_eq!(expand(dir, &["x*"], None).expect("a glob of a folder"), ["x/c.gif", "x/y/d.webp"]);
    assert_eq!(expand(dir, &["odd[1].png"], None).expect("a file like a glob"), ["odd[1].png"]);
    let list = "DIR/b.jpg\r\n\nDIR/x/y\nDIR/gone.png\n";
    assert_eq!(expand(dir, &["a.png", "-"], Some(list)).expect("a list"), ["a.png", "b.jpg", "x/y/d.webp", "gone.png"]);

    assert_error(expand(dir, &["a.png", "c.png"], None), &["c.png", "does not exist"]);
    assert_error(expand(dir, &["*.bmp"], None), &["*.bmp", "matches no file"]);
    assert_error(expand(dir, &["[.png"], None), &["[.png", "not a valid glob"]);
    put(dir.join("empty/x.txt"), "");
    assert_error(expand(dir, &["empty"], None), &["empty", "no image files"]);
    assert_error(expand(dir, &["-"], Some("\n")), &["list of files", "empty"]);
    assert_error(expand(dir, &["-", "-"], Some("DIR/b.jpg")), &["only once"]);
    assert_error(expand_inputs(&[], None), &["no input"]);
}

#[test]
fn images_are_told_by_their_extension_in_any_case() {
    for name in ["a.jpg", "a.JPEG", "a.jfif", "a.Tif", "a.tiff", "a.ppm", "a.pgm", "a.pbm", "a.PNM", "a.apng", "a.dib"]
    {
        assert!(is_image_name(Path::new(name)), "{name}");
    }
    for name in ["a.avif", "a.heic", "a.jxl", "a.psd", "a.svg", "a.txt", "a", ".tif", "tif", ".a.tif"] {
        assert!(!is_image_name(Path::new(name)), "{name}");
    }
}

#[test]
fn what_systems_leave_is_no_input() {
    let tmp = tempfile::tempdir().expect("a folder");
    let dir = tmp.path();
    for name in ["a/1.jpg", "a/@eaDir/1.jpg/THUMB.jpg", "a/._1.jpg", "__MACOSX/a/1.jpg", "$RECYCLE.BIN/2.jpg"] {
        put(dir.join(name), "");
    }
    assert_eq!(expand(dir, &["."], None).expect("a folder").len(), 1);
    assert_eq!(expand(dir, &["**/*.jpg"], None).expect("a glob"), ["a/1.jpg"]);
    assert_eq!(expand(dir, &["*/*"], None).expect("a glob"), ["a/1.jpg"]);
    assert_eq!(expand(dir, &["**"], None).expect("a glob"), ["a/1.jpg"]);
    // Whoever names it means it.
    assert_eq!(expand(dir, &["$RECYCLE.BIN/*"], None).expect("a glob"), ["$RECYCLE.BIN/2.jpg"]);
    assert_eq!(expand(dir, &["a/._1.jpg"], None).expect("a file"), ["a/._1.jpg"]);
    put(dir.join("mixed/1.jp2"), "");
    assert_error(expand(dir, &["mixed"], None), &["mixed", "1 image in a format that is not read (.jp2)", "convert"]);
}

#[test]
fn formats_that_are_not_read_are_told_of_each_folder() {
    let tmp = tempfile::tempdir().expect("a folder");
    let dir = tmp.path();
    for name in ["a/1.jpg", "a/2.heic", "a/deep/3.jxl", "a/notes.txt", "b/1.png", "c/1.png", "c/2.avif"] {
        put(dir.join(name), "");
    }
    let found = expand_inputs(&["a", "b", "c"].map(|name| dir.join(name)), None).expect("folders");
    let said = |name: &str, text: &str| (dir.join(name), text.to_owned());
    assert_eq!(found.files, ["a/1.jpg", "b/1.png", "c/1.png"].map(|name| dir.join(name)));
    assert_eq!(
        found.left_out,
        [
            said("a", "2 images in formats that are not read (.heic, .jxl)"),
            said("c", "1 image in a format that is not read (.avif)")
        ]
    );
}

/// Paths are bytes on Unix: names that are no UTF-8 are files like any other.
#[cfg(unix)]
#[test]
fn names_of_bytes_are_found_in_every_way() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let tmp = tempfile::tempdir().expect("a folder");
    let dir = tmp.path();
    let name = OsStr::from_bytes(b"caf\xe9.png");
    let path = put(dir.join("in").join(name), "");
    put(dir.join("in/tea.png"), "");
    let glob = |pattern: &[u8]| expand_inputs(&[dir.join(OsStr::from_bytes(pattern))], None).expect("a match").files;
    assert_eq!(glob(b"in/caf\xe9.png"), [&*path]);
    assert_eq!(glob(b"in"), [path.clone(), dir.join("in/tea.png")]);
    assert_eq!(glob(b"in/*.png"), [path.clone(), dir.join("in/tea.png")]);
    assert_eq!(glob(b"*/caf?.png"), [&*path]);
    assert_eq!(glob(b"**/caf\xe9.p*"), [&*path]);

    let list = |text: &[u8]| {
        let mut reader = text;
        expand_inputs(&["-".into()], Some(&mut reader)).map(|found| found.files)
    };
    let bytes = path.as_os_str().as_bytes();
    assert_eq!(list(&[b"\xef\xbb\xbf", bytes, b"\r\nb.png\n"].concat()).expect("lines"), [&*path, Path::new("b.png")]);
    assert_eq!(list(&[bytes, b"\0two\nlines.png\0 \0"].concat()).expect("NUL after each").len(), 3);
    assert_eq!(list(b"two\nlines.png\0").expect("NUL after each"), [Path::new("two\nlines.png")]);
    assert_error(list(b"\xff\xfea\0\n\0"), &["UTF-16", "UTF-8"]);
    assert_error(list(b"\0\0"), &["empty"]);
}

#[test]
fn a_grid_enlarges_pixels_and_keeps_aspect_ratios() {
    let checks = Rgb8 { width: 2, height: 1, pixels: vec![255, 0, 0, 0, 0, 255] };
    let large = source("smooth", 64, 32);
    let sheet = grid(&[checks, large, source("noise", 1, 1)], 2, 8, 2);
    assert_eq!((sheet.width, sheet.height), (22, 22));
    let at = |x: u32, y: u32| {
        let i = ((y * sheet.width + x) * 3) as usize;
        &sheet.pixels[i..i + 3]
    };
    // The first cell starts at (2, 2); 8 x 4 pixels stand in its middle.
    assert_eq!(
        (at(2, 4), at(5, 7), at(6, 4), at(9, 7)),
        (&[255, 0, 0][..], &[255, 0, 0][..], &[0, 0, 255][..], &[0, 0, 255][..])
    );
    assert_eq!((at(2, 3), at(2, 8), at(1, 4), at(10, 4)), (&[0; 3][..], &[0; 3][..], &[0; 3][..], &[0; 3][..]));
    assert_ne!(at(13, 5), [0; 3]);
    assert_eq!(at(2, 12), &source("noise", 1, 1).pixels[..]);
    assert_eq!(at(15, 15), [0; 3], "the fourth cell is empty");
    // Nonsense is bounded.
    let empty = grid(&[], 0, 0, 0);
    assert_eq!((empty.width, empty.height), (1, 1));
    let many = grid(&vec![source("noise", 1, 1); 300], 10, u32::MAX, u32::MAX);
    assert!(u64::from(many.width) * u64::from(many.height) <= gpu_resnet::data::MAX_PIXELS);
}

#[test]
fn a_png_is_written_whole_or_not_at_all() {
    let dir = tempfile::tempdir().expect("a folder");
    let picture = source("noise", 13, 9);
    let path = dir.path().join("sheet.png");
    write_png(&picture, &path).expect("written");
    write_png(&picture, &path).expect("overwritten");
    assert_eq!(decode_file(&path).expect("it reads back"), picture);
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 1, "a temporary file is left");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |p: &Path| std::fs::metadata(p).expect("it exists").permissions().mode() & 0o777;
        assert_eq!(mode(&path), mode(&put(dir.path().join("plain"), "")), "readable like any other file");
    }
    assert_error(write_png(&picture, &dir.path().join("no/such/folder.png")), &["folder.png", "could not be written"]);
}
