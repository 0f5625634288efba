//! The library's messages on the console, and its progress as bars.

use std::fmt::Display;

use indicatif::ProgressBar;

use super::console::Console;
use crate::runtime::{Progress, Reporter, Unit};

impl Reporter for Console {
    fn note(&self, text: &dyn Display) {
        Console::note(self, text);
    }

    fn detail(&self, text: &dyn Display) {
        self.verbose(text);
    }

    fn complain(&self, text: &dyn Display) {
        Console::complain(self, text);
    }

    fn progress(&self, total: Option<u64>, unit: Unit, what: &str) -> Box<dyn Progress> {
        Box::new(match unit {
            Unit::Items => Console::progress(self, total.unwrap_or(0), what),
            Unit::Bytes => self.transfer(total, what),
        })
    }
}

impl Progress for ProgressBar {
    fn advance(&self, by: u64) {
        self.inc(by);
    }

    fn set(&self, done: u64, total: Option<u64>) {
        total.iter().for_each(|&total| self.set_length(total));
        self.set_position(done);
    }

    fn describe(&self, what: &str, message: &str) {
        self.set_prefix(what.to_owned());
        self.set_message(message.to_owned());
    }

    fn pause(&self, say: &mut dyn FnMut()) {
        self.suspend(say);
    }

    fn finish(&self) {
        self.finish_and_clear();
    }
}
