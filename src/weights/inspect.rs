//! What `weights inspect` prints.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::text::{printable, some};
use super::{Origin, Overrides, Weights, compare, describe};
use crate::data::Preprocess;
use crate::model::Architecture;

/// Everything that is known about a weights file without running it.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// Path or name.
    pub file: String,
    /// Bytes.
    pub size: usize,
    /// SHA-256 in hexadecimal; for several files, over their names and hashes.
    pub sha256: String,
    /// Number of tensors of each type.
    pub dtypes: BTreeMap<String, usize>,
    /// The architecture's name (`resnet50`) or description; null when there is none.
    pub name: Option<String>,
    /// The architecture; null if it is unknown.
    pub architecture: Option<Architecture>,
    /// Trained parameters in the file, running statistics not counted.
    pub parameters: u64,
    /// One name per class; null if there are none.
    pub labels: Option<Vec<String>>,
    /// The preprocessing of images; null if there is no architecture.
    pub preprocess: Option<Preprocess>,
    /// Where each value comes from, by its key in the architecture's description or in the preprocessing, and `labels`.
    pub origins: BTreeMap<&'static str, Origin>,
    /// The prefix of every name of the network in the file.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub prefix: String,
    /// Tensors beside the network, by their names in the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Why there are no predictions; null if there is a classifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_head: Option<String>,
    /// Tensors in the state dict's order, then unexpected ones.
    pub tensors: Vec<InspectedTensor>,
    /// One sentence each; empty for a file that can be used.
    pub problems: Vec<String>,
}

/// One tensor of the file.
#[derive(Clone, Debug, Serialize)]
pub struct InspectedTensor {
    /// torchvision's name.
    pub name: String,
    /// The name in the file, where that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
    /// The type of its elements, as safetensors calls it.
    pub dtype: String,
    /// Its shape, as PyTorch has it.
    pub shape: Vec<usize>,
}

/// Reads the whole file and describes it, given the user's options. Never fails: errors are in `problems`.
pub fn inspect(weights: &Weights, overrides: &Overrides) -> Inspection {
    let mut problems = Vec::new();
    let description = describe(weights, overrides).map_err(|error| problems.push(error.to_string())).ok();
    let architecture = description.as_ref().map(|description| description.architecture.clone());
    if let Some(architecture) = &architecture {
        problems.extend(compare(weights, architecture).iter().map(|problem| problem.to_string()));
    }
    let order: Vec<String> = architecture.iter().flat_map(|a| a.parameters()).map(|spec| spec.name).collect();
    let place: BTreeMap<&str, usize> = order.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
    let mut names: Vec<_> = weights.names().filter(|name| weights.original_name(name).is_some()).collect();
    names.sort_by_key(|name| place.get(name).copied().unwrap_or(usize::MAX));

    let mut dtypes = BTreeMap::new();
    let mut parameters = 0;
    let mut tensors = Vec::with_capacity(names.len());
    for name in names {
        let dtype = weights.dtype(name).map(|dtype| dtype.to_string()).unwrap_or_default();
        let shape = weights.shape(name).unwrap_or_default().to_vec();
        *dtypes.entry(dtype.clone()).or_insert(0) += 1;
        if !name.ends_with(".running_mean") && !name.ends_with(".running_var") {
            // The header's check has seen that the product does not overflow.
            parameters += shape.iter().product::<usize>() as u64;
        }
        if let Err(error) = weights.tensor_f32(name) {
            problems.push(error.to_string());
        }
        let original = weights.original_name(name).filter(|original| *original != name).map(str::to_owned);
        tensors.push(InspectedTensor { name: name.to_owned(), original, dtype, shape });
    }
    let (labels, preprocess, origins) = match description {
        Some(found) => (found.labels, Some(found.preprocess), found.origins),
        None => Default::default(),
    };
    Inspection {
        file: weights.label().display().to_string(),
        size: weights.size(),
        sha256: weights.sha256().to_owned(),
        dtypes,
        name: architecture.as_ref().map(|architecture| architecture.to_string()),
        architecture,
        parameters,
        labels,
        preprocess,
        origins,
        prefix: weights.prefix().to_owned(),
        left_out: weights.left_out().to_vec(),
        no_head: weights.head().missing(),
        tensors,
        problems,
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |key: &str, value: &dyn fmt::Display| writeln!(f, "{key:<14}{value}");
        line("file", &self.file)?;
        line("size", &format_args!("{} bytes", self.size))?;
        line("sha256", &self.sha256)?;
        let dtypes = self.dtypes.iter().map(|(dtype, count)| format!("{count} {dtype}")).collect::<Vec<_>>();
        line("tensors", &dtypes.join(", "))?;
        line("parameters", &self.parameters)?;
        line("network", &self.name.as_deref().unwrap_or("unknown"))?;
        if let Some(architecture) = &self.architecture {
            line("architecture", &serde_json::to_string(architecture).map_err(|_| fmt::Error)?)?;
        }
        if let Some(labels) = &self.labels {
            let shown = labels.iter().take(10).map(|label| printable(label)).collect::<Vec<_>>().join(", ");
            let more = if labels.len() > 10 { ", …" } else { "" };
            line("labels", &format_args!("{}: {shown}{more}", labels.len()))?;
        }
        if let Some(preprocess) = &self.preprocess {
            line("preprocess", &serde_json::to_string(preprocess).map_err(|_| fmt::Error)?)?;
        }
        if !self.prefix.is_empty() {
            line("under", &printable(self.prefix.trim_end_matches('.')))?;
        }
        if !self.left_out.is_empty() {
            line("left out", &some(self.left_out.iter().map(String::as_str)))?;
        }
        if let Some(why) = &self.no_head {
            line("no head", &format_args!("it {why}"))?;
        }
        self.values(f)?;
        let width = self.tensors.iter().map(|tensor| printable(&tensor.name).chars().count()).max().unwrap_or(0);
        writeln!(f)?;
        for tensor in &self.tensors {
            write!(f, "{:<width$}  {:<5}{:?}", printable(&tensor.name), tensor.dtype, tensor.shape)?;
            match &tensor.original {
                Some(original) => writeln!(f, "  from {}", printable(original))?,
                None => writeln!(f)?,
            }
        }
        if !self.problems.is_empty() {
            writeln!(f, "\n{} problems", self.problems.len())?;
        }
        self.problems.iter().try_for_each(|problem| writeln!(f, "  {problem}"))
    }
}

impl Inspection {
    /// Each value of architecture and preprocessing, and where it comes from.
    fn values(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let architecture = serde_json::to_value(&self.architecture).map_err(|_| fmt::Error)?;
        // Through text, which has the fewest digits that reproduce an f32.
        let text = serde_json::to_string(&self.preprocess).map_err(|_| fmt::Error)?;
        let preprocess: serde_json::Value = serde_json::from_str(&text).map_err(|_| fmt::Error)?;
        for (key, origin) in &self.origins {
            let place = format!("/{}", key.replace('.', "/"));
            let value = architecture.pointer(&place).or_else(|| preprocess.pointer(&place));
            let value = match value {
                Some(serde_json::Value::String(word)) => word.clone(),
                Some(value) => value.to_string(),
                None if *key == "labels" => format!("{} names", self.labels.as_ref().map_or(0, Vec::len)),
                None => "none".to_owned(),
            };
            let origin = serde_json::to_value(origin).unwrap_or_default();
            writeln!(f, "{:<14}{key} = {value}", origin.as_str().unwrap_or_default())?;
        }
        Ok(())
    }
}
