//! Ownership of a RUN folder. A new run claims its folder before it begins, by creating and locking it: two runs that start
//! at the same moment get two folders, and a run that is killed at any moment leaves a folder that a later start can handle.
//!
//! Such a folder may be empty, or hold settings without a checkpoint. Neither prevents a new run.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::run_dir::{CONFIG, Claim, RunConfig, RunDir, no_run};
use super::run_lock::{LOCK_FILE, NotLocked, RunLock};
use crate::error::{Error, Result};
use crate::files;

/// How often a folder that vanishes between two looks is looked at again.
const TRIES: usize = 100;
/// Numbers that default names may have.
const MOST_NAMES: usize = 1_000_000;

impl RunDir {
    /// A folder for a new run with these settings: [`Self::claim`], and what [`Self::begin`] removes.
    pub fn create(path: impl Into<PathBuf>, config: &RunConfig) -> Result<Self> {
        let run = Self::claim(path)?;
        run.begin()?;
        run.write_config(config)?;
        Ok(run)
    }

    /// A run that is there, to go on with, and its settings.
    ///
    /// # Errors
    /// [`Error::File`] if there is none, another process has it, or its config.toml can't be read.
    pub fn open(path: impl Into<PathBuf>) -> Result<(Self, RunConfig)> {
        let path = path.into();
        if !path.join(CONFIG).exists() {
            return Err(Error::file(&path, no_run(&path)));
        }
        let run = Self::claim_again(path)?;
        let config = run.read_config()?;
        Ok((run, config))
    }

    /// Claims the folder `path` for a new run. It is made if it is not there; one with an earlier run's settings but without
    /// a checkpoint is taken over. Nothing in it is changed yet.
    ///
    /// # Errors
    /// [`Error::File`] if it holds a run, another process has it, or it can't be made or written to.
    pub fn claim(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let refuse = |problem: &str| Err(Error::file(&path, problem));
        for _ in 0..TRIES {
            if path.exists() && !path.is_dir() {
                return refuse("is a file; name a folder as --output");
            }
            if path.is_symlink() && !path.exists() {
                return refuse("is a link to nothing; remove it, or name another --output");
            }
            let made = make(&path)?;
            match RunLock::acquire(&path) {
                Ok(lock) => {
                    let mut run = Self::claimed(path.clone(), Claim { lock, made, earlier: None });
                    if Self::holds_run(&path) {
                        run.claim.earlier = run.unstarted();
                        if run.claim.earlier.is_none() {
                            return refuse(
                                "already holds a run; continue it with --resume, remove it, or name another --output",
                            );
                        }
                    }
                    return Ok(run);
                }
                Err(NotLocked::Busy) => {
                    return refuse(
                        "is in use by another training process; wait until that ends, or name another --output",
                    );
                }
                Err(NotLocked::Gone) => {}
                Err(NotLocked::Failed(error)) => {
                    remove_empty(&made);
                    return Err(not_writable(&path, &error));
                }
            }
        }
        refuse("is removed again and again by another process; name another --output")
    }

    /// Claims the first free one of the folders `first`, `first-2`, `first-3`, …: one that is not there, or is empty.
    ///
    /// # Errors
    /// [`Error::File`] if the folder can't be made or written to.
    pub fn claim_next(first: &Path) -> Result<Self> {
        let name = |i: usize| match i {
            1 => first.to_owned(),
            i => PathBuf::from(format!("{}-{i}", first.display())),
        };
        let (mut i, mut tries) = (1, 0);
        // The folders above, which stay made whatever the name is in the end.
        let mut above = Vec::new();
        while i <= MOST_NAMES && tries < TRIES {
            let path = name(i);
            if (path.exists() || path.is_symlink()) && !is_empty(&path) {
                i += 1;
                continue;
            }
            let mut made = make(&path)?;
            let is_new = made.pop_if(|last| *last == path).is_some();
            above.append(&mut made);
            match RunLock::acquire(&path) {
                // Without locks only the making of the folder tells who was first.
                Ok(lock) if is_empty(&path) && (lock.is_exclusive() || is_new) => {
                    above.push(path.clone());
                    return Ok(Self::claimed(path, Claim { lock, made: above, earlier: None }));
                }
                Ok(_) | Err(NotLocked::Busy) => i += 1,
                Err(NotLocked::Gone) => tries += 1,
                Err(NotLocked::Failed(error)) => {
                    above.extend(is_new.then(|| path.clone()));
                    remove_empty(&above);
                    return Err(not_writable(&path, &error));
                }
            }
        }
        Err(Error::file(first, "and all names after it are taken; name another --output"))
    }

    /// Locks the folder of a run that is to go on.
    pub(super) fn claim_again(path: PathBuf) -> Result<Self> {
        match RunLock::acquire(&path) {
            Ok(lock) => {
                let run = Self::claimed(path, Claim { lock, made: Vec::new(), earlier: None });
                run.remove_parts();
                Ok(run)
            }
            Err(NotLocked::Busy) => {
                Err(Error::file(path, "is in use by another training process; wait until that ends, or stop it"))
            }
            Err(NotLocked::Gone) => Err(Error::file(path, "was removed a moment ago; start the run again")),
            Err(NotLocked::Failed(error)) => {
                let problem =
                    format!("can't be written to ({error}), and a run continues in its own folder; make it writable");
                Err(Error::file(path, problem))
            }
        }
    }

