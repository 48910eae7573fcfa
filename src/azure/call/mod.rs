//! One call to Azure: token, headers, attempts, classification, counting. Reads are repeated within limits, writes are
//! sent once, whatever happens.

mod classify;
mod count;
mod hint;
pub(crate) mod json;
mod pages;
mod quota;
mod retry_after;

use std::fmt;
use std::sync::Arc;

use certroll_core::cloud::AzureCloud;
use certroll_core::ports::{Clock, FaultKind, PortError, PortFault, ServerTime};
use certroll_core::retry;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT,
};
use ring::rand::SecureRandom;
use url::Url;
use zeroize::Zeroizing;

use crate::options::Limits;
use crate::token::{NoToken, Token, Tokens};
use crate::transport::guard::same_host;
use crate::transport::{Answer, Outgoing, Transport};

pub(crate) use classify::Nature;
pub use count::{CallCount, Operation, Outcome};
pub(crate) use hint::Subject;
pub(crate) use json::{Misread, Node, not_json, parse, without_bom};
pub use quota::Quota;
pub(crate) use retry_after::retry_after;

/// A call as its maker describes it.
pub(crate) struct Call {
    /// Which operation, for counters and logs.
    pub(crate) operation: Operation,
    /// In words, for faults: "reading vault certificate `shop-kv/certificates/shop-tls`".
    pub(crate) doing: String,
    /// Where to.
    pub(crate) url: Url,
    /// What it is about, for hints.
    pub(crate) subject: Subject,
}

impl Call {
    /// A call to an address. `path` is made of identifiers that were parsed, so that nothing in it is read by a URL in
    /// another way.
    ///
    /// # Errors
    /// The address is none; with parsed identifiers only a custom cloud's host can be the reason.
    pub(crate) fn to(
        operation: Operation,
        doing: String,
        (host, path): (&str, &str),
        api_version: &str,
        subject: Subject,
    ) -> Result<Self, PortError> {
        match Url::parse(&format!("https://{host}{path}")) {
            Ok(mut url) => {
                url.query_pairs_mut().append_pair("api-version", api_version);
                Ok(Self { operation, doing, url, subject })
            }
            Err(reason) => Err(PortError::Permanent(PortFault {
                doing,
                kind: FaultKind::Refused,
                status: None,
                code: None,
                message: format!("its address cannot be formed: {reason}"),
                hint: None,
            })),
        }
    }

    pub(crate) fn fault(&self, kind: FaultKind, message: impl Into<String>) -> PortFault {
        PortFault {
            doing: self.doing.clone(),
            kind,
            status: None,
            code: None,
            message: message.into(),
            hint: None,
        }
    }

    /// An answer that is not what was documented.
    pub(crate) fn malformed(&self, misread: &Misread) -> PortError {
        PortError::Permanent(self.fault(FaultKind::Malformed, misread.to_string()))
    }

    /// A URL that an answer named, if it is on the host that was asked.
    pub(crate) fn follow(&self, named: &str) -> Result<Url, PortError> {
        same_host(named, self.url.host_str().unwrap_or_default())
            .map_err(|reason| PortError::Permanent(self.fault(FaultKind::ForeignHost, reason)))
    }
}

/// Makes calls. Shared by all clients of one [`Azure`](crate::Azure).
pub(crate) struct Caller {
    pub(crate) cloud: AzureCloud,
    pub(crate) limits: Limits,
    pub(crate) counts: count::Counts,
    pub(crate) quotas: quota::Quotas,
    transport: Arc<dyn Transport>,
    pub(crate) tokens: Tokens,
    clock: Arc<dyn Clock>,
    user_agent: HeaderValue,
}

impl Caller {
    pub(crate) fn new(
        cloud: AzureCloud,
        limits: Limits,
        transport: Arc<dyn Transport>,
        tokens: Tokens,
        clock: Arc<dyn Clock>,
        user_agent: HeaderValue,
    ) -> Self {
        let (counts, quotas) = (count::Counts::default(), quota::Quotas::default());
        Self { cloud, limits, counts, quotas, transport, tokens, clock, user_agent }
    }

