//! The library's first level: a classifier and a fine-tuning run in a few lines, on the small network that is built in.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use gpu_resnet::data::{Rgb8, decode_file, write_png};
use gpu_resnet::runtime::{Progress, Reporter, Silent, Unit};
use gpu_resnet::train::{Interrupt, Recipe, Unfreeze};
use gpu_resnet::{Classifier, Error, FineTune};
use pollster::FutureExt as _;

/// The first image of each digit that no network was trained on.
fn digits() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits/test");
    let first = |digit| std::fs::read_dir(folder.join(format!("{digit}"))).unwrap().map(|f| f.unwrap().path()).min();
    (0..10).filter_map(first).collect()
}

fn classifier() -> Classifier {
    Classifier::builder().weights("resnet20-digits").batch_size(4).open().unwrap()
}

#[test]
fn digits_are_told_apart() {
    let mut classifier = classifier();
    assert_eq!(classifier.labels(), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert_eq!((classifier.architecture().classes, classifier.architecture().features()), (10, 64));
    let images: Vec<Rgb8> = digits().iter().map(|path| decode_file(path).unwrap()).collect();
    let all = classifier.classify(&images).unwrap();
    let right = all.iter().enumerate().filter(|(digit, said)| said.best().label == digit.to_string()).count();
    assert!(all.len() == 10 && right >= 9, "{right} of {} are right", all.len());
    for (said, path) in all.iter().zip(digits()).take(2) {
        assert!((said.probabilities().iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let alone = classifier.classify_file(path).unwrap();
        let far = alone.logits().iter().zip(said.logits()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(far < 1e-3, "an image by itself is {far} from the same in a batch");
        assert_eq!(alone.top(1)[0].index, said.top(3)[0].index);
    }
    let (logits, features) = (classifier.logits(&images[..5]).unwrap(), classifier.features(&images[..5]).unwrap());
    assert!(logits.iter().zip(&all).all(|(logits, said)| logits == said.logits()));
    assert!(features.len() == 5 && features.iter().all(|row| row.len() == 64));
    assert!(classifier.classify(&[]).unwrap().is_empty());
}

#[test]
fn awaited_results_have_the_bits_of_those_that_block() {
    let images: Vec<Rgb8> = digits().iter().take(3).map(|path| decode_file(path).unwrap()).collect();
    let (logits, features) = async {
        let mut classifier = Classifier::builder().weights("resnet20-digits").batch_size(4).open_async().await?;
        let said = classifier.classify_async(&images).await?;
        assert_eq!(said.iter().map(|said| said.best().label).collect::<Vec<_>>(), ["0", "1", "2"]);
        Ok::<_, Error>((classifier.logits_async(&images).await?, classifier.features_async(&images).await?))
    }
    .block_on()
    .unwrap();
    let mut classifier = classifier();
    assert_eq!(logits, classifier.logits(&images).unwrap());
    assert_eq!(features, classifier.features(&images).unwrap());
}

#[test]
fn what_a_classifier_can_not_take_is_refused() {
    let refused = |result: gpu_resnet::Result<Classifier>, words: &str| {
        let Err(error) = result else { panic!("it was opened, without {words}") };
        assert!(error.to_string().contains(words), "{error}");
    };
    let builder = || Classifier::builder().weights("resnet20-digits");
    refused(builder().labels(["a", "b"]).open(), "has 2 names and the network 10 classes");
    refused(builder().batch_size(0).open(), "batch size of 1 or more");
    refused(builder().adapter("no such adapter").open(), "no such adapter");
    refused(Classifier::open(Some("no/such.safetensors")), "does not exist");
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.png");
    std::fs::write(&text, "no image").unwrap();
    let mut classifier = classifier();
    assert!(classifier.classify_file(&text).unwrap_err().to_string().contains("text.png"));
    let cut = Rgb8 { width: 8, height: 8, pixels: vec![0; 8] };
    assert!(classifier.classify(&[cut]).unwrap_err().to_string().contains("8 x 8"));
}

/// Four dark and four light images, with a class folder each.
fn shades(folder: &Path) -> PathBuf {
    let data = folder.join("shades");
    for (class, grey) in [("dark", 0), ("light", 200)] {
        std::fs::create_dir_all(data.join(class)).unwrap();
        for i in 0..4u8 {
            let image = Rgb8 { width: 8, height: 8, pixels: vec![grey + 9 * i; 8 * 8 * 3] };
            write_png(&image, &data.join(format!("{class}/{i}.png"))).unwrap();
        }
    }
    data
}

/// Keeps what is said, and asks for a stop once it begins with some words.
struct Listener {
    said: std::sync::Arc<Mutex<Vec<String>>>,
    stop_at: &'static str,
    stop: Interrupt,
}

impl Reporter for Listener {
    fn note(&self, text: &dyn Display) {
        let text = text.to_string();
        if text.starts_with(self.stop_at) {
            self.stop.raise();
        }
        self.said.lock().unwrap().push(text);
    }

    fn progress(&self, _total: Option<u64>, _unit: Unit, what: &str) -> Box<dyn Progress> {
        self.said.lock().unwrap().push(format!("progress of {what}"));
        Box::new(Silent)
    }
}

#[test]
fn a_run_that_is_stopped_goes_on_to_the_same_network() {
    let folder = tempfile::tempdir().unwrap();
    let here = |name: &str| folder.path().join(name);
    let job = FineTune::new(shades(folder.path())).weights("resnet20-digits").validation_share(0.25).epochs(3).lr(1e-2);
    let whole = job.run(here("whole")).unwrap();
    assert_eq!((whole.run.clone(), whole.left_out, whole.lr), (here("whole"), 0, 1e-2));
    assert!(whole.val_accuracy.is_some() && whole.train_loss.is_some_and(f64::is_finite));

    let (stop, said) = (Interrupt::new(), std::sync::Arc::default());
    let listener = Listener { said: std::sync::Arc::clone(&said), stop_at: "epoch   2", stop: stop.clone() };
    let stopped = job.clone().interrupt(&stop).reporter(listener).run(here("stopped"));
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    let said = said.lock().unwrap().join("\n");
    for words in
        ["6 images of 2 classes to train on, 2 to validate on", "progress of training", "epoch   1: loss", "--resume"]
    {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    assert!(!here("stopped/model.safetensors").exists());
    let resumed = FineTune::resume(here("stopped")).unwrap().run().unwrap();
    assert_eq!(resumed.epoch, whole.epoch);
    let model = |run: &str| std::fs::read(here(run).join("model.safetensors")).unwrap();
    assert!(model("stopped") == model("whole"), "a run that was stopped ends with another network");
    let error = job.run(here("whole")).unwrap_err().to_string();
    assert!(error.contains("already holds a run"), "{error}");
}

#[test]
fn a_run_keeps_what_it_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let job = FineTune::new(shades(folder.path())).weights("resnet20-digits").classes(["light", "dark"]);
    let job = job.unfreeze(Unfreeze::Stage(3)).recipe(Recipe::Notes).epochs(1).batch_size(4).seed(7);
    let summary = job.run(folder.path().join("run")).unwrap();
    assert_eq!((summary.epoch, summary.lr), (1, Recipe::NOTES_LR));
    let text = std::fs::read_to_string(summary.run.join("config.toml")).unwrap();
    let config: toml::Table = toml::from_str(&text).unwrap();
    let training = config["training"].as_table().unwrap();
    assert_eq!((training["seed"].as_integer(), training["batch_size"].as_integer()), (Some(7), Some(4)));
    assert_eq!(config["network"]["unfreeze"].as_str(), Some("layer3"));
    let classifier = Classifier::builder().weights(&summary.model).open().unwrap();
    assert_eq!(classifier.labels(), ["light", "dark"]);
    // Of a head on fixed features nothing comes of these, so nothing is begun.
    let mut head = FineTune::new(folder.path().join("shades")).weights("resnet20-digits");
    head.network.ema = Some(0.9);
    let error = head.run(folder.path().join("none")).unwrap_err();
    assert!(error.to_string().starts_with("--ema is for training more than a head"), "{error}");
    assert!(!folder.path().join("none").exists());
}
