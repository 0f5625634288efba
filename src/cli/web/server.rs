//! A small HTTP server of one folder, on the loopback interface. Requests are hostile: any page that the user visits can send some.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::error::{Error, Result};

/// The longest head of a request.
const MOST_HEAD: u64 = 16 << 10;
/// Connections at a time; more are closed.
const MOST_CONNECTIONS: usize = 64;
/// How long a connection may neither send nor take anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// Headers of every answer. Workers take their policy from here, the page also from its own text.
const HEADERS: &str = "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\nContent-Security-Policy: default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
    worker-src 'self'; connect-src 'self'; img-src 'self' blob:; style-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'\r\nConnection: close\r\n";

/// The types that browsers insist on; other files are shown as text.
const TYPES: [(&str, &str); 7] = [
    ("css", "text/css; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("safetensors", "application/octet-stream"),
    ("svg", "image/svg+xml"),
    ("wasm", "application/wasm"),
];

/// A folder on a port.
pub struct Server {
    folder: Arc<Path>,
    listener: TcpListener,
}

/// What a request gets.
#[derive(Debug)]
enum Answer {
    File(PathBuf),
    Refused(&'static str),
}

impl Server {
    /// Takes `port` of the loopback interface, or any free one for 0.
    pub fn open(folder: &Path, port: u16) -> Result<Self> {
        let folder = folder.canonicalize().map_err(|error| Error::file(folder, error))?.into();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
            Error::Usage(format!("port {port} can't be used: {error}; give another --port, or 0 for any that is free"))
        })?;
        Ok(Self { folder, listener })
    }

    pub fn port(&self) -> Result<u16> {
        self.listener.local_addr().map(|address| address.port()).map_err(|error| Error::file("the server", error))
    }

    /// Answers until the process ends.
    pub fn serve(&self) -> Result<()> {
        let open = Arc::new(AtomicUsize::new(0));
        for stream in self.listener.incoming().flatten() {
            if open.fetch_add(1, Ordering::AcqRel) >= MOST_CONNECTIONS {
                open.fetch_sub(1, Ordering::AcqRel);
                continue;
            }
            let (folder, open) = (self.folder.clone(), open.clone());
            std::thread::spawn(move || {
                // A visitor that leaves early is no failure.
                let _ = answer(&folder, stream);
                open.fetch_sub(1, Ordering::AcqRel);
            });
        }
        Ok(())
    }
}

/// Reads one request and answers it.
fn answer(folder: &Path, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = read_head(&mut stream)?;
    let (found, has_body) = match head.as_deref() {
        Some(head) => (look_up(folder, head), !head.starts_with("HEAD ")),
        None => (Answer::Refused("431 Request Header Fields Too Large"), true),
    };
    let file = match found {
        Answer::File(path) => File::open(&path).map(|file| (file, path)).map_err(|_| "404 Not Found"),
        Answer::Refused(status) => Err(status),
    };
    match file {
        Ok((mut file, path)) => {
            let bytes = file.metadata()?.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {bytes}\r\n{HEADERS}\r\n",
                kind(&path)
            )?;
            if has_body { std::io::copy(&mut file, &mut stream).map(drop) } else { Ok(()) }
        }
        Err(status) => {
            let body = if has_body { status } else { "" };
            let length = status.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n{HEADERS}\r\n{body}"
            )
        }
    }
}

/// The head of a request, up to its empty line; `None` if it is too long.
fn read_head(stream: &mut impl Read) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part)? {
            0 => break,
            n => head.extend_from_slice(&part[..n]),
        }
        if head.len() as u64 > MOST_HEAD {
            return Ok(None);
        }
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

