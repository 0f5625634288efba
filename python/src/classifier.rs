//! A network on an adapter.

use std::sync::{Arc, Mutex, PoisonError};

use gpu_resnet::data::Dataset;
use gpu_resnet::predict::probabilities;
use gpu_resnet::train::Interrupt;
use gpu_resnet::{Error, Result};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray4, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::images::Images;
use crate::options::{Machine, Source, read};
use crate::reporter::Told;
use crate::{errors, work};

/// What `Classifier` is opened with.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Opening {
    source: Source,
    machine: Machine,
    labels: Option<Vec<String>>,
    batch_size: u32,
}

/// Opened weights on an adapter. Calls from several threads take turns.
#[pyclass(frozen, module = "gpu_resnet._native")]
pub struct Classifier {
    inner: Mutex<gpu_resnet::Classifier>,
    has_head: bool,
    outputs: usize,
    feature_count: usize,
    labels: Vec<String>,
    architecture: String,
    weights_sha256: String,
    preprocess: String,
    crop: u32,
    adapter: String,
    reporter: Arc<Told>,
    process: u32,
}

/// Rows of a call: the values wanted, row-major, and the reasons of rows that have none.
type Rows<'py> = (Option<Bound<'py, PyArray2<f32>>>, Option<Bound<'py, PyArray2<f32>>>, Vec<(usize, String)>);

/// Numbers of classes and their probabilities, likeliest first.
type Top<'py> = (Bound<'py, PyArray2<i32>>, Bound<'py, PyArray2<f64>>);

#[pymethods]
impl Classifier {
    #[new]
    fn new(py: Python<'_>, options: &str, said: Py<PyAny>) -> PyResult<Self> {
        let stop = Interrupt::new();
        let reporter = Arc::new(Told::new(said, None, stop.clone()));
        let opened = work::run(py, &stop, || open(options, reporter.clone()))?;
        if let Some(error) = reporter.take() {
            return Err(error);
        }
        let architecture = opened.architecture();
        let text = architecture.to_json().map_err(|error| errors::raised(py, &error))?;
        let adapter = serde_json::to_string(opened.adapter()).unwrap_or_default();
        Ok(Self {
            has_head: opened.has_head(),
            outputs: architecture.classes,
            feature_count: architecture.features(),
            labels: opened.labels().to_vec(),
            architecture: text,
            preprocess: serde_json::to_string(&opened.network().preprocess).unwrap_or_default(),
            weights_sha256: opened.network().weights.sha256().to_owned(),
            crop: opened.network().preprocess.crop,
            adapter,
            reporter,
            process: std::process::id(),
            inner: Mutex::new(opened),
        })
    }

    /// The class names, in the order of the logits.
    #[getter]
    fn labels(&self) -> Vec<String> {
        self.labels.clone()
    }

    /// The network's description as JSON.
    #[getter]
    fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The adapter's description as JSON.
    #[getter]
    fn adapter(&self) -> &str {
        &self.adapter
    }

    /// Whether the network makes predictions.
    #[getter]
    fn has_head(&self) -> bool {
        self.has_head
    }

    /// Logits of an image.
    #[getter]
    fn outputs(&self) -> usize {
        self.outputs
    }

    /// Values of an image's features.
    #[getter]
    fn feature_count(&self) -> usize {
        self.feature_count
    }

    /// SHA-256 of the weights' file, in hexadecimal.
    #[getter]
    fn weights_sha256(&self) -> &str {
        &self.weights_sha256
    }

    /// How images are prepared, as JSON.
    #[getter]
    fn preprocess(&self) -> &str {
        &self.preprocess
    }

    /// The side of the images that the network sees.
    #[getter]
    fn crop(&self) -> u32 {
        self.crop
    }

