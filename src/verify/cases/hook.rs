//! Cases that end badly on purpose, to test that every end is a result. In no suite; `verify --filter 'hook kind=crash'`.

use std::sync::Arc;
use std::time::Duration;

use super::super::case::{Body, Case, Operation};
use super::super::judgement::{Check, Judgement};
use super::super::key::Key;
use super::super::report::Direction;
use crate::error::{Error, Result};
use crate::gpu::{Gpu, shaders};
use crate::ops::host::{self, Array};

pub const OPERATIONS: &[Operation] = &[Operation {
    name: "hook",
    direction: Direction::Forward,
    keys: &[&[Key::name("kind", &["pass", "fail", "crash", "panic", "hang", "endless-loop", "oom", "device-lost"])]],
    fill: false,
    list: |_| Vec::new(),
    flops: |_| 0.0,
    body: Body::Whole(|gpu, case, _| Box::pin(run(gpu, case))),
}];

async fn run(gpu: &Arc<Gpu>, case: &Case) -> Result<Judgement> {
    match case.word("kind") {
        "fail" => Ok(Some((Check::Tolerance, "it fails on purpose".into()))),
        "crash" => std::process::abort(),
        "panic" => panic!("on purpose"),
        "hang" => loop {
            // A page can't sleep.
            if !cfg!(target_arch = "wasm32") {
                std::thread::sleep(Duration::from_secs(1));
            }
        },
        "endless-loop" => endless(gpu).await,
        // Past what any adapter binds.
        "oom" => gpu.buffer("a buffer that is too large on purpose", u64::MAX / 2).map(|_| None),
        "device-lost" => Err(Error::DeviceLost("on purpose".into())),
        _ => Ok(None),
    }
}

/// A shader that does not end: a watchdog of the driver, or the parent's timeout, must.
async fn endless(gpu: &Arc<Gpu>) -> Result<Judgement> {
    const FROM: &str = "output[i] = Stored4(rectify(vec4f(input[i])));";
    const TO: &str =
        "loop { if output[i].x < -1.0 { break; } output[i] = Stored4(rectify(vec4f(input[i] + output[i]))); }";
    let shader = shaders::find("relu").filter(|shader| shader.source.contains(FROM));
    let shader = shader.ok_or_else(|| Error::shape("hook", "relu has no line to put a loop into"))?;
    gpu.substitute("relu", Some(shader.source.replace(FROM, TO)));
    let found = host::relu(gpu, &Array { shape: vec![4], data: vec![1.0; 4] }).await;
    gpu.substitute("relu", None);
    found.map(|_| Some((Check::Tolerance, "the driver left an endless loop".into())))
}