/// The file that a request is for. Names have letters, digits, `.`, `-` and `_`, and begin with none of the last three, so that no path
/// leaves the folder.
fn look_up(folder: &Path, head: &str) -> Answer {
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !matches!(method, "GET" | "HEAD") {
        return Answer::Refused("405 Method Not Allowed");
    }
    // A foreign name that was pointed at this machine makes a foreign page out of ours.
    if !lines.any(is_own_host) {
        return Answer::Refused("421 Misdirected Request");
    }
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let path = if path == "/" { "/index.html" } else { path };
    let good = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    let names: Vec<&str> = path.strip_prefix('/').map(|path| path.split('/').collect()).unwrap_or_default();
    if names.is_empty() || !names.iter().all(|name| good(name)) {
        return Answer::Refused("404 Not Found");
    }
    // Links are followed, but not out of the folder.
    let found = folder.join(names.join("/")).canonicalize();
    match found {
        Ok(found) if found.starts_with(folder) && found.is_file() => Answer::File(found),
        _ => Answer::Refused("404 Not Found"),
    }
}

/// Whether a header line is `Host` and names this machine.
fn is_own_host(line: &str) -> bool {
    let Some((name, value)) = line.split_once(':') else { return false };
    let host = value.trim().rsplit_once(':').map_or(value.trim(), |(host, _)| host);
    name.eq_ignore_ascii_case("host") && ["localhost", "127.0.0.1"].contains(&host)
}

fn kind(path: &Path) -> &'static str {
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
    TYPES.iter().find(|(known, _)| *known == end).map_or("text/plain; charset=utf-8", |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A served folder; the server ends with the tests' process.
    fn served() -> (tempfile::TempDir, u16) {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("page");
        std::fs::create_dir_all(page.join("weights")).unwrap();
        std::fs::write(page.join("index.html"), "<!doctype html>").unwrap();
        std::fs::write(page.join("a.wasm"), b"\0asm").unwrap();
        std::fs::write(page.join("weights/w.safetensors"), [7; 100_000]).unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("../secret", page.join("link")).unwrap();
        let server = Server::open(&page, 0).unwrap();
        let port = server.port().unwrap();
        std::thread::spawn(move || server.serve());
        (folder, port)
    }

    fn send(port: u16, request: &[u8]) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn get(port: u16, path: &str) -> String {
        send(port, format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n").as_bytes())
    }

    #[test]
    fn files_come_with_their_types() {
        let (_folder, port) = served();
        for path in ["/", "/index.html", "/?suite=quick#verify"] {
            let page = get(port, path);
            assert!(page.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/html"), "{page}");
            assert!(
                page.ends_with("\r\n\r\n<!doctype html>")
                    && page.contains("Content-Security-Policy: default-src 'none'")
            );
        }
        assert!(get(port, "/a.wasm").contains("Content-Type: application/wasm\r\nContent-Length: 4\r\n"));
        assert_eq!(get(port, "/weights/w.safetensors").split("\r\n\r\n").nth(1).map(str::len), Some(100_000));
        let head = send(port, b"HEAD /a.wasm HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        assert!(head.contains("Content-Length: 4") && head.ends_with("\r\n\r\n"), "{head}");
    }

    #[test]
    fn nothing_outside_of_the_folder_is_served() {
        let (_folder, port) = served();
        let paths = [
            "/../secret",
            "/..%2fsecret",
            "/%2e%2e/secret",
            "/weights/../../secret",
            "//secret",
            "/./index.html",
            "/link",
            "/weights",
            "/missing",
            "secret",
            "",
            "/a\0b",
            "/C:/secret",
            "/..\\secret",
        ];
        for path in paths {
            let answer = get(port, path);
            assert!(answer.starts_with("HTTP/1.1 404") && !answer.ends_with("secret"), "{path}: {answer}");
        }
    }

    #[test]
    fn other_requests_are_refused() {
        let (_folder, port) = served();
        let of = |request: &str| send(port, request.as_bytes());
        assert!(of("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n").starts_with("HTTP/1.1 405"));
        assert!(of("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").starts_with("HTTP/1.1 421"));
        assert!(of("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 421"));
        assert!(of("nonsense\r\n\r\n").starts_with("HTTP/1.1 405"));
        let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(20 << 10));
        // The connection may be reset before the answer is read.
        let answer = of(&long);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
        assert!(get(port, "/").starts_with("HTTP/1.1 200"), "it goes on");
    }
}
