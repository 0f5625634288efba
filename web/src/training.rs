//! A new head on the fixed features of a network: the run of `gpu-resnet finetune`, with nothing on disk.

use gpu_resnet::data::stratified_split;
use gpu_resnet::runs::model_bytes;
use gpu_resnet::train::{self, Event, Fit, HeadShape, Interrupt, Outcome, RunConfig, fit_async};
use gpu_resnet::{Error, Result};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::examples::Examples;
use crate::network::Network;
use crate::thrown;

/// The share of each class to validate on, as `finetune --val-split` has it by default.
const VALIDATION: f64 = 0.1;
/// Draws the split, the initial head and the order of examples.
const SEED: u64 = 0;

/// What the page shows while a head is trained.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Progress {
    /// A learning rate was tried.
    Tried { number: usize, of: usize, lr: f64, val_accuracy: f64 },
    /// An epoch is done.
    Epoch { epoch: u64, train_loss: f64, val_loss: Option<f64>, val_accuracy: Option<f64> },
}

/// A trained head and how good it is.
#[wasm_bindgen]
pub struct Trained {
    model: Vec<u8>,
    summary: String,
}

#[derive(Serialize)]
struct Summary {
    epoch: u64,
    epochs: usize,
    learning_rate: f64,
    train_images: usize,
    val_images: usize,
    val_loss: Option<f64>,
    val_accuracy: Option<f64>,
    /// Of the validation images: a row for each class, a column for each answer.
    confusion: Vec<Vec<usize>>,
    labels: Vec<String>,
}

#[wasm_bindgen]
impl Trained {
    /// Accuracy, losses and the confusion matrix, as JSON.
    pub fn summary(&self) -> String {
        self.summary.clone()
    }

    /// The whole network as model.safetensors, which `gpu-resnet infer --weights` and PyTorch read.
    pub fn model(&self) -> Vec<u8> {
        self.model.clone()
    }
}

#[wasm_bindgen]
impl Examples {
    /// Trains a head for the features of `network` by the recipe of `gpu-resnet finetune`, for `epochs` epochs or as many as the recipe
    /// takes. `progress` is called with JSON.
    pub async fn train(
        &self,
        network: &Network,
        epochs: Option<u32>,
        progress: js_sys::Function,
    ) -> Result<Trained, JsError> {
        self.trained(network, epochs, &progress).await.map_err(thrown)
    }
}

impl Examples {
    async fn trained(&self, network: &Network, epochs: Option<u32>, progress: &js_sys::Function) -> Result<Trained> {
        let shape = HeadShape { features: network.loaded.architecture.features(), classes: self.labels.len() };
        let classes: Vec<usize> = self.targets.iter().map(|&label| label as usize).collect();
        if let Some(empty) = (0..self.labels.len()).find(|class| !classes.contains(class)) {
            return Err(Error::Usage(format!("no image of the class {:?} could be read", self.labels[empty])));
        }
        let (train, val) = stratified_split(&classes, VALIDATION, SEED);
        let ((train_rows, train_labels), (val_rows, val_labels)) =
            (self.part(&train, shape.features), self.part(&val, shape.features));
        let val_examples = train::Examples { features: &val_rows, labels: &val_labels };
        let mut config = RunConfig { classes: self.labels.clone(), ..RunConfig::default() };
        (config.training.seed, config.training.epochs) = (SEED, epochs.map(u64::from));
        let job = Fit {
            gpu: &network.gpu,
            shape,
            train: train::Examples { features: &train_rows, labels: &train_labels },
            val: Some(val_examples).filter(|examples| !examples.is_empty()),
            resume: false,
            interrupt: &Interrupt::new(),
        };
        let outcome = fit_async(&job, &mut config, None, &mut |event| tell(progress, event)).await?;
        let summary = self.summary(&outcome, &val_rows, &val_labels, train.len());
        let model = model_bytes(&network.loaded, &outcome.head, &self.labels)?;
        Ok(Trained { model, summary: serde_json::to_string(&summary).unwrap_or_default() })
    }

    fn summary(&self, outcome: &Outcome, rows: &[f32], labels: &[u32], train_images: usize) -> Summary {
        let classes = self.labels.len();
        let mut confusion = vec![vec![0; classes]; classes];
        for (row, &label) in rows.chunks(outcome.head.shape.features).zip(labels) {
            let logits: Vec<f64> = outcome.head.logits(row).into_iter().map(f64::from).collect();
            confusion[label as usize][gpu_resnet::predict::top_k(&logits, 1)[0]] += 1;
        }
        let kept = outcome.epochs.iter().find(|result| result.epoch == outcome.epoch);
        Summary {
            epoch: outcome.epoch,
            epochs: outcome.epochs.len(),
            learning_rate: outcome.choice.lr,
            train_images,
            val_images: labels.len(),
            val_loss: kept.and_then(|result| result.val_loss),
            val_accuracy: kept.and_then(|result| result.val_accuracy),
            confusion,
            labels: self.labels.clone(),
        }
    }
}

/// Passes on what the page shows.
fn tell(progress: &js_sys::Function, event: Event) {
    let told = match event {
        Event::Tried { trial, number, of } => {
            Progress::Tried { number, of, lr: trial.lr, val_accuracy: trial.val_accuracy }
        }
        Event::Epoch(result) => Progress::Epoch {
            epoch: result.epoch,
            train_loss: result.train_loss,
            val_loss: result.val_loss,
            val_accuracy: result.val_accuracy,
        },
        _ => return,
    };
    // A page that does not listen loses a line of its progress.
    let text = serde_json::to_string(&told).unwrap_or_default();
    let _ = progress.call1(&JsValue::NULL, &JsValue::from_str(&text));
}
