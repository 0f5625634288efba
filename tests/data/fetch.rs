//! Data sets by name, from a server on loopback that behaves, cuts, lies, and sends archives that mean harm: each ends in one
//! sentence, with no file that was not there before.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use gpu_resnet::data::{self, Archive, FetchOptions, Member, NamedData, fetch};

use crate::server::{Server, listing, ranged, reply, sha256, whole};

/// CIFAR-10's two files, one record each.
fn records() -> [(&'static str, Vec<u8>); 2] {
    let record =
        |label| [vec![label], (0..3072u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()].concat();
    [("data_batch_1.bin", [record(3), record(5)].concat()), ("test_batch.bin", record(7))]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A tar of `entries`, whose names are taken as they are.
fn tar(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_entry_type(*kind);
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn good() -> Vec<u8> {
    let [train, test] = records();
    let file = tar::EntryType::Regular;
    gzip(&tar(&[
        ("set/", tar::EntryType::Directory, b""),
        ("set/readme.html", file, b"about"),
        ("./set/data_batch_1.bin", file, &train.1),
        ("set/test_batch.bin", file, &test.1),
    ]))
}

/// The data set `test`, whose archive is `packed`.
fn set(packed: &[u8]) -> NamedData {
    let member = |(name, bytes): &(&str, Vec<u8>)| Member {
        name: (*name).into(),
        bytes: bytes.len() as u64,
        sha256: sha256(bytes),
    };
    let archive = Archive {
        url: "https://example.org/~a/set.tar.gz".into(),
        bytes: packed.len() as u64,
        sha256: sha256(packed),
        files: records().iter().map(member).collect(),
    };
    let text = String::from("test");
    NamedData { name: text.clone(), about: text.clone(), terms: text, folder: "set".into(), archives: vec![archive] }
}

fn options<'a>(server: &Server, folder: &Path) -> FetchOptions<'a> {
    FetchOptions { mirror: Some(server.base.clone()), folder: Some(folder.into()), ..Default::default() }
}

#[test]
fn an_archive_is_fetched_once_and_mended() {
    let packed = good();
    let served = packed.clone();
    // Every connection ends after a third of the file.
    let server = Server::new(move |head, _| ranged(head, &served, served.len() / 3 + 1));
    let folder = tempfile::tempdir().unwrap();
    let set = set(&packed);
    let fetched = fetch(&set, &options(&server, folder.path())).unwrap();
    assert!(!fetched.cached && fetched.path == folder.path().join("set"));
    assert!(server.requests()[0].starts_with("get /~a/set.tar.gz "), "{:?}", server.requests());
    assert_eq!(server.requests().len(), 3);
    assert_eq!(listing(folder.path()), ["set"]);
    assert_eq!(listing(&fetched.path), ["data_batch_1.bin", "test_batch.bin"]);
    for (name, bytes) in records() {
        assert_eq!(std::fs::read(fetched.path.join(name)).unwrap(), bytes);
    }
    let splits = data::open_splits(&fetched.path).unwrap();
    assert_eq!((splits.train.len(), splits.train.label(1), splits.val.unwrap().label(0)), (2, 5, 7));

    let offline = FetchOptions { offline: true, ..options(&server, folder.path()) };
    assert!(fetch(&set, &offline).unwrap().cached);
    assert_eq!(server.requests().len(), 3);
    let mut damaged = records()[1].1.clone();
    damaged[9] ^= 1;
    std::fs::write(fetched.path.join("test_batch.bin"), &damaged).unwrap();
    let text = fetch(&set, &offline).unwrap_err().to_string();
    assert!(text.starts_with("test: ") && text.contains("without --offline"), "{text}");
    assert!(!fetch(&set, &options(&server, folder.path())).unwrap().cached);
    assert_eq!(std::fs::read(fetched.path.join("test_batch.bin")).unwrap(), records()[1].1);
}

#[test]
fn single_files_are_unpacked() {
    let [train, test] = records();
    let bodies = [gzip(&train.1), gzip(&test.1)];
    let served = bodies.clone();
    let server = Server::new(move |head, _| whole(&served[usize::from(head.starts_with("get /b.gz "))]));
    let mut set = set(b"");
    let files = std::mem::take(&mut set.archives[0].files);
    set.archives = std::iter::zip(["a", "b"], files)
        .zip(&bodies)
        .map(|((url, file), body)| Archive {
            url: format!("https://example.org/{url}.gz"),
            bytes: body.len() as u64,
            sha256: sha256(body),
            files: vec![file],
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let fetched = fetch(&set, &options(&server, folder.path())).unwrap();
    for (name, bytes) in records() {
        assert_eq!(std::fs::read(fetched.path.join(name)).unwrap(), bytes);
    }
    // Only what is missing is asked for again.
    std::fs::remove_file(fetched.path.join("test_batch.bin")).unwrap();
    fetch(&set, &options(&server, folder.path())).unwrap();
    assert_eq!(
        server.requests().iter().map(|head| &head[..9]).collect::<Vec<_>>(),
        ["get /a.gz", "get /b.gz", "get /b.gz"]
    );
    // A file that goes on after its promised end.
    let long = gzip(&[&train.1[..], b"x"].concat());
    let served = long.clone();
    let server = Server::new(move |_, _| whole(&served));
    set.archives.truncate(1);
    (set.archives[0].bytes, set.archives[0].sha256) = (long.len() as u64, sha256(&long));
    let text = refusal(&server, &set);
    assert!(text.contains("data_batch_1.bin of another size"), "{text}");
}

/// The error of fetching into an empty folder, which must be one sentence, with no file but an archive that may be resumed;
/// and a data set that is there, damaged, stays as it is.
fn refusal(server: &Server, set: &NamedData) -> String {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("set");
    let mut text = String::new();
    for there in [false, true] {
        if there {
            std::fs::create_dir_all(&files).unwrap();
            std::fs::write(files.join("test_batch.bin"), b"old").unwrap();
        }
        text = fetch(set, &options(server, folder.path())).unwrap_err().to_string();
        assert!(text.starts_with("test: ") && !text.contains('\n'), "{text}");
        let left: Vec<_> = listing(folder.path()).into_iter().filter(|name| !name.ends_with(".part")).collect();
        assert!(left.iter().all(|name| name == "set"), "{left:?}");
        let inside = if files.is_dir() { listing(&files) } else { Vec::new() };
        assert_eq!(inside, vec!["test_batch.bin"; usize::from(there)], "{text}");
        assert!(!there || std::fs::read(files.join("test_batch.bin")).unwrap() == b"old");
    }
    text
}

#[test]
fn servers_that_lie_are_refused() {
    let packed = good();
    let set = set(&packed);
    let mut other = packed.clone();
    other[100] ^= 1;
    let (longer, short) = ([&packed[..], b"more"].concat(), packed[..packed.len() / 2].to_vec());
    let servers = [
        ("nothing was kept", Server::new(move |_, _| whole(&other))),
        ("nothing was kept", Server::new(move |_, _| whole(&short))),
        ("sends more than", Server::new(move |_, _| whole(&longer))),
        ("web page", Server::new(|_, _| whole(b"<!DOCTYPE html><title>Log in</title>"))),
        ("(404)", Server::new(|_, _| reply("404 Not Found", "Content-Length: 0\r\n", b""))),
        ("status 403", Server::new(|_, _| reply("403 Forbidden", "Content-Length: 0\r\n", b""))),
        (
            "was interrupted after 10 bytes",
            Server::new(move |head, _| match head.contains("range:") {
                true => reply("503 Service Unavailable", "Content-Length: 0\r\n", b""),
                false => reply("200 OK", "Content-Length: 99999\r\n", &packed[..10]),
            }),
        ),
    ];
    for (words, server) in servers {
        let text = refusal(&server, &set);
        assert!(text.contains(words), "{words:?} is not in {text:?}");
    }
}

/// Archives with the right checksum, as if who wrote the list of data sets had been deceived.
#[test]
fn archives_that_mean_harm_are_refused() {
    let [train, test] = records();
    let (file, zeros) = (tar::EntryType::Regular, vec![0; 64 << 20]);
    let (one, two) = (("set/data_batch_1.bin", file, &train.1[..]), ("set/test_batch.bin", file, &test.1[..]));
    let cases: [(&str, Vec<u8>); 9] = [
        ("has no set/test_batch.bin", tar(&[one])),
        (
            "has no set/data_batch_1.bin",
            tar(&[("../set/data_batch_1.bin", file, &train.1), ("/test_batch.bin", file, b"x")]),
        ),
        ("has no set/test_batch.bin", tar(&[one, ("set/../../test_batch.bin", file, &test.1)])),
        ("twice, or not as a file", tar(&[one, one, two])),
        ("twice, or not as a file", tar(&[one, ("set/test_batch.bin", tar::EntryType::Symlink, b"")])),
        ("of another size", tar(&[one, ("set/test_batch.bin", file, &train.1)])),
        ("of another size", tar(&[one, ("set/test_batch.bin", file, &test.1[1..])])),
        ("the sha256", tar(&[one, ("set/test_batch.bin", file, &train.1[..3073])])),
        ("far more bytes", tar(&[("set/bomb", file, &zeros), one, two])),
    ];
    for (words, bytes) in cases {
        let packed = gzip(&bytes);
        let served = packed.clone();
        let text = refusal(&Server::new(move |head, _| ranged(head, &served, usize::MAX)), &set(&packed));
        assert!(text.contains(words) && text.contains("nothing of it was kept"), "{words:?} is not in {text:?}");
    }
    // No gzip at all, and one that ends early.
    for packed in [b"plain bytes, and some of them".to_vec(), good()[..40].to_vec()] {
        let served = packed.clone();
        let text = refusal(&Server::new(move |head, _| ranged(head, &served, usize::MAX)), &set(&packed));
        assert!(text.contains("nothing of it was kept"), "{text}");
    }
}

#[test]
fn two_that_fetch_at_once_ask_once() {
    let packed = good();
    let served = packed.clone();
    let server = Server::new(move |head, _| {
        std::thread::sleep(std::time::Duration::from_millis(300));
        ranged(head, &served, usize::MAX)
    });
    let folder = tempfile::tempdir().unwrap();
    let set = set(&packed);
    let run = || fetch(&set, &options(&server, folder.path())).unwrap().cached;
    let mut cached = std::thread::scope(|scope| [scope.spawn(run), scope.spawn(run)].map(|one| one.join().unwrap()));
    cached.sort();
    assert_eq!((cached, server.requests().len()), ([false, true], 1));
    assert_eq!(listing(folder.path()), ["set"]);
}

#[test]
fn the_program_takes_a_name_for_data() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-resnet"));
        command.args(arguments).env("GPU_RESNET_CACHE", folder.path()).env("GPU_RESNET_MIRROR", "http://127.0.0.1:9");
        let output = command.current_dir(folder.path()).output().unwrap();
        let (out, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        (output.status.code().unwrap(), out, said)
    };
    for command in [&["data", "inspect", "cifar10"][..], &["evaluate", "cifar10"], &["finetune", "cifar10"]] {
        let (status, _, said) = run(command);
        let asked = "cifar10: was not fetched yet; run `gpu-resnet data fetch cifar10`";
        assert!(status == 1 && said.contains(asked) && said.lines().count() == 1, "{said}");
    }
    let (status, _, said) = run(&["data", "grid", "cifar"]);
    assert!(status == 1 && said.contains("does not exist") && said.contains("cifar10, cifar100, mnist"), "{said}");
    let (status, _, said) = run(&["data", "fetch", "cifar"]);
    assert!(status == 2 && said.contains("fashion-mnist"), "{said}");
    let (status, _, said) = run(&["data", "fetch", "mnist", "--offline"]);
    assert!(status == 1 && said.contains("without --offline"), "{said}");
    let (status, _, said) = run(&["data", "fetch", "mnist", "--output", "here"]);
    assert!(status == 1 && said.contains("could not be reached") && said.contains("GPU_RESNET_MIRROR"), "{said}");

    // Files of the right sizes in the cache, with nothing but zeros in them.
    for set in data::named_data().unwrap().iter().filter(|set| set.name.starts_with("cifar")) {
        let inside = folder.path().join("data").join(&set.name).join(&set.folder);
        std::fs::create_dir_all(&inside).unwrap();
        for file in set.archives.iter().flat_map(|archive| &archive.files) {
            std::fs::File::create(inside.join(&file.name)).unwrap().set_len(file.bytes).unwrap();
        }
        let (status, out, said) = run(&["data", "inspect", &set.name, "--quick", "--json"]);
        let found: serde_json::Value = serde_json::from_str(&out).expect(&said);
        assert_eq!((status, &found["images"], &found["held_out"]), (0, &60_000.into(), &10_000.into()));
        std::fs::remove_file(inside.join(&set.archives[0].files[0].name)).unwrap();
        let (status, _, said) = run(&["data", "inspect", &set.name, "--quick"]);
        assert!(status == 1 && said.contains("is incomplete in the cache"), "{said}");
    }
}
