//! The server of the page. What it answers is tested beside it, in `src/cli/web/server.rs`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Stdio;

use super::support::Sandbox;

#[test]
fn a_page_that_is_not_built_is_said_so() {
    let here = Sandbox::new();
    here.bad(1, "target/web: has no index.html; build the page by `make web`", &["web"]);
    here.write("half/index.html", b"");
    here.bad(1, "half: has no gpu_resnet_web_bg.wasm", &["web", "half", "--port", "0"]);
}

#[test]
fn the_page_is_served_where_it_is_said() {
    let here = Sandbox::new();
    here.write("page/index.html", b"the page");
    here.write("page/gpu_resnet_web_bg.wasm", b"\0asm");
    let mut command = here.command();
    let mut server =
        command.args(["web", "page", "--port", "0"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port: u16 =
        line.trim().strip_prefix("http://127.0.0.1:").and_then(|rest| rest.strip_suffix('/')).unwrap().parse().unwrap();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    // Its port is taken, which is an error that says what to do.
    here.bad(2, "give another --port", &["web", "page", "--port", &port.to_string()]);
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("the page"), "{answer}");
}