    /// Reads. Repeated while it may succeed, within the limits of attempts and time.
    ///
    /// # Errors
    /// The last attempt's.
    pub(crate) async fn read(&self, call: &Call) -> Result<Answer, PortError> {
        let deadline = after(self.clock.now(), self.limits.attempts_within);
        let mut attempt = 1;
        loop {
            let fault = match self.attempt_read(call, attempt).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let PortError::Retryable { after: asked, .. } = &fault else { return Err(fault) };
            let next = after(self.clock.now(), retry::delay(attempt, *asked, jitter()));
            if attempt >= self.limits.attempts || next > deadline {
                return Err(fault);
            }
            self.clock.sleep_until(next).await;
            attempt += 1;
        }
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// As [`Self::read`], or the answer is not JSON.
    pub(crate) async fn read_json(&self, call: &Call) -> Result<serde_json::Value, PortError> {
        let answer = self.read(call).await?;
        json::parse(&answer.body).map_err(|misread| call.malformed(&misread))
    }

    /// Writes, by a PUT that is sent once. The body is JSON, or empty.
    ///
    /// # Errors
    /// Retryable and permanent where the service cannot have acted on it, ambiguous everywhere else.
    pub(crate) async fn write(&self, call: &Call, body: Zeroizing<Vec<u8>>) -> Result<Answer, PortError> {
        self.send_once(call, Method::PUT, body).await
    }

    /// Writes, by a POST that is sent once.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(crate) async fn post(&self, call: &Call, body: Zeroizing<Vec<u8>>) -> Result<Answer, PortError> {
        self.send_once(call, Method::POST, body).await
    }

