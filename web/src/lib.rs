//! What the page calls: verification, classification and fine-tuning on the visitor's GPU. All of it is the library's own; here are only the
//! forms that pass between a worker's JavaScript and Rust: JSON texts and bytes.

mod examples;
mod network;
mod report;
mod session;
mod training;

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = globalThis, js_name = gpuResnetPanicked)]
    fn panicked(message: &str);
}

/// Sends the message of a panic to the page before the worker ends.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|info| panicked(&info.to_string())));
}

/// An error as JavaScript throws it: its sentence.
fn thrown(error: impl std::fmt::Display) -> JsError {
    JsError::new(&error.to_string())
}

/// `value` as JSON.
fn json(value: &impl serde::Serialize) -> Result<String, JsError> {
    serde_json::to_string(value).map_err(thrown)
}
