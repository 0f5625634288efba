//! Fetching by name from a server on loopback, which behaves, cuts, lies and serves what is no file: each ends in one
//! sentence, with the cache as it was.

use std::cell::RefCell;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use gpu_resnet::weights::{self, FetchOptions, Pretrained, fetch};

use crate::server::{Server, listing, ranged, reply, sha256, whole};

fn file() -> Vec<u8> {
    (0..300_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

fn entry(sha256: Option<String>) -> Pretrained {
    let known = weights::manifest().unwrap().iter().find(|entry| entry.name == "resnet50.a1_in1k").unwrap();
    Pretrained { name: "test.name".into(), sha256, ..known.clone() }
}

fn options<'a>(server: &Server, folder: &Path) -> FetchOptions<'a> {
    FetchOptions { mirror: Some(server.base.clone()), folder: Some(folder.into()), ..Default::default() }
}

/// The error of fetching from `server`, which must be one sentence that begins with the network's name, and leave an empty
/// cache empty and a good file as it was.
fn refusal(server: &Server, entry: &Pretrained) -> String {
    let folder = tempfile::tempdir().unwrap();
    let text = fetch(entry, &options(server, folder.path()), false).unwrap_err().to_string();
    assert!(text.starts_with("test.name: ") && !text.contains('\n'), "{text}");
    assert_eq!(listing(folder.path()), [""; 0], "{text}");
    text
}

#[test]
fn a_network_is_fetched_once() {
    let body = file();
    let served = body.clone();
    let server = Server::new(move |head, _| ranged(head, &served, usize::MAX));
    let folder = tempfile::tempdir().unwrap();
    let entry = entry(Some(sha256(&body)));
    let seen = RefCell::new(Vec::new());
    let progress = |have, total| seen.borrow_mut().push((have, total));
    let options = FetchOptions { progress: Some(&progress), ..options(&server, folder.path()) };
    let first = fetch(&entry, &options, false).unwrap();
    assert!(!first.cached && first.sha256 == entry.sha256);
    assert_eq!(std::fs::read(&first.path).unwrap(), body);
    assert_eq!(listing(folder.path()), ["test.name.safetensors"]);
    let length = body.len() as u64;
    assert_eq!(seen.borrow().last(), Some(&(length, Some(length))));
    let request = &server.requests()[0];
    assert!(request.starts_with(&format!("get /timm/resnet50.a1_in1k/resolve/{}/model", entry.revision)), "{request}");

    // The second time nothing is asked, with or without the network, and damage is seen where it is looked for.
    let offline = FetchOptions { offline: true, ..FetchOptions { progress: None, ..options } };
    for recheck in [false, true] {
        let again = fetch(&entry, &offline, recheck).unwrap();
        assert!(again.cached && again.sha256.is_some() == recheck);
    }
    assert_eq!(server.requests().len(), 1);
    std::fs::write(&first.path, b"damaged").unwrap();
    let text = fetch(&entry, &offline, true).unwrap_err().to_string();
    assert!(text.contains("is damaged") && text.contains("without --offline"), "{text}");
    assert!(!fetch(&entry, &FetchOptions { offline: false, ..offline }, true).unwrap().cached);
    assert_eq!(std::fs::read(&first.path).unwrap(), body);
}

#[test]
fn a_cut_is_taken_up_again() {
    let body = file();
    let served = body.clone();
    // Every connection ends after a third of the file.
    let server = Server::new(move |head, _| ranged(head, &served, served.len() / 3 + 1));
    let folder = tempfile::tempdir().unwrap();
    let entry = entry(Some(sha256(&body)));
    let fetched = fetch(&entry, &options(&server, folder.path()), false).unwrap();
    assert_eq!(std::fs::read(fetched.path).unwrap(), body);
    let ranges = server.requests().iter().filter(|head| head.contains("range: bytes=")).count();
    assert_eq!((server.requests().len(), ranges), (3, 2));
}

#[test]
fn a_call_goes_on_where_the_last_one_ended() {
    let body = file();
    let served = body.clone();
    let server = Server::new(move |head, nth| ranged(head, &served, if nth < 4 { 1000 } else { usize::MAX }));
    let folder = tempfile::tempdir().unwrap();
    let entry = entry(Some(sha256(&body)));
    let text = fetch(&entry, &options(&server, folder.path()), false).unwrap_err().to_string();
    assert!(text.contains("was interrupted after 4000 bytes") && text.contains("run it again"), "{text}");
    assert_eq!(listing(folder.path()), ["test.name.safetensors.part"]);
    let fetched = fetch(&entry, &options(&server, folder.path()), false).unwrap();
    assert_eq!(std::fs::read(fetched.path).unwrap(), body);
    assert!(server.requests()[4].contains("range: bytes=4000-"));
    assert_eq!(listing(folder.path()), ["test.name.safetensors"]);

    // A part that is whole already needs no byte more; one that belongs to another file is thrown away.
    for (part, good) in [(body.clone(), true), (vec![7; 2_000_000], false)] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("test.name.safetensors.part"), part).unwrap();
        let result = fetch(&entry, &options(&server, folder.path()), false);
        assert_eq!(result.is_ok(), good);
        assert_eq!(listing(folder.path()).len(), usize::from(good));
    }
}

