//! One HTTP exchange: what is sent, what comes back, what can go wrong on the way.
//!
//! [`Transport`] is the seam between certroll's calls and the network. [`guard`] decides which hosts may be talked to,
//! [`client`] is the production implementation, [`body`] reads answers within a limit and wipes them, [`sdk`] lends
//! the same transport to the credentials of `azure_identity`. Nothing here retries, follows a redirect or logs.

pub(crate) mod body;
pub(crate) mod client;
pub(crate) mod guard;
pub(crate) mod sdk;

use std::fmt;

use async_trait::async_trait;
use certroll_core::ports::FaultKind;
use reqwest::Method;
use reqwest::header::HeaderMap;
use url::Url;
use zeroize::Zeroizing;

mod roots;
pub use body::BodyLimit;
pub use roots::{PublicRoots, public_roots};

/// A request, whole. It is not printable: headers carry tokens, bodies carry secrets.
pub struct Outgoing {
    /// The verb.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// All headers but those of the connection itself. Those that carry a token are marked sensitive.
    pub headers: HeaderMap,
    /// The body; empty where there is none.
    pub body: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("method", &self.method)
            .field("host", &self.url.host_str())
            .finish_non_exhaustive()
    }
}

/// An answer, read to its end. The body is wiped when it is dropped.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, within the limit of the transport.
    pub body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// A header as text, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the status is one of 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("length", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Whether the service can have seen a request that got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// No byte of it left: no connection came to be, or the request was refused on our side.
    No,
    /// It may have arrived and may have been carried out.
    Perhaps,
}

/// Why there is no whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportFault {
    /// `Unreachable`, `TimedOut`, `Malformed` (too large) or `ForeignHost`.
    pub kind: FaultKind,
    /// Whether the service can have seen the request.
    pub sent: Sent,
    /// The reason, without the URL.
    pub message: String,
}

impl TransportFault {
    pub(crate) fn new(kind: FaultKind, sent: Sent, message: impl Into<String>) -> Self {
        Self { kind, sent, message: message.into() }
    }
}

impl fmt::Display for TransportFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

/// Sends one request and reads its answer. Any status is an answer; redirects are not followed, nothing is repeated.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// Sends `request` once.
    ///
    /// # Errors
    /// No connection, no whole answer in time, or an answer larger than the limit.
    async fn send(&self, request: Outgoing) -> Result<Answer, TransportFault>;
}
