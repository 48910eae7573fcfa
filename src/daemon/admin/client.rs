//! Asks a running daemon by its admin socket.

use std::io;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::net::UnixStream;

use super::{ANSWER, Refusal};

/// Longest time for a question: the daemon answers from memory, or once the journal is written.
const WAIT: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum AskError {
    /// Nobody answers there.
    #[error("no certroll answers at the admin socket `{path}`: {reason}")]
    Absent {
        /// The socket.
        path: String,
        /// Why.
        reason: String,
    },
    /// This user may not ask.
    #[error("the admin socket `{path}` is not open to this user")]
    Denied {
        /// The socket.
        path: String,
    },
    /// The answer did not come, or is not understood.
    #[error("the answer of the running certroll {reason}")]
    Broken {
        /// What is the matter with it.
        reason: String,
    },
    /// The daemon refuses.
    #[error("{}", .0.detail)]
    Refused(Refusal),
}

/// A path of segments, of which any may be what a person typed.
pub fn path<'a>(segments: impl IntoIterator<Item = &'a str>) -> String {
    // Everything but letters and digits is escaped, so that no segment can become two.
    let escaped = |segment: &str| -> String {
        let escape = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        };
        segment.bytes().map(escape).collect()
    };
    segments.into_iter().map(|segment| format!("/{}", escaped(segment))).collect()
}

/// Asks for something.
///
/// # Errors
/// Nobody answers, or the daemon refuses.
pub async fn get<A: DeserializeOwned>(socket: &Path, path: &str) -> Result<A, AskError> {
    ask(socket, Method::GET, path, Bytes::new()).await
}

/// Tells something.
///
/// # Errors
/// Nobody answers, or the daemon refuses.
pub async fn post<A: DeserializeOwned>(
    socket: &Path,
    path: &str,
    request: &impl Serialize,
) -> Result<A, AskError> {
    let body = serde_json::to_vec(request).map_err(broken)?;
    ask(socket, Method::POST, path, body.into()).await
}

async fn ask<A: DeserializeOwned>(
    socket: &Path,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<A, AskError> {
    let asked = tokio::time::timeout(WAIT, exchange(socket, method, path, body)).await;
    let (status, body) = asked
        .unwrap_or_else(|_| Err(AskError::Broken { reason: format!("did not come within {WAIT:?}") }))?;
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(broken);
    }
    match serde_json::from_slice(&body) {
        Ok(refusal) => Err(AskError::Refused(refusal)),
        Err(_) => Err(AskError::Broken { reason: format!("is {status}, without a reason") }),
    }
}

async fn exchange(
    socket: &Path,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<(hyper::StatusCode, Bytes), AskError> {
    let stream = UnixStream::connect(socket).await.map_err(|error| {
        let path = socket.display().to_string();
        match error.kind() {
            io::ErrorKind::PermissionDenied => AskError::Denied { path },
            io::ErrorKind::NotFound => AskError::Absent { path, reason: "it is not there".to_owned() },
            io::ErrorKind::ConnectionRefused => {
                AskError::Absent { path, reason: "nobody listens".to_owned() }
            }
            _ => AskError::Absent { path, reason: error.to_string() },
        }
    })?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let driver = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "certroll")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(broken)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER).collect().await;
        let body = body.map_err(|error| AskError::Broken { reason: format!("broke off: {error}") })?;
        Ok((status, body.to_bytes()))
    };
    let answer = answer.await;
    driver.abort();
    answer
}

fn broken(error: impl std::fmt::Display) -> AskError {
    AskError::Broken { reason: format!("is not understood: {error}") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_typed_stays_one_segment() {
        assert_eq!(super::path(["services", "shop", "update"]), "/services/shop/update");
        assert_eq!(super::path(["services", "a/../b?c ü"]), "/services/a%2F%2E%2E%2Fb%3Fc%20%C3%BC");
    }
}