/// Two at a time, as two processes would: one fetches, the other waits for it and takes what it got.
#[test]
fn two_that_fetch_at_once_ask_once() {
    let body = file();
    let served = body.clone();
    let server = Server::new(move |head, _| {
        std::thread::sleep(std::time::Duration::from_millis(300));
        ranged(head, &served, usize::MAX)
    });
    let folder = tempfile::tempdir().unwrap();
    let entry = entry(Some(sha256(&body)));
    let run = || {
        let told = RefCell::new(0);
        let notice = |text: &str| {
            assert!(text.starts_with("test.name: another process"), "{text}");
            *told.borrow_mut() += 1;
        };
        let options = FetchOptions { notice: Some(&notice), ..options(&server, folder.path()) };
        let fetched = fetch(&entry, &options, false).unwrap();
        assert_eq!(fetched.cached, *told.borrow() == 1);
        (fetched.cached, std::fs::read(fetched.path).unwrap() == body)
    };
    let mut results = std::thread::scope(|scope| [scope.spawn(run), scope.spawn(run)].map(|one| one.join().unwrap()));
    results.sort();
    assert_eq!(results, [(false, true), (true, true)]);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(listing(folder.path()), ["test.name.safetensors"]);

    // Where the first one fails, the second one fetches.
    let served = body.clone();
    let server = Server::new(move |head, nth| {
        std::thread::sleep(std::time::Duration::from_millis(300));
        if nth == 0 { whole(b"another file") } else { ranged(head, &served, usize::MAX) }
    });
    let folder = tempfile::tempdir().unwrap();
    let run = || fetch(&entry, &options(&server, folder.path()), false).is_ok();
    let mut good = std::thread::scope(|scope| [scope.spawn(run), scope.spawn(run)].map(|one| one.join().unwrap()));
    good.sort();
    assert_eq!((good, server.requests().len()), ([false, true], 2));
    assert_eq!(listing(folder.path()), ["test.name.safetensors"]);
}

#[test]
fn a_server_without_ranges_starts_over() {
    let body = file();
    let served = body.clone();
    let server = Server::new(move |_, nth| {
        let mut reply = whole(&served);
        reply.truncate(if nth == 0 { 5000 } else { reply.len() });
        reply
    });
    let folder = tempfile::tempdir().unwrap();
    let fetched = fetch(&entry(Some(sha256(&body))), &options(&server, folder.path()), false).unwrap();
    assert_eq!(std::fs::read(fetched.path).unwrap(), body);
}