    /// What the user should know about the folder: that nothing keeps a second run out of it.
    pub fn remark(&self) -> Option<String> {
        let what = "its file system has no file locks, so take care that no second run writes into it";
        (!self.claim.lock.is_exclusive()).then(|| format!("{}: {what}", self.path().display()))
    }

    /// Undoes [`Self::claim`] for a run with nothing worth keeping: removes the files of this run, and the folders that were
    /// made for it. What else lies in them stays, and settings that were replaced come back.
    pub fn abandon(self) {
        let mut own = vec![self.path().join(CONFIG), self.unreadable_path()];
        if self.has_checkpoint() {
            // There was none when the folder was claimed, so these are this run's.
            own.extend([self.metrics_path(), self.checkpoint_path()]);
        }
        let events = std::fs::read_dir(self.path()).into_iter().flatten().flatten().filter(|entry| {
            let (name, end) = (entry.file_name(), format!(".gpu-resnet.{}", std::process::id()));
            name.to_str().is_some_and(|name| name.starts_with("events.out.tfevents.") && name.ends_with(&end))
        });
        own.extend(events.map(|entry| entry.path()));
        for file in &own {
            // A file that can't be removed is as good as one of a run that was killed here.
            let _ = std::fs::remove_file(file);
        }
        self.forget_tuning();
        let Claim { lock, made, earlier } = self.claim;
        if let Some(config) = earlier {
            let _ = files::write(&own[0], &config);
        }
        // The file of a lock that is held would keep the folder from being removed.
        drop(lock);
        remove_empty(&made);
    }
}

/// Makes the folder `path` and those above it; gives those that were not there before, from the top down.
fn make(path: &Path) -> Result<Vec<PathBuf>> {
    let above: Vec<&Path> = path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty() && !p.exists()).collect();
    let mut made: Vec<PathBuf> = above.into_iter().rev().map(Path::to_owned).collect();
    let folder = made.last().map_or(Ok(()), std::fs::create_dir_all);
    match folder.and_then(|()| std::fs::create_dir(path)) {
        Ok(()) => made.push(path.to_owned()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.exists() => {}
        // Another process has just removed a folder: the next look makes it again.
        Err(error) if is_race(&error, path) => {}
        Err(error) => {
            remove_empty(&made);
            return Err(cannot_be_made(path, &error));
        }
    }
    Ok(made)
}

/// Whether making `path` failed only because another process removed a folder meanwhile.
fn is_race(error: &std::io::Error, path: &Path) -> bool {
    let blocked = path.ancestors().skip(1).any(|folder| folder.exists() && !folder.is_dir());
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) && !blocked
}

fn cannot_be_made(path: &Path, error: &std::io::Error) -> Error {
    let there = path.ancestors().skip(1).find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let problem =
        format!("can't be made, since {} can't be written to ({error}); name another --output", there.display());
    Error::file(path, problem)
}

fn not_writable(path: &Path, error: &std::io::Error) -> Error {
    Error::file(path, format!("can't be written to ({error}); name another --output"))
}

/// Whether a folder holds nothing but what a start that was killed at once may have left.
fn is_empty(folder: &Path) -> bool {
    let left = |name: &OsStr| name == LOCK_FILE || files::is_part(name);
    std::fs::read_dir(folder).is_ok_and(|entries| entries.flatten().all(|entry| left(&entry.file_name())))
}

