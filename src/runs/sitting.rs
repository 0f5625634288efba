//! One sitting of a run: from its start, or from where an earlier sitting was stopped, to its end or the next stop. The
//! folder exists from the start, so that a run that is stopped at any moment can be continued.

use std::path::{Path, PathBuf};

use super::sets::Sets;
use crate::data::find_unreadable;
use crate::error::{Error, Result};
use crate::gpu::AdapterChoice;
use crate::runtime::Runtime;
use crate::train::{Interrupt, LeftOut, RunConfig, RunDir, Unreadable};

/// A run's folder, claimed for this process, and what to report at the end.
pub struct Sitting {
    command: &'static str,
    run: RunDir,
    is_new: bool,
}

impl Sitting {
    /// Continues `resumed`, or claims the folder `output` for a new run with the settings `config`; without a name, the
    /// next free one of `runs/COMMAND`.
    pub fn begin(
        runtime: &Runtime,
        command: &'static str,
        resumed: Option<RunDir>,
        output: Option<&Path>,
        config: &RunConfig,
    ) -> Result<Self> {
        let is_new = resumed.is_none();
        let run = match (resumed, output) {
            (Some(run), _) => run,
            (None, Some(path)) => RunDir::claim(path)?,
            (None, None) => RunDir::claim_next(&PathBuf::from(format!("runs/{command}")))?,
        };
        if let Some(remark) = run.remark() {
            runtime.note(remark);
        }
        let sitting = Self { command, run, is_new };
        // A resumed run may have a new number of epochs.
        let kept = if is_new { runtime.tuning.keep(&sitting.run) } else { Ok(()) };
        if let Err(error) = kept.and_then(|()| sitting.run.write_config(config)) {
            if is_new {
                sitting.run.abandon();
            }
            return Err(error);
        }
        Ok(sitting)
    }

    pub fn run(&self) -> &RunDir {
        &self.run
    }

    /// Called when only the training itself is left to do: removes what an earlier run left in the folder of a new one.
    pub fn start(&self) -> Result<()> {
        if self.is_new { self.run.begin() } else { Ok(()) }
    }

    /// Whether the run continues from a checkpoint.
    pub fn goes_on(&self) -> bool {
        !self.is_new && self.run.has_checkpoint()
    }

    /// `sets` without the unreadable images, and the list of those: the ones that were left out when the run began, or, for a new
    /// run, those that reading all images finds.
    pub fn readable(&self, runtime: &Runtime, sets: &Sets, stop: &Interrupt) -> Result<(Sets, Unreadable)> {
        let unreadable = match self.goes_on() {
            true => self.left_out(runtime)?,
            false => {
                let found = search(runtime, sets, stop)?;
                self.run.write_unreadable(&found)?;
                found
            }
        };
        Ok((sets.without(&unreadable)?, unreadable))
    }

    /// The images that were left out when the run began.
    pub fn left_out(&self, runtime: &Runtime) -> Result<Unreadable> {
        let unreadable = self.run.read_unreadable()?;
        if let Some(first) = unreadable.first() {
            let (images, name) = (crate::data::count(unreadable.len(), "image"), &first.name);
            runtime.note(format!("{images} could not be read when the run began, the first {name}"));
        }
        Ok(unreadable)
    }

    /// Refuses to begin once a stop was requested. For a resumed run it prints the command that continues it.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn check_stop(runtime: &Runtime, command: &str, resumed: Option<&RunDir>, stop: &Interrupt) -> Result<()> {
        let result = stop.check();
        if let (Err(_), Some(run)) = (&result, resumed) {
            runtime.note(format!("stopped; {}{}", go_on(runtime, command, run), from(run)));
        }
        result
    }

    /// Prints how to continue a run that was stopped. A new run that failed with nothing worth keeping leaves no folder.
    pub fn end<T>(self, runtime: &Runtime, result: Result<T>) -> Result<T> {
        let Err(error) = &result else { return result };
        let (go_on, from) = (go_on(runtime, self.command, &self.run), from(&self.run));
        match error {
            Error::Partial(_) => {}
            Error::Interrupted => runtime.note(format!("stopped; {go_on}{from}")),
            error if self.is_new && !is_worth_keeping(&self.run, error) => self.run.abandon(),
            error if is_mendable(error) && self.run.has_checkpoint() => {
                runtime.note(format!("once that is repaired, {go_on}{from}"));
            }
            _ => {}
        }
        result
    }
}