#[test]
fn what_is_no_file_is_refused() {
    let good = entry(Some(sha256(&file())));
    let html = b"<!DOCTYPE html><title>Log in</title>";
    type Answer = fn(&[u8]) -> Vec<u8>;
    let cases: [(&str, Answer); 6] = [
        ("web page", |html| reply("200 OK", "Content-Type: text/html; charset=utf-8\r\n", html)),
        ("web page", |html| whole(&[b"\n  ".as_slice(), html].concat())),
        ("(404)", |html| reply("404 Not Found", "Content-Length: 0\r\n", &html[..0])),
        ("status 403", |_| reply("403 Forbidden", "Content-Length: 0\r\n", b"")),
        ("could not be reached", |_| reply("503 Service Unavailable", "Content-Length: 0\r\n", b"")),
        ("could not be reached", |_| b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
    ];
    for (words, answer) in cases {
        let text = refusal(&Server::new(move |_, _| answer(html)), &good);
        assert!(text.contains(words), "{words:?} is not in {text:?}");
    }
}

#[test]
fn another_file_is_refused_whatever_length_it_claims() {
    let body = file();
    let good = entry(Some(sha256(&body)));
    let mut other = body.clone();
    other[1_000_000] ^= 1;
    let short = body[..900_000].to_vec();
    let (more, expected) = (body.clone(), sha256(&body));
    let servers = [
        Server::new(move |_, _| whole(&other)),
        // A length that is smaller than the file's own, and then one of a file without end.
        Server::new(move |_, _| whole(&short)),
        Server::new(move |_, _| reply("200 OK", "Content-Length: 1000\r\n", &more)),
    ];
    for server in servers {
        let text = refusal(&server, &good);
        assert!(text.contains(&expected) && text.contains("nothing was kept"), "{text}");
    }
    let served = body.clone();
    let endless = Server::new(move |_, _| reply("200 OK", "Content-Length: 9000000000\r\n", &served[..50]));
    let folder = tempfile::tempdir().unwrap();
    let text = fetch(&good, &options(&endless, folder.path()), false).unwrap_err().to_string();
    assert!(text.contains("was interrupted after 50 bytes"), "{text}");
    assert_eq!(listing(folder.path()), ["test.name.safetensors.part"]);
    // A good file stays while a bad server is asked about it.
    let path = folder.path().join("test.name.safetensors");
    std::fs::write(&path, &body).unwrap();
    assert!(fetch(&good, &options(&endless, folder.path()), true).unwrap().cached);
    assert_eq!(std::fs::read(path).unwrap(), body);
}

#[test]
fn where_none_is_published_the_hub_gives_the_checksum() {
    let body = file();
    let (served, right) = (body.clone(), sha256(&body));
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new(move |head, _| match head.starts_with("head ") {
        true => reply("302 Found", &format!("Location: /elsewhere\r\nX-Linked-ETag: \"{right}\"\r\n"), b""),
        false => whole(&served),
    });
    fetch(&entry(None), &options(&server, folder.path()), false).unwrap();
    let served = body.clone();
    let wrong = Server::new(move |head, _| match head.starts_with("head ") {
        true => reply("302 Found", &format!("Location: /\r\nX-Linked-ETag: \"{}\"\r\n", sha256(b"other")), b""),
        false => whole(&served),
    });
    assert!(refusal(&wrong, &entry(None)).contains("nothing was kept"));
    let silent = Server::new(move |_, _| whole(&body));
    assert!(refusal(&silent, &entry(None)).contains("has no checksum"));
}

#[test]
fn the_program_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], mirror: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-resnet"));
        command.args(arguments).env("GPU_RESNET_CACHE", folder.path()).env("GPU_RESNET_MIRROR", mirror);
        let output = command.current_dir(folder.path()).output().unwrap();
        let (out, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(said.lines().count(), usize::from(!output.status.success()), "{said}");
        (output.status.code().unwrap(), out, said)
    };
    // A port that nobody listens on.
    let closed = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let (status, _, said) = run(&["infer", "x.png", "--weights", "resnet18.a1_in1k"], &closed);
    assert!(status == 1 && said.contains("could not be reached") && said.contains("GPU_RESNET_MIRROR"), "{said}");
    let (status, _, said) = run(&["weights", "fetch", "resnet18.a1_in1k", "--offline"], &closed);
    assert!(status == 1 && said.contains("is not in the cache") && said.contains("without --offline"), "{said}");
    let (status, _, said) = run(&["weights", "fetch", "resnet18.a2_in1k"], &closed);
    assert!(status == 2 && said.contains("resnet18.a1_in1k") && said.contains("weights list"), "{said}");
    let (status, _, said) = run(&["weights", "fetch", "resnet18.a1_in1k"], "ftp://example.org");
    assert!(status == 2 && said.contains("https://"), "{said}");
    let (status, out, _) = run(&["weights", "list", "--json"], &closed);
    let listed: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, listed.as_array().unwrap().len()), (0, weights::manifest().unwrap().len()));
    for key in ["name", "source", "revision", "licence", "architecture", "preprocess", "accuracy", "url", "cached"] {
        assert!(listed[0].get(key).is_some(), "{key}");
    }
    assert!(listing(folder.path()).iter().all(|name| name == "weights"));
}
