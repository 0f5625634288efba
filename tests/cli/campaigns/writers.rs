//! The commands that write files beside those of `task`: each with everything that it can write.

use std::process::Command;

use gpu_resnet::weights::{Dtype, NamedTensor, RawTensor, write_safetensors};

use super::fetches;
use super::task::{self, Task};
use crate::cli::support::Sandbox;
use crate::cli::tiny;
use crate::server::{Server, ranged, reply, sha256};

pub const EVALUATE: Task = Task {
    name: "evaluate --confusion",
    arguments: &[
        "evaluate",
        "data",
        "--weights",
        "net.safetensors",
        "--confusion",
        "c.csv",
        "--confusion-picture",
        "c.svg",
    ],
    outputs: &["c.csv", "c.svg"],
    ..task::NOTHING
};

pub const MAPS: Task = Task {
    name: "infer --grad-cam",
    arguments: &["infer", "x.png", "--weights", "net.safetensors", "--grad-cam", "maps", "-o", "p.csv"],
    outputs: &["maps/x.png", "p.csv"],
    ..task::NOTHING
};

pub const CONVERT: Task = Task {
    name: "weights convert",
    arguments: &["weights", "convert", "net.safetensors", "half.safetensors", "--dtype", "f16"],
    outputs: &["half.safetensors"],
    ..task::NOTHING
};

pub const GRID: Task = Task {
    name: "data grid",
    arguments: &["data", "grid", "data", "-o", "grid.png"],
    outputs: &["grid.png"],
    ..task::NOTHING
};

pub const GRADIENTS: Task = Task {
    name: "gradients",
    arguments: &[
        "gradients",
        "--weights",
        "net.safetensors",
        "--input",
        "batch.safetensors",
        "--output",
        "g.safetensors",
    ],
    outputs: &["g.safetensors"],
    ..task::NOTHING
};

pub const OP: Task = Task {
    name: "op",
    arguments: &["op", "relu", "--input", "input.safetensors", "--output", "o.safetensors"],
    outputs: &["o.safetensors"],
    ..task::NOTHING
};

pub const RESULTS: Task = Task {
    name: "results",
    arguments: &["results", "measured"],
    varying: &[("measured/README.md", "")],
    ..task::NOTHING
};

pub const ROOFLINE: Task = Task {
    name: "bench --roofline",
    more: &["--roofline", "roof.svg"],
    varying: &[("roof.svg", "</svg>")],
    ..task::BENCH
};

pub const TENSORBOARD: Task =
    Task { name: "train --tensorboard", more: &["--epochs", "3", "--tensorboard"], ..task::TRAIN };

/// Bytes of what is fetched here.
const FETCHED: u32 = 100_000;

/// The weights of a name, from a server that lives as long as the test.
pub fn fetch_weights() -> Task {
    let served = fetches::body(FETCHED);
    let tag = format!("x-linked-etag: \"{}\"\r\n", sha256(&served));
    let server = Server::new(move |head, _| {
        if head.starts_with("head ") { reply("200 OK", &tag, b"") } else { ranged(head, &served, usize::MAX) }
    });
    Task {
        name: "weights fetch",
        arguments: &["weights", "fetch", "resnet101.a1_in1k"],
        outputs: &["cache/weights/resnet101.a1_in1k.safetensors"],
        mirror: Some(server.base.leak()),
        ..task::NOTHING
    }
}

/// A data set, gzipped, fetched by a process of the tests: those that have names are too large.
pub fn fetch_data() -> Task {
    fn program(here: &Sandbox) -> Command {
        let mut command = fetches::process(here);
        command.env("TEST_NUMBERS", FETCHED.to_string());
        command
    }
    let served = fetches::packed(&fetches::body(FETCHED));
    let server = Server::new(move |head, _| ranged(head, &served, usize::MAX));
    let outputs = &["cache/set/all.bin"];
    Task { name: "data fetch", outputs, program, mirror: Some(server.base.leak()), ..task::NOTHING }
}

/// What these commands read, beside what `task::sandbox` has.
pub fn prepare(here: &Sandbox) {
    let image = std::fs::read_dir(here.path("data/0")).unwrap().next().unwrap().unwrap().path();
    std::fs::copy(image, here.path("x.png")).unwrap();
    here.write("measured/steps.tsv", b"devices\tdone\t1\t\n");
    here.write("measured/about.tsv", b"system\tLinux\n");
    let values = vec![0.5f32; 2 * 3 * 16 * 16];
    tiny::input(here, "input.safetensors", &values);
    let input = NamedTensor::new("input", &[2, 3, 16, 16], values);
    let (dtype, bytes) = (Dtype::I64, vec![0; 16].into());
    let target = RawTensor { name: "target".into(), dtype, shape: vec![2].into(), bytes };
    write_safetensors(here.path("batch.safetensors"), &[RawTensor::from(&input), target], &Default::default()).unwrap();
}
