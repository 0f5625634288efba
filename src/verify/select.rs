//! Which cases of a suite run.

use regex_lite::Regex;

use super::case::Case;
use super::cases::{Suite, cases};
use super::controls::{Control, controls};
use crate::error::{Error, Result};

/// The regular expression that a filter is.
pub fn filter_regex(filter: Option<&str>) -> Result<Option<Regex>> {
    let compile =
        |text| Regex::new(text).map_err(|e| Error::Usage(format!("--filter {text:?} is no regular expression: {e}")));
    filter.map(compile).transpose()
}

/// What chooses among the cases.
#[derive(Debug, Clone)]
pub struct Selection {
    pub suite: Suite,
    /// The line of one case, in the list or not, or a regular expression over lines.
    pub filter: Option<String>,
    /// Only this kernel variant where there are several.
    pub variant: Option<String>,
}

impl Selection {
    /// The cases, in order.
    ///
    /// # Errors
    /// [`Error::Usage`] for a filter that is neither a case nor a regular expression, and if nothing is left.
    pub fn cases(&self) -> Result<Vec<Case>> {
        if let Some(case) = self.single() {
            return Ok(vec![case]);
        }
        let filter = filter_regex(self.filter.as_deref())?;
        let wanted = |case: &Case| {
            let named = case.variant().map(|variant| variant.name());
            let right = self.variant.as_deref().is_none_or(|wanted| named.is_none_or(|name| name == wanted));
            right && filter.as_ref().is_none_or(|filter| filter.is_match(&case.to_string()))
        };
        let chosen: Vec<Case> = cases(self.suite)?.into_iter().filter(wanted).collect();
        if chosen.is_empty() {
            return Err(Error::Usage("no case is left; `verify --list` shows them all".into()));
        }
        Ok(chosen)
    }

    /// The one case whose line the filter is. A line is no regular expression, but would match others that it starts.
    fn single(&self) -> Option<Case> {
        self.filter.as_deref().and_then(|line| Case::parse(line.trim()).ok())
    }

    /// The negative controls that belong to the chosen operations and variant; all of them without a filter.
    pub fn controls(&self, cases: &[Case]) -> Vec<&'static Control> {
        let fits = |control: &Control| {
            let Ok(case) = Case::parse(&control.case) else { return true };
            let named = case.variant().map(|variant| variant.name());
            let right = self.variant.as_deref().is_none_or(|wanted| named.is_none_or(|name| name == wanted));
            right && cases.iter().any(|chosen| chosen.operation.name == case.operation.name)
        };
        controls().iter().filter(|control| fits(control)).collect()
    }
}
