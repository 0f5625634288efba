//! Replaces HTTP when the cargo feature `fetch` is off: every request is refused, with what to do instead.

use super::Remote;
use super::reply::Reply;
use crate::error::{Error, Result};

pub(super) struct Client<'a> {
    remote: &'a Remote<'a>,
}

impl<'a> Client<'a> {
    pub fn new(remote: &'a Remote<'a>) -> Self {
        Client { remote }
    }

    pub fn get(&self, _start: u64) -> Result<Reply> {
        Err(self.refused())
    }

    pub fn checksum(&self) -> Result<String> {
        Err(self.refused())
    }

    pub fn failed(&self, problem: &str) -> Error {
        Error::file(self.remote.name, format!("{} {problem}", self.remote.url))
    }

    pub fn unreachable(&self, why: &str) -> Error {
        self.failed(why)
    }

    pub fn web_page(&self) -> Error {
        self.refused()
    }

    fn refused(&self) -> Error {
        let instead = self.remote.instead;
        let problem =
            format!("can't be fetched by a build without the cargo feature `fetch`; turn it on, or {instead}");
        Error::file(self.remote.name, problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_refused_with_what_to_do() {
        let remote = Remote { name: "resnet18", url: "https://x/y", sha256: None, most: 1, instead: "give a file" };
        let Err(error) = Client::new(&remote).get(0) else { panic!("something was fetched") };
        assert!(error.to_string().starts_with("resnet18: can't be fetched"), "{error}");
        assert!(error.to_string().ends_with("turn it on, or give a file"), "{error}");
    }
}