    async fn send_once(
        &self,
        call: &Call,
        method: Method,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<Answer, PortError> {
        let scope = self.scope(call);
        let token = self.tokens.token(scope).await.map_err(|none| self.no_token(call, &none))?;
        let answer = self.exchange(call, method, body, &token, 1).await;
        let outcome = match answer {
            Ok(answer) if answer.status == 401 => {
                // Nothing was done. A token that had served before was refused: the next attempt takes a new one.
                let served = self.clock.now().duration_since(token.obtained) > SignedDuration::from_secs(60);
                self.tokens.forget(scope, &token);
                let fault = self.classify(call, Nature::Write, &answer, &token);
                Err(if served {
                    PortError::Retryable { fault: fault.fault().clone(), after: None }
                } else {
                    fault
                })
            }
            Ok(answer) if matches!(answer.status, 200..=202) => Ok(answer),
            Ok(answer) => Err(self.classify(call, Nature::Write, &answer, &token)),
            Err(fault) => Err(fault),
        };
        self.count(call, &outcome);
        outcome
    }

    /// A token for one audience, described.
    ///
    /// # Errors
    /// No identity gave one.
    pub(crate) async fn check_token(
        &self,
        audience: crate::Audience,
    ) -> Result<crate::TokenCheck, PortError> {
        let (scope, whom) = match audience {
            crate::Audience::ResourceManager => (&self.cloud.resource_manager_scope, "Resource Manager"),
            crate::Audience::Vault => (&self.cloud.vault_scope, "key vaults"),
        };
        match self.tokens.token(scope).await {
            Ok(token) => Ok(crate::TokenCheck { holder: token.holder.clone(), until: token.until }),
            Err(none) => Err(self.none(format!("getting a token for {whom}"), &none)),
        }
    }

    /// Reads the time that a server writes on any answer. Sent once and without a token: its refusal tells the time as
    /// well, and a wrong clock may be why there is no token.
    ///
    /// # Errors
    /// No answer came, or it has no `Date`.
    pub(crate) async fn server_time(&self, call: &Call) -> Result<ServerTime, PortError> {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, self.user_agent.clone());
        let (method, url, body) = (Method::GET, call.url.clone(), Zeroizing::default());
        let asked = self.clock.now();
        let sending = self.transport.send(Outgoing { method, url, headers, body });
        let outcome = match tokio::time::timeout(self.limits.call, sending).await {
            Ok(outcome) => outcome,
            Err(_) => Err(classify::overdue(self.limits.call)),
        };
        let answered = self.clock.now();
        let outcome = outcome.map_err(|fault| classify::transport(call, Nature::Read, fault));
        self.count(call, &outcome);
        let answer = outcome?;
        let server = answer
            .header("date")
            .and_then(|date| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date.trim()).ok())
            .ok_or_else(|| {
                PortError::Permanent(
                    call.fault(FaultKind::Malformed, "the answer has no `Date` that can be read"),
                )
            })?;
        Ok(ServerTime { asked, answered, server })
    }

    /// The clock that everything goes by.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn attempt_read(&self, call: &Call, attempt: u32) -> Result<Answer, PortError> {
        let outcome = self.exchange_read(call, attempt).await;
        self.count(call, &outcome);
        outcome
    }

    async fn exchange_read(&self, call: &Call, attempt: u32) -> Result<Answer, PortError> {
        let scope = self.scope(call);
        let mut token = self.tokens.token(scope).await.map_err(|none| self.no_token(call, &none))?;
        let mut answer = self.exchange(call, Method::GET, Zeroizing::default(), &token, attempt).await?;
        if answer.status == 401 {
            let renewed = self.tokens.instead_of(scope, &token).await;
            if let Some(renewed) = renewed.map_err(|none| self.no_token(call, &none))? {
                token = renewed;
                answer = self.exchange(call, Method::GET, Zeroizing::default(), &token, attempt).await?;
            }
        }
        if answer.is_success() { Ok(answer) } else { Err(self.classify(call, Nature::Read, &answer, &token)) }
    }

    /// One request and its answer, whatever the status.
    async fn exchange(
        &self,
        call: &Call,
        method: Method,
        body: Zeroizing<Vec<u8>>,
        token: &Token,
        attempt: u32,
    ) -> Result<Answer, PortError> {
        let nature = if method == Method::GET { Nature::Read } else { Nature::Write };
        let request_id = azure_core::Uuid::new_v4().to_string();
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, token.header.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, self.user_agent.clone());
        headers.insert("x-ms-return-client-request-id", HeaderValue::from_static("true"));
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            headers.insert("x-ms-client-request-id", value);
        }
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        } else if nature == Nature::Write {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let begun = std::time::Instant::now();
        let sending = self.transport.send(Outgoing { method, url: call.url.clone(), headers, body });
        let outcome = match tokio::time::timeout(self.limits.call, sending).await {
            Ok(outcome) => outcome,
            Err(_) => Err(classify::overdue(self.limits.call)),
        };
        let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let operation = call.operation.name();
        let host = call.url.host_str().unwrap_or_default();
        match outcome {
            Ok(answer) => {
                let status = answer.status;
                tracing::debug!(
                    operation,
                    host,
                    status,
                    attempt,
                    client_request_id = request_id,
                    duration_ms,
                    "call answered"
                );
                self.quotas.note(&call.url, &answer, self.clock.now());
                Ok(answer)
            }
            Err(fault) => {
                let kind = fault.kind;
                tracing::debug!(operation, host, %kind, attempt, client_request_id = request_id, duration_ms, "call without an answer");
                Err(classify::transport(call, nature, fault))
            }
        }
    }

    fn classify(&self, call: &Call, nature: Nature, answer: &Answer, token: &Token) -> PortError {
        let holder = &token.holder;
        let who = hint::Who {
            cloud_name: self.tokens.cloud_name(),
            object: holder.object.as_deref(),
            application: holder.application.as_deref(),
        };
        classify::status(call, nature, answer, self.clock.now(), who)
    }

    fn no_token(&self, call: &Call, none: &NoToken) -> PortError {
        self.none(call.doing.clone(), none)
    }

    fn none(&self, doing: String, none: &NoToken) -> PortError {
        let fault = PortFault {
            doing,
            kind: FaultKind::NoToken,
            status: None,
            code: None,
            message: none.to_string(),
            hint: hint::for_no_token(none, self.tokens.cloud_name()),
        };
        if none.transient { PortError::Retryable { fault, after: None } } else { PortError::Permanent(fault) }
    }

    fn scope(&self, call: &Call) -> &str {
        match call.subject {
            Subject::Objects { .. } | Subject::Object { .. } => &self.cloud.vault_scope,
            Subject::Subscription
            | Subject::Service
            | Subject::VaultResource { .. }
            | Subject::PublicAddress => &self.cloud.resource_manager_scope,
        }
    }

    fn count(&self, call: &Call, outcome: &Result<Answer, PortError>) {
        self.counts.note(call.operation, count::outcome(outcome));
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("cloud", &self.cloud.name).finish_non_exhaustive()
    }
}

fn after(time: Timestamp, wait: std::time::Duration) -> Timestamp {
    SignedDuration::try_from(wait).ok().and_then(|wait| time.checked_add(wait).ok()).unwrap_or(Timestamp::MAX)
}

/// Between 0 and 1, so that several processes do not come back at the same moment. Without entropy, the middle.
fn jitter() -> f64 {
    let mut bytes = [0_u8; 4];
    match ring::rand::SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}
