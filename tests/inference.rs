//! What comes out of the pipeline is what the batches give one by one: same bits, same order, on one device or several.

use std::path::PathBuf;
use std::sync::Arc;

use gpu_resnet::data::{Dataset, FileList, Loader, Preprocess};
use gpu_resnet::error::Error;
use gpu_resnet::gpu::{AdapterChoice, Gpu};
use gpu_resnet::inference::infer_batches;
use gpu_resnet::model::{InputKind, Network, Output, Predictor};
use gpu_resnet::ops::host::{Array, add_relu};
use gpu_resnet::weights;
use pollster::FutureExt as _;

const SIZE: usize = 32;
const BATCH: usize = 3;
const BAD: usize = 10;

struct Job {
    source: Arc<FileList>,
    preprocess: Preprocess,
    _folder: tempfile::TempDir,
}

/// Digits, and among them a file that is no image.
fn job(count: usize) -> Job {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.png");
    std::fs::write(&bad, b"no image").unwrap();
    let digits = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits/train/3");
    let mut files: Vec<PathBuf> = std::fs::read_dir(digits).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.truncate(count);
    files.insert(BAD, bad);
    let preprocess = Preprocess::default().with_image_size(SIZE as u32).unwrap();
    Job { source: Arc::new(FileList::new(files)), preprocess, _folder: folder }
}

impl Job {
    fn loader(&self) -> Loader {
        let indices = (0..self.source.len()).collect();
        Loader::new(self.source.clone(), indices, BATCH, self.preprocess.clone(), 2).unwrap()
    }

    fn predictor(&self) -> Predictor {
        let gpu = Gpu::open(&AdapterChoice::default()).block_on().expect("an adapter; scripts/setup.sh installs one");
        let weights = weights::open(None).unwrap();
        let architecture = weights::infer_architecture(&weights).unwrap();
        let network = Arc::new(Network::new(&gpu, &architecture, &weights).block_on().unwrap());
        let Preprocess { mean, std, .. } = self.preprocess;
        Predictor::new(network, InputKind::Pixels { mean, std }, [SIZE; 2], BATCH).unwrap()
    }

    /// Each batch uploaded, run and read back before the next is touched.
    fn one_by_one(&self) -> (Vec<usize>, Output) {
        let mut predictor = self.predictor();
        let (mut indices, mut output) = (Vec::new(), Output::default());
        for batch in self.loader() {
            output.append(predictor.run_pixels(&batch.pixels).block_on().unwrap());
            indices.extend(batch.indices);
        }
        (indices, output)
    }

    fn fed(&self, devices: usize) -> (Vec<usize>, Output) {
        let mut predictors: Vec<Predictor> = (0..devices).map(|_| self.predictor()).collect();
        let (mut indices, mut output, mut failed) = (Vec::new(), Output::default(), Vec::new());
        let (usage, _) = infer_batches(self.loader(), &mut predictors, |done| {
            indices.extend(done.indices);
            output.append(done.output);
            failed.extend(done.failures.into_iter().map(|(index, _)| index));
            Ok(())
        })
        .unwrap();
        assert_eq!(failed, [BAD]);
        assert_eq!(usage.iter().map(|usage| usage.images).sum::<usize>(), indices.len());
        assert!(usage.iter().all(|usage| usage.images > 0), "a device was left idle: {usage:?}");
        (indices, output)
    }
}

fn bits(output: &Output) -> (Vec<u32>, Vec<u32>) {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect();
    (bits(&output.logits), bits(&output.features))
}

#[test]
fn the_same_bits_in_the_same_order() {
    let job = job(40);
    let (indices, expected) = job.one_by_one();
    assert_eq!(indices, (0..41).filter(|&i| i != BAD).collect::<Vec<_>>());
    // Negative control: images differ, so that an order that is wrong shows.
    let width = expected.logits.len() / indices.len();
    assert_ne!(expected.logits[..width], expected.logits[width..2 * width]);
    for devices in [1, 2] {
        let (found, output) = job.fed(devices);
        assert_eq!(found, indices, "{devices} devices");
        assert!(bits(&output) == bits(&expected), "{devices} devices");
    }
}

#[test]
fn an_error_of_the_consumer_ends_it() {
    let job = job(40);
    let mut predictors = [job.predictor(), job.predictor()];
    let mut seen = 0;
    let result = infer_batches(job.loader(), &mut predictors, |_| {
        seen += 1;
        if seen == 3 { Err(Error::Interrupted) } else { Ok(()) }
    });
    assert!(matches!(result, Err(Error::Interrupted)));
    assert_eq!(seen, 3);
}

/// Threads that share a device submit and wait in every order; each gets its own results.
#[test]
fn threads_share_a_device() {
    const THREADS: usize = 4;
    let gpu = Gpu::open(&AdapterChoice::default()).block_on().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let gpu = &gpu;
            scope.spawn(move || {
                for round in 0..150 {
                    let value = (thread * 1000 + round) as f32;
                    let input = Array::new(&[1, 1, 1, 2], vec![value, -1.0]).unwrap();
                    let other = Array::new(&[1, 1, 1, 2], vec![0.5, 0.5]).unwrap();
                    let output = add_relu(gpu, &input, &other).block_on().unwrap();
                    assert_eq!(output.data, [value + 0.5, 0.0]);
                }
            });
        }
    });
}
