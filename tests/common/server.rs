//! A server on loopback for the tests of fetching.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

/// A server that answers the request heads it gets by `answer`, whatever bytes that gives, and then hangs up.
pub struct Server {
    pub base: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn new(answer: impl Fn(&str, usize) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).to_lowercase();
                let nth = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(head.clone());
                    seen.len() - 1
                };
                let _ = stream.write_all(&answer(&head, nth));
            }
        });
        Server { base, requests }
    }

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

pub fn reply(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

pub fn whole(body: &[u8]) -> Vec<u8> {
    reply("200 OK", &format!("Content-Length: {}\r\n", body.len()), body)
}

/// `body` from the byte that `head` asks for on, at most `most` bytes of it, with the headers of all of it.
pub fn ranged(head: &str, body: &[u8], most: usize) -> Vec<u8> {
    let range = head.lines().find_map(|line| line.strip_prefix("range: bytes="));
    let start = range.map_or(0, |range| range.trim_end_matches('-').parse().unwrap());
    if start >= body.len() {
        return reply("416 Range Not Satisfiable", &format!("Content-Range: bytes */{}\r\n", body.len()), b"");
    }
    let (status, last) = (if start > 0 { "206 Partial Content" } else { "200 OK" }, body.len() - 1);
    let left = body.len() - start;
    let mut headers = format!("Content-Length: {left}\r\n");
    if start > 0 {
        headers += &format!("Content-Range: bytes {start}-{last}/{}\r\n", body.len());
    }
    reply(status, &headers, &body[start..start.saturating_add(most).min(body.len())])
}

/// In hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The names in a folder, sorted.
pub fn listing(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
