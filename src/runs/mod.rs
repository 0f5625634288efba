//! Whole runs: from labelled images to a RUN folder with the network, its checkpoint, its curves and its report.
//! [`FineTune`] trains a pretrained network for other classes, [`NetworkRun`] any network on images. A run that is stopped at
//! any moment can be continued.

mod feature_sets;
mod feature_values;
mod features;
mod finetune;
mod finetune_command;
mod finetune_run;
mod head_run;
mod narrator;
mod network_run;
#[cfg(feature = "reports")]
mod report;
mod save;
mod sets;
mod sitting;
mod summary;

pub use finetune::FineTune;
pub use finetune_command::FineTuneCommand;
pub use finetune_run::{FineTuneRun, StoppedFineTune};
pub use network_run::NetworkRun;
pub use save::model_bytes;
#[cfg(feature = "cli")]
pub(crate) use sets::absolute;
pub use sets::{DataChoice, Sets, open_data, open_kept};
#[cfg(feature = "cli")]
pub(crate) use sitting::other_command;
pub use summary::RunSummary;
