//! Whole runs: from labelled images to a RUN folder with the network, its checkpoint, its curves and its report.
//! [`FineTune`] trains a pretrained network for other classes, [`NetworkRun`] any network on images. A run that is stopped at
//! any moment can be continued.

mod adapters;
mod feature_sets;
mod feature_values;
mod features;
mod finetune;
mod finetune_command;
mod finetune_run;
mod head_run;
mod narrator;
mod network_run;
mod remote_worker;
#[cfg(feature = "reports")]
mod report;
mod save;
mod sets;
mod sitting;
mod summary;
mod train_run;

pub use finetune::FineTune;
pub use finetune_command::FineTuneCommand;
pub use finetune_run::{FineTuneRun, StoppedFineTune};
pub use network_run::NetworkRun;
pub use remote_worker::RemoteWorker;
pub use save::model_bytes;
#[cfg(feature = "cli")]
pub(crate) use sets::absolute;
pub use sets::{DataChoice, Sets, open_data, open_kept};
pub use summary::{AdapterUse, RunSummary};
pub use train_run::{TrainCommand, TrainRun, train_architecture};
