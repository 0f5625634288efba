//! Fetches that are killed: the next one takes up what is there, nothing half-fetched has its name, and the bytes are the server's.

#![cfg(unix)]

use std::path::PathBuf;
use std::process::Command;

use gpu_resnet::data::{self, Archive, FetchOptions, Member, NamedData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::kills::SIGNALS;
use super::moment::{Moment, disturb};
use super::table::row;
use super::task::parts;
use crate::cli::support::Sandbox;
use crate::server::{Server, ranged, reply, sha256};

/// So many numbers that a kill falls into the transfer.
const LONG: u32 = 4_000_000;

/// `numbers` numbers, four bytes each.
pub fn body(numbers: u32) -> Vec<u8> {
    (0..numbers).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

/// A data set of one file, which comes gzipped.
fn set(plain: &[u8], packed: &[u8]) -> NamedData {
    let files = vec![Member { name: "all.bin".into(), bytes: plain.len() as u64, sha256: sha256(plain) }];
    let url = "https://example.org/all.gz".into();
    let archive = Archive { url, bytes: packed.len() as u64, sha256: sha256(packed), files };
    let text = String::from("test");
    NamedData { name: text.clone(), about: text.clone(), terms: text, folder: "set".into(), archives: vec![archive] }
}

pub fn packed(plain: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// What `data fetch` calls, for a data set that is not among those with names: a process of its own, to be killed.
#[test]
#[ignore = "is started by a_killed_fetch_of_data_is_taken_up"]
fn fetches_in_a_process_of_its_own() {
    let told = ["GPU_RESNET_MIRROR", "TEST_FOLDER", "TEST_NUMBERS"].map(std::env::var);
    let [Ok(mirror), Ok(folder), Ok(numbers)] = told else { return };
    let plain = body(numbers.parse().unwrap());
    let options = FetchOptions { mirror: Some(mirror), folder: Some(folder.into()), ..Default::default() };
    if let Err(error) = data::fetch(&set(&plain, &packed(&plain)), &options) {
        // As the program ends.
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

/// That process, for the data set of `LONG` numbers or of those that `TEST_NUMBERS` says.
pub fn process(here: &Sandbox) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = "cli::campaigns::fetches::fetches_in_a_process_of_its_own";
    command.args(["--ignored", "--nocapture", "--exact", name]);
    command.current_dir(here.path("")).env("TEST_FOLDER", here.path("cache")).env("TEST_NUMBERS", LONG.to_string());
    command
}

/// Kills `command` at moments of a whole fetch of `file`, and lets it end each time: the file must then be `bytes`.
fn kill(here: &Sandbox, command: &dyn Fn() -> Command, file: PathBuf, bytes: &[u8], times: usize) -> usize {
    let clear = || drop(std::fs::remove_dir_all(here.path("cache")));
    let started = std::time::Instant::now();
    assert!(command().output().unwrap().status.success());
    let whole = started.elapsed();
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let (mut done, mut within) = (0, 0);
    while done < times {
        clear();
        let signals = SIGNALS[done % SIGNALS.len()];
        let delay = whole.mul_f64(random.random_range(0.0..1.0));
        let what = format!("a fetch: {signals:?} after {delay:?}");
        if disturb(&mut command(), Moment { after: "", delay }, signals, &what).is_none() {
            continue;
        }
        done += 1;
        within += usize::from(!parts(&here.path("")).is_empty());
        assert!(std::fs::read(&file).is_ok_and(|found| found == bytes) || !file.exists(), "{what}: half a file");
        let output = command().output().unwrap();
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(std::fs::read(&file).unwrap() == bytes, "{what}: other bytes");
        assert!(parts(&here.path("")).is_empty(), "{what}");
    }
    println!("{}: {times} kills in {whole:?}, {within} of them within the transfer", file.display());
    within
}

fn weights(times: usize) -> usize {
    let bytes = body(LONG);
    let served = bytes.clone();
    let tag = format!("x-linked-etag: \"{}\"\r\n", sha256(&bytes));
    let server = Server::new(move |head, _| {
        if head.starts_with("head ") { reply("200 OK", &tag, b"") } else { ranged(head, &served, usize::MAX) }
    });
    let here = Sandbox::new();
    let command = || {
        let mut command = here.command();
        command.args(["weights", "fetch", "resnet101.a1_in1k"]).env("GPU_RESNET_MIRROR", &server.base);
        command
    };
    kill(&here, &command, here.path("cache/weights/resnet101.a1_in1k.safetensors"), &bytes, times)
}

#[test]
fn a_killed_fetch_of_weights_is_taken_up() {
    weights(2);
}

#[test]
#[ignore = "a campaign: cargo test --release --test cli fetches:: -- --ignored --nocapture"]
fn fetches_can_be_killed_at_any_moment() {
    let plain = body(LONG);
    let served = packed(&plain);
    let server = Server::new(move |head, _| ranged(head, &served, usize::MAX));
    let here = Sandbox::new();
    let command = || {
        let mut command = process(&here);
        command.env("GPU_RESNET_MIRROR", &server.base);
        command
    };
    let within = [weights(15), kill(&here, &command, here.path("cache/set/all.bin"), &plain, 15)];
    let counts = format!("30: weights 15 ({} within the transfer), data 15 ({})", within[0], within[1]);
    row("kills of fetches", counts);
}
