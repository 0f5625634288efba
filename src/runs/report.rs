//! A RUN's report.html, written when training has ended: the settings, the progress, and what the network gets wrong.

mod answers;
mod finished_run;
mod page;

use super::sets::Sets;
use crate::data;
use crate::error::{Error, Result};
use crate::files;
use crate::predict::draw_confusion;
use crate::runtime::Runtime;
pub use answers::Answers;
use answers::Mistake;
pub use finished_run::FinishedRun;

/// Side of the pictures of mistakes.
const PIXELS: u32 = 96;

/// Writes report.html. `answers` are the predictions for the validation images, if there are any.
pub fn write(runtime: &Runtime, ended: &FinishedRun, answers: Option<Answers>) -> Result<()> {
    let path = ended.run.report_path();
    let labels = ended.sets.train.classes();
    let best = ended.epochs.iter().any(|e| e.val_loss.is_some()).then_some(ended.epoch);
    let curves = crate::train::draw_curves(ended.epochs, best).map_err(|problem| Error::file(&path, problem))?;
    let seen = answers.filter(|answers| answers.tally.count > 0).map(|answers| {
        let confusion = draw_confusion(&answers.tally.confusion, labels)?;
        let pictures = answers.worst.iter().map(|mistake| picture(ended.sets, mistake)).collect();
        Ok::<_, Error>(page::Seen { answers, confusion, pictures })
    });
    let config = toml::to_string(ended.config).map_err(|e| Error::file(&path, e))?;
    let page = page::page(ended, labels, &curves, seen.transpose()?.as_ref(), &config);
    files::write(&path, page.as_bytes())?;
    runtime.note(format!("the run's report is {}", path.display()));
    Ok(())
}

/// A small PNG of an image; `None` if it can no longer be read.
fn picture(sets: &Sets, mistake: &Mistake) -> Option<Vec<u8>> {
    let image = sets.val.as_ref()?.image(mistake.image).ok()?;
    data::encode_png(&data::grid(&[image], 1, PIXELS, 0)).ok()
}
