//! Lends a [`Transport`] to the credentials of `azure_identity`, and remembers how the exchange ended: what their errors
//! say of it is not enough to tell a wrong secret from an authority that is down.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use azure_core::error::ErrorKind;
use azure_core::http::headers::{HeaderName as SdkHeaderName, HeaderValue as SdkHeaderValue, Headers};
use azure_core::http::{AsyncRawResponse, Body, ClientOptions, HttpClient, Request, RetryOptions};
use azure_core::http::{Method as SdkMethod, Transport as SdkTransport};
use certroll_core::ports::FaultKind;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use zeroize::Zeroizing;

use super::{Answer, Outgoing, Sent, Transport, TransportFault};
use crate::words::printable;

/// How the last exchange of a credential ended badly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What the authority or the transport said.
    pub(crate) reason: String,
    /// Whether the same request may succeed later.
    pub(crate) transient: bool,
}

/// One credential's way to the network, for one attempt at a token.
pub(crate) struct Lent {
    transport: Arc<dyn Transport>,
    user_agent: HeaderValue,
    last: Mutex<Option<Refusal>>,
}

impl Lent {
    pub(crate) fn new(transport: Arc<dyn Transport>, user_agent: HeaderValue) -> Arc<Self> {
        Arc::new(Self { transport, user_agent, last: Mutex::new(None) })
    }

    /// Options that make a credential use this transport and repeat nothing by itself.
    pub(crate) fn options(self: &Arc<Self>) -> ClientOptions {
        ClientOptions {
            transport: Some(SdkTransport::new(Arc::clone(self) as Arc<dyn HttpClient>)),
            retry: RetryOptions::none(),
            ..ClientOptions::default()
        }
    }

    /// How the last exchange failed, if it did.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, refusal: Option<Refusal>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for Lent {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let outgoing = outgoing(request, &self.user_agent)?;
        let answer = match self.transport.send(outgoing).await {
            Ok(answer) => answer,
            Err(fault) => {
                self.remember(Some(refusal_of_fault(&fault)));
                let kind = match fault.sent {
                    Sent::No => ErrorKind::Connection,
                    Sent::Perhaps => ErrorKind::Io,
                };
                return Err(azure_core::Error::with_message(kind, fault.message));
            }
        };
        self.remember((!answer.is_success()).then(|| refusal_of_answer(&answer)));
        let mut headers = Headers::new();
        for (name, value) in &answer.headers {
            if let Ok(value) = value.to_str() {
                headers.insert(
                    SdkHeaderName::from(name.as_str().to_owned()),
                    SdkHeaderValue::from(value.to_owned()),
                );
            }
        }
        Ok(AsyncRawResponse::from_bytes(answer.status.into(), headers, answer.body.to_vec()))
    }
}

fn outgoing(request: &Request, user_agent: &HeaderValue) -> azure_core::Result<Outgoing> {
    let unusable = || azure_core::Error::with_message(ErrorKind::Other, "the request cannot be sent");
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers().iter() {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).map_err(|_| unusable())?;
        let mut value = HeaderValue::from_str(value.as_str()).map_err(|_| unusable())?;
        // `x-identity-header` is a secret; nothing else is lost by treating them all as one.
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    headers.insert(USER_AGENT, user_agent.clone());
    let Body::Bytes(body) = request.body() else { return Err(unusable()) };
    let method = match request.method() {
        SdkMethod::Get => Method::GET,
        SdkMethod::Post => Method::POST,
        _ => return Err(unusable()),
    };
    Ok(Outgoing { method, url: request.url().clone(), headers, body: Zeroizing::new(body.to_vec()) })
}

fn refusal_of_fault(fault: &TransportFault) -> Refusal {
    let transient = match fault.kind {
        FaultKind::Unreachable | FaultKind::TimedOut => true,
        FaultKind::ForeignHost
        | FaultKind::Malformed
        | FaultKind::NoToken
        | FaultKind::Unauthorized
        | FaultKind::Forbidden
        | FaultKind::Firewall
        | FaultKind::Disabled
        | FaultKind::NotFound
        | FaultKind::Throttled
        | FaultKind::Conflict
        | FaultKind::Refused
        | FaultKind::ServiceFault => false,
    };
    Refusal { reason: fault.to_string(), transient }
}

/// What the token authority or the metadata endpoint said: its code and the first sentence of its message. What
/// follows there are trace ids and times.
fn refusal_of_answer(answer: &Answer) -> Refusal {
    let status = answer.status;
    let transient = matches!(status, 404 | 408 | 410 | 429 | 500..=599);
    let said: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |name: &str| said.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    let description = printable(text("error_description"));
    let description = description.split(" Trace ID:").next().unwrap_or_default();
    let mut reason = format!("status {status}");
    for part in [text("error"), description] {
        if !part.is_empty() {
            reason.push_str(": ");
            reason.push_str(&printable(part));
        }
    }
    Refusal { reason, transient }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_s_words_are_kept_without_its_trace() {
        let body = br#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1","error_codes":[7000215]}"#;
        let answer = Answer { status: 401, headers: HeaderMap::new(), body: Zeroizing::new(body.to_vec()) };
        let refusal = refusal_of_answer(&answer);
        assert_eq!(
            refusal.reason,
            "status 401: invalid_client: AADSTS7000215: Invalid client secret provided."
        );
        assert!(!refusal.transient);
        let answer =
            Answer { status: 503, headers: HeaderMap::new(), body: Zeroizing::new(b"<html>".to_vec()) };
        assert_eq!(refusal_of_answer(&answer), Refusal { reason: "status 503".to_owned(), transient: true });
    }
}
