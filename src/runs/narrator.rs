//! A run's messages while it trains, epoch by epoch, and its scalars for TensorBoard.

use std::path::Path;

use web_time::Instant;

use crate::error::Result;
use crate::runtime::{Progress, Runtime};
use crate::train::{Event, EventFile};

/// Reports what a run is doing.
pub struct Narrator<'a> {
    runtime: &'a Runtime,
    bar: Box<dyn Progress>,
    started: Instant,
    events: Option<EventFile>,
}

fn percent(fraction: f64) -> String {
    format!("{:.2} %", fraction * 100.0)
}

impl<'a> Narrator<'a> {
    /// `events` is the folder for TensorBoard's file, if one is wanted.
    pub fn new(runtime: &'a Runtime, events: Option<&Path>) -> Result<Self> {
        let events = events.map(EventFile::create).transpose()?;
        Ok(Self { runtime, bar: runtime.progress(0, "training"), started: Instant::now(), events })
    }

    fn note(&self, line: String) {
        self.bar.pause(&mut || self.runtime.note(&line));
    }

    pub fn tell(&mut self, event: Event) {
        match event {
            Event::Progress { progress, sweep, epochs } => {
                let what = if sweep { "sweep" } else { "epoch" };
                let (loss, accuracy) = (progress.train.loss, percent(progress.train.accuracy));
                self.bar.set(progress.examples[0] as u64, Some(progress.examples[1] as u64));
                self.bar.describe(
                    &format!("{what} {}/{epochs}", progress.epoch),
                    &format!("loss {loss:.4} accuracy {accuracy}"),
                );
            }
            Event::Tried { trial, number, of } => {
                let found = match trial.val_loss {
                    Some(loss) => format!("{loss:.4}, accuracy {}", percent(trial.val_accuracy)),
                    None => "not finite".into(),
                };
                self.note(format!("learning rate {number}/{of}: {:e}: validation loss {found}", trial.lr));
            }
            Event::Chosen(choice) => {
                let stop = choice
                    .patience
                    .map_or(String::new(), |p| format!(", stopping after {p} epochs without improvement"));
                let (lr, epochs, reason) = (choice.lr, choice.epochs, &choice.reason);
                self.note(format!("learning rate {lr:e}, at most {epochs} epochs{stop}: {reason}"));
            }
            Event::Planned(memory) => {
                let mib = |bytes: u64| bytes.div_ceil(1 << 20);
                self.note(format!(
                    "on the device: {} MiB of activations and gradients, {} MiB of parameters and the optimiser's state",
                    mib(memory.activations),
                    mib(memory.parameters)
                ));
            }
            Event::Skipped(error) => self.bar.pause(&mut || self.runtime.complain(error)),
            Event::Resumed { epoch } => self.note(format!("continuing after epoch {epoch}")),
            Event::Epoch(e) => {
                // A full disk ends TensorBoard's file, not the run.
                if let Some(Err(error)) = self.events.as_mut().map(|events| events.epoch(e)) {
                    self.bar.pause(&mut || self.runtime.complain(format!("{error}; the run goes on without it")));
                    self.events = None;
                }
                let val = match (e.val_loss, e.val_accuracy) {
                    (Some(loss), Some(accuracy)) => {
                        format!(", validation loss {loss:.4} accuracy {}", percent(accuracy))
                    }
                    (Some(_), None) => ", validation loss not finite".into(),
                    _ => String::new(),
                };
                let (epoch, loss, accuracy) = (e.epoch, e.train_loss, percent(e.train_accuracy));
                self.note(format!("epoch {epoch:3}: loss {loss:.4} accuracy {accuracy}{val}"));
                self.runtime.reporter.epoch(e);
            }
        }
    }

    /// The last message: how long it took.
    pub fn finish<T>(self, result: Result<T>) -> Result<T> {
        self.bar.finish();
        if result.is_ok() {
            self.runtime.note(format!("trained in {:.1} s", self.started.elapsed().as_secs_f64()));
        }
        result
    }
}