/// The command that continues `run`, as part of a sentence.
fn go_on(runtime: &Runtime, command: &str, run: &RunDir) -> String {
    if runtime.remote.is_some() {
        return "continue by starting the job again".into();
    }
    format!("continue with `gpu-resnet {command} --resume {}{}`", quoted(run.path()), named(&runtime.adapters))
}

/// The option that names several adapters.
fn named(adapters: &[AdapterChoice]) -> String {
    if adapters.len() < 2 {
        return String::new();
    }
    let names: Vec<&str> = adapters.iter().filter_map(|choice| choice.adapter.as_deref()).collect();
    match names.iter().all(|name| name.parse::<usize>().is_ok()) {
        true => format!(" --adapter {}", names.join(",")),
        false => names.iter().map(|name| format!(" --adapter {}", quoted(Path::new(name)))).collect(),
    }
}

/// Where it continues from.
fn from(run: &RunDir) -> &'static str {
    if run.has_epochs() { " from the last complete epoch" } else { "" }
}

/// Whether a run that ended with `error` can continue once an external cause is repaired: a full disk, a lost device.
fn is_mendable(error: &Error) -> bool {
    matches!(error, Error::File { .. } | Error::DeviceLost(_) | Error::Gpu(_) | Error::OutOfMemory(_))
}

fn is_worth_keeping(run: &RunDir, error: &Error) -> bool {
    run.has_epochs() || (run.has_checkpoint() && is_mendable(error))
}

/// Reads all images, and reports the unreadable ones.
fn search(runtime: &Runtime, sets: &Sets, stop: &Interrupt) -> Result<Unreadable> {
    let images = sets.train.len() + sets.val.as_ref().map_or(0, |val| val.len());
    let bar = runtime.progress(images as u64, "reading images");
    let parts = [Some(&sets.train), sets.val.as_ref()].map(|part| {
        let Some(part) = part else { return Ok(Vec::new()) };
        let found = find_unreadable(&**part, || {
            bar.advance(1);
            !stop.is_raised()
        });
        let found = found.ok_or(Error::Interrupted)?;
        found.iter().for_each(|(_, error)| bar.pause(&mut || runtime.complain(error)));
        Ok(found.into_iter().map(|(index, _)| LeftOut { index, name: part.name(index) }).collect())
    });
    bar.finish();
    let [train, val] = parts;
    Ok(Unreadable { train: train?, val: val? })
}

/// The message that the run in `path` belongs to another command.
pub fn other_command(command: &str, path: &Path) -> String {
    format!("is a run of `gpu-resnet {command}`; continue it with `gpu-resnet {command} --resume {}`", quoted(path))
}

/// A path quoted for a shell.
fn quoted(path: &Path) -> String {
    if path.to_str().is_none() {
        let plain = |b: &u8| b.is_ascii_graphic() && !b"'\\".contains(b);
        let bytes = path.as_os_str().as_encoded_bytes().iter();
        let text: String =
            bytes.map(|b| if plain(b) { char::from(*b).into() } else { format!("\\x{b:02x}") }).collect();
        return format!("$'{text}'");
    }
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%,".contains(c);
    match !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_adapters_are_named_again() {
        let choice = |name: &str| AdapterChoice { adapter: Some(name.into()), backend: None };
        assert_eq!(named(&[choice("0"), choice("1")]), " --adapter 0,1");
        assert_eq!(named(&[choice("0"), choice("Swift Shader")]), " --adapter 0 --adapter 'Swift Shader'");
        assert_eq!(named(&[choice("1")]), "");
    }

    #[test]
    fn a_path_can_be_pasted_into_a_shell() {
        for (path, wanted) in [("runs/finetune-2", "runs/finetune-2"), ("my runs/x", "'my runs/x'"), ("-x", "'-x'")] {
            assert_eq!(quoted(Path::new(path)), wanted);
        }
        assert_eq!(quoted(Path::new("it's;rm *")), r"'it'\''s;rm *'");
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            let path = Path::new(std::ffi::OsStr::from_bytes(b"r\xfc 'n"));
            assert_eq!(quoted(path), r"$'r\xfc\x20\x27n'");
        }
    }
}
