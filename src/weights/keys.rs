//! Keys of a weights file's metadata.

/// The metadata key with the architecture's JSON.
pub const ARCHITECTURE_KEY: &str = "gpu_resnet.architecture";
/// The metadata key with the class names as JSON, in any form of [`parse_labels`](super::parse_labels).
pub const LABELS_KEY: &str = "gpu_resnet.labels";
/// The metadata key with the preprocessing's JSON.
pub const PREPROCESS_KEY: &str = "gpu_resnet.preprocess";
/// A JSON list of the keys whose values `weights convert` only assumed.
pub const ASSUMED_KEY: &str = "gpu_resnet.assumed";