    /// Logits [N, outputs] and features [N, C] of images, those that are wanted, and the reasons why some have none; their
    /// rows are NaN.
    fn run<'py>(
        &self,
        py: Python<'py>,
        images: &Bound<'py, PyAny>,
        logits: bool,
        features: bool,
    ) -> PyResult<Rows<'py>> {
        self.check_process(py)?;
        if logits {
            self.check_head(py)?;
        }
        let mut images = Images::new(images)?;
        let count = images.len();
        let widths = [(logits, self.outputs), (features, self.feature_count)];
        let [mut all_logits, mut all_features] = widths.map(|(wanted, width)| Matrix::new(count, width, wanted));
        let set: Arc<dyn Dataset> = Arc::new(images.take_set());
        let stop = Interrupt::new();
        let mut failures = Vec::new();
        // `images` keeps the arrays until here; every thread that reads them has ended when `run_images` returns.
        let result = work::run(py, &stop, || {
            let mut network = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            network.run_images(&set, &stop, |i, row| {
                match row {
                    Ok(row) => {
                        all_logits.set(i, row.logits);
                        all_features.set(i, row.features);
                    }
                    Err(error) => failures.push((i, error.to_string())),
                }
                Ok(())
            })
        });
        drop(set);
        drop(images);
        self.raised()?;
        result?;
        failures.sort();
        Ok((all_logits.into_array(py, logits)?, all_features.into_array(py, features)?, failures))
    }

    /// Logits and features of NCHW floats.
    fn run_tensor<'py>(&self, py: Python<'py>, tensor: PyReadonlyArray4<'py, f32>) -> PyResult<Rows<'py>> {
        self.check_process(py)?;
        let [_, 3, height, width] = *tensor.shape() else {
            let problem = format!("tensor= is f32 [N, 3, H, W], not {:?}", tensor.shape());
            return Err(errors::usage(py, problem));
        };
        let values = tensor.as_slice().map_err(|_| errors::usage(py, "tensor= is not contiguous"))?;
        let stop = Interrupt::new();
        let output = work::run(py, &stop, || {
            self.inner.lock().unwrap_or_else(PoisonError::into_inner).run_tensor(values, [height, width])
        });
        self.raised()?;
        let output = output?;
        let matrix = |values, width| Matrix { values, width }.into_array(py, true);
        let logits = Matrix { values: output.logits, width: self.outputs };
        Ok((
            if self.has_head { logits.into_array(py, true)? } else { None },
            matrix(output.features, self.feature_count)?,
            Vec::new(),
        ))
    }

    /// The `k` most likely classes of each row of logits: their numbers [N, k] and probabilities [N, k].
    #[staticmethod]
    fn top<'py>(py: Python<'py>, logits: numpy::PyReadonlyArray2<'py, f32>, k: usize) -> PyResult<Top<'py>> {
        let &[count, width] = logits.shape() else { return Err(errors::usage(py, "logits are [N, classes]")) };
        let k = k.min(gpu_resnet::predict::classes_of(width));
        let values = logits.as_slice().map_err(|_| errors::usage(py, "the logits are not contiguous"))?;
        let (index, probability): (Vec<i32>, Vec<f64>) =
            py.detach(|| values.chunks(width).flat_map(|row| top_row(row, k)).unzip());
        Ok((index.into_pyarray(py).reshape([count, k])?, probability.into_pyarray(py).reshape([count, k])?))
    }

    /// Accuracy on labelled data, as JSON.
    fn evaluate(&self, py: Python<'_>, data: std::path::PathBuf) -> PyResult<String> {
        self.check_process(py)?;
        let stop = Interrupt::new();
        let accuracy = work::run(py, &stop, || {
            let mut network = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            let accuracy = network.evaluate_until(&data, &stop)?;
            serde_json::to_string(&accuracy).map_err(|error| Error::file(&data, error))
        });
        self.raised()?;
        accuracy
    }
}

impl Classifier {
    /// What the callback for sentences raised.
    fn raised(&self) -> PyResult<()> {
        self.reporter.take().map_or(Ok(()), Err)
    }

    fn check_process(&self, py: Python<'_>) -> PyResult<()> {
        if std::process::id() == self.process {
            return Ok(());
        }
        let problem = "this Classifier was opened before the process was forked, and a GPU's driver does not survive a \
                       fork; open one in each worker, and start workers by multiprocessing.get_context(\"spawn\")";
        Err(errors::usage(py, problem))
    }

    fn check_head(&self, py: Python<'_>) -> PyResult<()> {
        match self.has_head {
            true => Ok(()),
            false => Err(errors::usage(
                py,
                "the network has no head, so it makes no predictions; its features can be had, and a head trained on them",
            )),
        }
    }
}

fn open(options: &str, reporter: Arc<Told>) -> Result<gpu_resnet::Classifier> {
    let Opening { source, machine, labels, batch_size } = read(options)?;
    let runtime = machine.runtime(reporter)?;
    let mut builder = gpu_resnet::Classifier::builder().batch_size(batch_size).runtime(runtime);
    if let Some(labels) = labels {
        builder = builder.labels(labels);
    }
    builder.source(source.into_source()).open()
}

/// The `k` most likely classes, likeliest first.
fn top_row(logits: &[f32], k: usize) -> Vec<(i32, f64)> {
    let all = probabilities(logits);
    gpu_resnet::predict::top_k(&all, k).into_iter().map(|i| (i as i32, all[i])).collect()
}

/// Rows of `width` values; NaN where none was set.
struct Matrix {
    values: Vec<f32>,
    width: usize,
}

impl Matrix {
    fn new(rows: usize, width: usize, wanted: bool) -> Self {
        Self { values: if wanted { vec![f32::NAN; rows * width] } else { Vec::new() }, width }
    }

    fn set(&mut self, row: usize, values: &[f32]) {
        if let Some(place) = self.values.get_mut(row * self.width..(row + 1) * self.width) {
            place.copy_from_slice(values);
        }
    }

    /// The values themselves become NumPy's.
    fn into_array<'py>(self, py: Python<'py>, wanted: bool) -> PyResult<Option<Bound<'py, PyArray2<f32>>>> {
        if !wanted {
            return Ok(None);
        }
        let rows = self.values.len() / self.width.max(1);
        let flat: Bound<'py, PyArray1<f32>> = self.values.into_pyarray(py);
        flat.reshape([rows, self.width]).map(Some)
    }
}
