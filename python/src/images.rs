//! Images that Python holds, as a data set: paths, encoded bytes, and arrays of pixels, none of which is copied before it is
//! decoded or resized.

use std::path::{Path, PathBuf};

use gpu_resnet::data::{Dataset, Rgb8, decode_bytes, decode_file};
use gpu_resnet::{Error, Result};
use numpy::{PyReadonlyArray3, PyReadonlyArray4, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::errors;

/// The images of one call, and what keeps their arrays alive. It stays on the stack of the call.
pub struct Images<'py> {
    sources: Vec<Source>,
    _arrays: Vec<PyReadonlyArray3<'py, u8>>,
    _batch: Option<PyReadonlyArray4<'py, u8>>,
}

/// One image.
enum Source {
    Path(PathBuf),
    Bytes(PyBackedBytes),
    Pixels(Pixels),
}

/// RGB bytes of an array, `height * width * 3` of them.
struct Pixels {
    start: *const u8,
    width: u32,
    height: u32,
}

// SAFETY: the bytes are only read, and `Images`, which outlives every use, keeps the array that owns them.
#[allow(unsafe_code)]
unsafe impl Send for Pixels {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Pixels {}

impl<'py> Images<'py> {
    /// Takes a C-contiguous u8 array `[N, H, W, 3]`, or a list of paths, `bytes`, and C-contiguous u8 arrays `[H, W, 3]`.
    pub fn new(given: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = given.py();
        if let Ok(batch) = given.extract::<PyReadonlyArray4<u8>>() {
            let [count, height, width, 3] = *batch.shape() else {
                let problem = format!("images of shape {:?}; an array of images is u8 [N, H, W, 3]", batch.shape());
                return Err(errors::usage(py, problem));
            };
            let all = batch.as_slice().map_err(|_| errors::usage(py, "the array of images is not contiguous"))?;
            let step = height * width * 3;
            let pixels = |i| pixels(py, &all[i * step..(i + 1) * step], height, width).map(Source::Pixels);
            let sources = (0..count).map(pixels).collect::<PyResult<_>>()?;
            return Ok(Self { sources, _arrays: Vec::new(), _batch: Some(batch) });
        }
        let (mut sources, mut arrays) = (Vec::new(), Vec::new());
        for item in given.try_iter()? {
            let item = item?;
            sources.push(if let Ok(bytes) = item.cast::<PyBytes>() {
                Source::Bytes(bytes.clone().into())
            } else if let Ok(array) = item.extract::<PyReadonlyArray3<u8>>() {
                let [height, width, 3] = *array.shape() else {
                    let problem = format!("an image of shape {:?}; it is u8 [H, W, 3]", array.shape());
                    return Err(errors::usage(py, problem));
                };
                let all = array.as_slice().map_err(|_| errors::usage(py, "an image's array is not contiguous"))?;
                let source = Source::Pixels(pixels(py, all, height, width)?);
                arrays.push(array);
                source
            } else {
                Source::Path(item.extract()?)
            });
        }
        Ok(Self { sources, _arrays: arrays, _batch: None })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// The images as a data set.
    ///
    /// It must not be used any more once `self` is gone, which keeps the arrays.
    pub fn take_set(&mut self) -> ImageSet {
        ImageSet { sources: std::mem::take(&mut self.sources), classes: vec!["unlabelled".into()] }
    }
}

fn pixels(py: Python<'_>, all: &[u8], height: usize, width: usize) -> PyResult<Pixels> {
    let side =
        |n: usize| u32::try_from(n).map_err(|_| errors::usage(py, "an image's side has more than 4294967295 pixels"));
    Ok(Pixels { start: all.as_ptr(), width: side(width)?, height: side(height)? })
}

/// Images without classes.
pub struct ImageSet {
    sources: Vec<Source>,
    classes: Vec<String>,
}

impl Dataset for ImageSet {
    fn len(&self) -> usize {
        self.sources.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, i: usize) -> String {
        match &self.sources[i] {
            Source::Path(path) => path.display().to_string(),
            _ => format!("image {i}"),
        }
    }

    fn label(&self, _: usize) -> usize {
        0
    }

    fn image(&self, i: usize) -> Result<Rgb8> {
        match &self.sources[i] {
            Source::Path(path) => decode_file(path),
            Source::Bytes(bytes) => decode_bytes(bytes, Path::new(&self.name(i))),
            Source::Pixels(Pixels { start, width, height }) => {
                let length = *width as usize * *height as usize * 3;
                // SAFETY: `start` is the first of `length` bytes of an array that `Images` keeps during the call. Another thread
                // of Python that writes into it meanwhile changes what is seen, as with any function of NumPy.
                #[allow(unsafe_code)]
                let all = unsafe { std::slice::from_raw_parts(*start, length) };
                Ok(Rgb8 { width: *width, height: *height, pixels: all.to_vec() })
            }
        }
    }

    fn content_key(&self, i: usize) -> Result<[u8; 32]> {
        Err(Error::file(self.name(i), "is not kept by its content"))
    }
}
