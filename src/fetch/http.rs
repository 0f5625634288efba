//! What fetching needs of HTTP: a range of a file, the hub's checksum, and an error for everything that can go wrong.

use std::time::Duration;

use ureq::http::{HeaderMap, StatusCode, header};

use super::Remote;
use super::reply::{Body, Reply};
use crate::error::{Error, Result};

/// One file on one server. Proxies come from the usual variables (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`).
pub(super) struct Client<'a> {
    remote: &'a Remote<'a>,
    agent: ureq::Agent,
}

impl<'a> Client<'a> {
    pub fn new(remote: &'a Remote<'a>) -> Self {
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("gpu-resnet/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(Duration::from_secs(20)))
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_per_read(Some(Duration::from_secs(60)));
        if is_loopback(remote.url) {
            config = config.proxy(None);
        }
        Client { remote, agent: config.build().into() }
    }

    /// The file from byte `start` on, or from its first byte if the server does not support ranges.
    pub fn get(&self, start: u64) -> Result<Reply> {
        let mut request = self.agent.get(self.remote.url);
        if start > 0 {
            request = request.header(header::RANGE, format!("bytes={start}-"));
        }
        let response = match request.call() {
            Ok(response) => response,
            Err(error) => return Ok(Reply::Unreachable(error.to_string())),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let start = match status {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT if range_start(&headers) == Some(start) => start,
            // The file may have exactly these bytes. If not, it fails its checksum and is fetched from the start next time.
            StatusCode::RANGE_NOT_SATISFIABLE if start > 0 => return Ok(Reply::Complete),
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                let instead = self.remote.instead;
                return Err(
                    self.failed(&format!("no longer exists (404); check GPU_RESNET_MIRROR if it is set, or {instead}"))
                );
            }
            status if status.is_server_error() => return Ok(Reply::Unreachable(format!("status {status}"))),
            status => {
                return Err(self.failed(&format!(
                    "was refused with the status {status}; set GPU_RESNET_MIRROR to a mirror, or fetch it with a browser and {}",
                    self.remote.instead
                )));
            }
        };
        if headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html")) {
            return Err(self.web_page());
        }
        let length = response.body().content_length();
        Ok(Reply::Body(Body { start, length, reader: Box::new(response.into_body().into_reader()) }))
    }

    /// The SHA-256 that the hub sends for the file before it redirects to the bytes.
    pub fn checksum(&self) -> Result<String> {
        let request =
            self.agent.head(self.remote.url).config().max_redirects(0).max_redirects_will_error(false).build();
        let response = request.call().map_err(|error| self.unreachable(&error.to_string()))?;
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            return Err(self.failed(&format!("was refused with the status {status}; try again later")));
        }
        let tag =
            |name: &str| Some(response.headers().get(name)?.to_str().ok()?.trim_matches(['W', '/', '"']).to_owned());
        let is_sha256 = |tag: &String| tag.len() == 64 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
        let found = ["x-linked-etag", "etag"].into_iter().filter_map(tag).find(is_sha256);
        found.map(|tag| tag.to_ascii_lowercase()).ok_or_else(|| {
            self.failed(
                "has no checksum: none was published, and this server gives none (x-linked-etag), so what it sends can't be \
                 trusted; take the hub itself, or a mirror that passes its headers on",
            )
        })
    }

    /// An error about the URL.
    pub fn failed(&self, problem: &str) -> Error {
        Error::file(self.remote.name, format!("{} {problem}", self.remote.url))
    }

    pub fn unreachable(&self, why: &str) -> Error {
        self.failed(&format!(
            "could not be reached ({why}); check the network and HTTPS_PROXY, set GPU_RESNET_MIRROR to a mirror, or {}",
            self.remote.instead
        ))
    }

    pub fn web_page(&self) -> Error {
        self.failed("answers with a web page instead of the file; a login or a proxy may be in between")
    }
}

/// The first byte of `Content-Range: bytes 5-9/10`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// Whether the server is this machine, which needs no proxy.
fn is_loopback(url: &str) -> bool {
    let host = url.split('/').nth(2).unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_ranges() {
        assert!(
            is_loopback("http://127.0.0.1:80/x") && is_loopback("http://localhost") && is_loopback("http://[::1]:1/")
        );
        assert!(!is_loopback("https://huggingface.co/127.0.0.1") && !is_loopback("http://127.0.0.1.example.org/"));
        let mut headers = HeaderMap::new();
        assert_eq!(range_start(&headers), None);
        headers.insert(header::CONTENT_RANGE, "bytes 5-9/10".parse().unwrap());
        assert_eq!(range_start(&headers), Some(5));
        headers.insert(header::CONTENT_RANGE, "bytes */10".parse().unwrap());
        assert_eq!(range_start(&headers), None);
    }
}
