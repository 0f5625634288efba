//! Inputs that `infer` gave no answer for, and how they change the command's end.

use crate::data::count;
use crate::error::{Error, Result};

/// Counts of what was left out. Each case was reported when it happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Inputs that name no image: missing files, globs that match nothing, folders without images.
    pub missing: usize,
    /// Images that could not be read.
    pub unreadable: usize,
    /// Images whose logits, features or gradients are not finite.
    pub unanswered: usize,
}

impl LeftOut {
    /// An error if anything was left out besides the `done` images that were answered.
    pub fn verdict(self, done: usize) -> Result<()> {
        let Self { missing, unreadable, unanswered } = self;
        let all = done + unreadable + unanswered;
        let parts = [
            (unreadable, format!("{unreadable} of {all} images could not be read")),
            (unanswered, format!("{unanswered} of {all} images gave no answer")),
            (missing, format!("{} held no image", count(missing, "input"))),
        ];
        let parts: Vec<String> = parts.into_iter().filter(|(n, _)| *n > 0).map(|(_, words)| words).collect();
        match (parts.is_empty(), done) {
            (true, _) => Ok(()),
            (false, 0) if unanswered == 0 => {
                Err(Error::Partial(format!("none of the {all} images could be read; nothing was written")))
            }
            (false, 0) => Err(Error::Partial(format!("{}; nothing was written", parts.join(", ")))),
            (false, _) => Err(Error::Partial(format!("{}; the others are done", parts.join(", ")))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_is_counted() {
        let said = |missing, unreadable, unanswered, done| {
            LeftOut { missing, unreadable, unanswered }
                .verdict(done)
                .map_err(|error| (error.exit_status(), error.to_string()))
        };
        let fails = |words: &str| Err((1, words.to_owned()));
        assert_eq!(said(0, 0, 0, 3), Ok(()));
        assert_eq!(said(0, 1, 0, 1), fails("1 of 2 images could not be read; the others are done"));
        assert_eq!(said(2, 0, 0, 1), fails("2 inputs held no image; the others are done"));
        assert_eq!(
            said(1, 1, 1, 7),
            fails(
                "1 of 9 images could not be read, 1 of 9 images gave no answer, 1 input held no image; the others are done"
            )
        );
        assert_eq!(said(0, 2, 0, 0), fails("none of the 2 images could be read; nothing was written"));
        assert_eq!(said(0, 0, 2, 0), fails("2 of 2 images gave no answer; nothing was written"));
    }
}
