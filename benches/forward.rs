//! The forward pass, warm: `cargo bench --bench forward`. Weights are hashed, so no file is needed. One line a batch size:
//! median time of an image, arithmetic rate, dispatches and activation memory; then the slowest layers of the last one.

use std::time::Instant;

use gpu_resnet::Result;
use gpu_resnet::gpu::{AdapterChoice, Gpu, TimeSource};
use gpu_resnet::model::{Architecture, Forward, InputKind, Network};
use gpu_resnet::weights;

const RUNS: usize = 5;

fn main() -> Result<()> {
    let gpu = Gpu::open(&AdapterChoice { adapter: std::env::var("GPU_RESNET_ADAPTER").ok(), backend: None })?;
    println!("{} ({})", gpu.report().name, gpu.report().driver_info);
    let architecture = Architecture::named("resnet50")?;
    let network = Network::new(&gpu, &architecture, &weights::hash_weights(&architecture)?)?;
    for batch in [1, 8] {
        let mut forward = Forward::new(&network, InputKind::Tensor, batch, [224, 224], false)?;
        let input = weights::hash_input("input", batch * 3 * 224 * 224);
        forward.run_tensor(&input)?;
        let mut times = Vec::new();
        for _ in 0..RUNS {
            let started = Instant::now();
            forward.run_tensor(&input)?;
            times.push(started.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        let (median, summary) = (times[RUNS / 2], forward.summary());
        println!(
            "resnet50 batch {batch}: {:.1} ms an image, {:.1} GFLOP/s, {} dispatches, {} MiB of activations ({} unshared)",
            median * 1e3 / batch as f64,
            summary.flops / median / 1e9,
            summary.dispatches,
            summary.bytes >> 20,
            summary.bytes_unshared >> 20
        );
        if batch == 8 {
            let (source, mut layers) = forward.plan_mut().profile()?;
            layers.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
            let clock = if source == TimeSource::Timestamps { "timestamps" } else { "wall time" };
            println!("slowest layers, by {clock}:");
            for layer in layers.iter().take(8) {
                let rate = layer.cost.flops / layer.seconds / 1e9;
                println!("  {:24} {:8.2} ms {rate:8.1} GFLOP/s", layer.label, layer.seconds * 1e3);
            }
        }
    }
    Ok(())
}