/// Removes those of `folders` that are empty, the last first.
fn remove_empty(folders: &[PathBuf]) {
    for folder in folders.iter().rev() {
        // One that something else was put into stays.
        let _ = std::fs::remove_dir(folder);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::run_dir::RunConfig;
    use super::*;

    fn names(folder: &Path) -> BTreeSet<String> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn problem(result: Result<RunDir>) -> String {
        result.expect_err("an error").to_string()
    }

    #[test]
    fn runs_that_start_at_once_get_a_folder_each() {
        let folder = tempfile::tempdir().unwrap();
        let (first, start) = (folder.path().join("runs/finetune"), std::sync::Barrier::new(12));
        let claims: Vec<RunDir> = std::thread::scope(|scope| {
            let claim = || {
                start.wait();
                RunDir::claim_next(&first).unwrap()
            };
            let threads: Vec<_> = (0..12).map(|_| scope.spawn(claim)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let paths: BTreeSet<&Path> = claims.iter().map(RunDir::path).collect();
        assert_eq!(paths.len(), 12, "{paths:?}");
        let wanted: BTreeSet<String> =
            (1..=12).map(|i| if i == 1 { "finetune".into() } else { format!("finetune-{i}") }).collect();
        assert_eq!(names(&folder.path().join("runs")), wanted);
        // Abandoned, they leave nothing, and runs that start meanwhile are not disturbed.
        std::thread::scope(|scope| {
            claims.into_iter().for_each(|run| drop(scope.spawn(|| run.abandon())));
            (0..12).for_each(|_| drop(scope.spawn(|| RunDir::claim_next(&first).unwrap().abandon())));
        });
        let left = folder.path().join("runs");
        assert!(!left.exists() || names(&left).is_empty());
    }

    #[test]
    fn a_folder_has_one_run_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let run = RunDir::claim(&path).unwrap();
        assert!(run.remark().is_none());
        for other in [RunDir::claim(&path), RunDir::create(&path, &RunConfig::default())] {
            let said = problem(other);
            assert!(said.contains("run: is in use by another training process"), "{said}");
        }
        run.write_config(&RunConfig::default()).unwrap();
        let said = problem(RunDir::open(&path).map(|(run, _)| run));
        assert!(said.contains("run: is in use by another training process"), "{said}");
        drop(run);
        assert_eq!(RunDir::open(&path).unwrap().1, RunConfig::default());
    }

    #[test]
    fn starts_that_were_killed_keep_no_run_out() {
        let config = RunConfig::default();
        let text = toml::to_string(&config).unwrap();
        // After each step of a start: the folder, the lock's file, half of the settings, the settings.
        let steps: [&[(&str, &str)]; 4] = [
            &[],
            &[(LOCK_FILE, "")],
            &[(LOCK_FILE, ""), (".gpu-resnet-a1b2c3.part", "[train")],
            &[(LOCK_FILE, ""), (CONFIG, &text)],
        ];
        for (number, files) in steps.into_iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("run");
            std::fs::create_dir(&path).unwrap();
            files.iter().for_each(|(name, text)| std::fs::write(path.join(name), text).unwrap());
            match RunDir::open(&path) {
                Ok((_, found)) => assert!(number == 3 && found == config),
                Err(error) => assert!(number < 3 && error.to_string().contains("holds no run"), "{error}"),
            }
            // A default name that may be resumed is left alone; one that holds nothing is used.
            let next = RunDir::claim_next(&path).unwrap();
            assert_eq!(next.path().ends_with("run"), number < 3, "{files:?}");
            next.abandon();
            std::fs::create_dir_all(&path).unwrap();
            let mut other = config.clone();
            other.training.seed = 5;
            let run = RunDir::claim(&path).unwrap();
            run.write_config(&other).unwrap();
            run.abandon();
            // A start that failed brings the earlier settings back.
            assert_eq!(RunDir::open(&path).is_ok_and(|(_, found)| found == config), number == 3, "{files:?}");
            RunDir::claim(&path).unwrap().write_config(&other).unwrap();
            assert_eq!(RunDir::open(&path).unwrap().1, other);
        }
    }

    #[test]
    fn what_is_not_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        // The user's own folder, with a file of theirs.
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("notes.txt"), "mine").unwrap();
        std::fs::write(path.join("metrics.jsonl"), "an earlier run's").unwrap();
        let run = RunDir::claim(&path).unwrap();
        run.write_config(&RunConfig::default()).unwrap();
        run.abandon();
        assert_eq!(names(&path), ["metrics.jsonl".to_owned(), "notes.txt".to_owned()].into());
        std::fs::remove_file(path.join("metrics.jsonl")).unwrap();
        // Another program's config.toml, and a run with a checkpoint, are never taken over.
        for (name, text) in [(CONFIG, "[package]\nname = \"mine\""), ("checkpoint.safetensors", "x")] {
            std::fs::write(path.join(name), text).unwrap();
            assert!(problem(RunDir::claim(&path)).contains("already holds a run"), "{name}");
            assert_eq!(std::fs::read_to_string(path.join(name)).unwrap(), text);
            std::fs::remove_file(path.join(name)).unwrap();
        }
        assert_eq!(names(&path), ["notes.txt".to_owned()].into());
        let said = problem(RunDir::claim(path.join("notes.txt")));
        assert!(said.contains("is a file; name a folder as --output"), "{said}");
        let said = problem(RunDir::claim(path.join("notes.txt/run")));
        assert!(said.contains("notes.txt/run: can't be made, since"), "{said}");
        assert!(said.contains(" can't be written to (") && said.contains("os error"), "the cause is missing: {said}");
        let said = problem(RunDir::claim_next(&path.join("notes.txt/runs/finetune")));
        assert!(said.contains("notes.txt/runs/finetune: can't be made, since"), "{said}");
    }

    #[test]
    fn a_folder_that_cannot_be_locked_is_one_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        // A folder in the lock's place stops even root, as a read-only folder stops others.
        std::fs::create_dir_all(path.join(LOCK_FILE)).unwrap();
        assert!(problem(RunDir::claim(&path)).contains("run: can't be written to ("));
        std::fs::write(path.join(CONFIG), toml::to_string(&RunConfig::default()).unwrap()).unwrap();
        assert!(problem(RunDir::open(&path).map(|(run, _)| run)).contains("make it writable"));
    }
}
