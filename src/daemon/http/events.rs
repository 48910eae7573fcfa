//! The webhook of Event Grid: `/events`.
//!
//! What is answered decides what becomes of a delivery. Event Grid repeats it for a day, except after 400, 401, 403, 404
//! and 413, after which it is dropped: those are for what would be refused for ever. `docs/events.md` has the table.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use certroll_core::event::{self, Delivery, DeliveryError, Told, VaultNotice};
use certroll_core::id::VaultName;
use certroll_core::ports::Clock;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;
use tokio::sync::watch;

use super::authentication::{Authentication, Credential, Refusal, Unproven};
use super::problem::{problem, with};
use super::vaults::{Familiarity, KnownVaults};
use crate::activation::{Activator, Reason};

/// Where deliveries go.
pub const PATH: &str = "/events";
/// What the path allows.
const METHODS: HeaderValue = HeaderValue::from_static("POST, OPTIONS");
const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");
/// While stopping or before the first look, coming back after this time finds more. Event Grid waits at least as long
/// after a 503.
const LATER: Duration = Duration::from_secs(30);

/// What the webhook works with.
pub struct Webhook {
    /// Who is believed.
    pub authentication: Authentication,
    /// The vaults that events count of.
    pub vaults: Arc<KnownVaults>,
    /// What events activate.
    pub activator: Activator,
    /// Whom CloudEvents subscriptions are consented to: names of Event Grid in its clouds.
    pub origins: Vec<String>,
    /// Largest body, in bytes.
    pub body_limit: usize,
    /// Hears of every answer.
    pub witness: Arc<dyn Witness>,
    /// When events were delivered.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("authentication", &self.authentication).finish_non_exhaustive()
    }
}

/// Hears of every answer, for metrics and logs. Called while the client waits.
pub trait Witness: Send + Sync {
    /// A request was answered.
    fn answered(&self, answer: &Answered);
}

/// An answer, as far as it is worth counting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// What was answered, and why.
    pub outcome: Outcome,
    /// By what the request was believed; none where it was not, or where it did not matter.
    pub credential: Option<Credential>,
    /// Vaults whose look was activated.
    pub vaults: BTreeSet<VaultName>,
    /// Events of known vaults.
    pub events: usize,
    /// Events of other vaults or of other types.
    pub ignored: usize,
}

/// What was answered, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 200: a look is due.
    Activated,
    /// 200: no event was of a known vault.
    Ignored,
    /// 200: the endpoint wants the subscription.
    Consented,
    /// 200: the subscription was deleted.
    Unsubscribed,
    /// 200: what the path allows, without consent, since nobody asked for it.
    Told,
    /// 403: the endpoint does not want the subscription. No delivery is lost: there are none yet.
    ConsentRefused,
    /// 401 or 403: the credentials are wrong.
    Refused(Refusal),
    /// 503: the issuer's keys are not available.
    Undecided,
    /// 503: the services have not been read since the start, and one of them may reference the vault.
    NotReady,
    /// 503: the process is stopping.
    Stopping,
    /// 413: the body is larger than the limit.
    TooLarge,
    /// 400: it can never be understood.
    Malformed,
    /// 400: the body broke off. The client is gone, most likely.
    Broken,
    /// 405: another method.
    Method,
    /// 503: another path.
    Elsewhere,
}

impl Outcome {
    /// The status.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Activated | Self::Ignored | Self::Consented | Self::Unsubscribed | Self::Told => {
                StatusCode::OK
            }
            Self::Malformed | Self::Broken => StatusCode::BAD_REQUEST,
            Self::Refused(refusal) if !refusal.is_forbidden() => StatusCode::UNAUTHORIZED,
            Self::Refused(_) | Self::ConsentRefused => StatusCode::FORBIDDEN,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Undecided | Self::NotReady | Self::Stopping | Self::Elsewhere => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// The word in logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Activated => "activated",
            Self::Ignored => "ignored",
            Self::Consented => "consented",
            Self::Unsubscribed => "unsubscribed",
            Self::Told => "told",
            Self::ConsentRefused => "consent_refused",
            Self::Refused(_) => "refused",
            Self::Undecided => "undecided",
            Self::NotReady => "not_ready",
            Self::Stopping => "stopping",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Broken => "broken",
            Self::Method => "method",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// Serves the webhook. Other paths are answered with 503: a delivery that a proxy has sent astray is repeated until the
/// proxy is mended, where 404 would end it.
///
/// Each request is answered by the webhook that is the current one when it comes, so that another configuration needs no
/// other socket.
pub fn router(webhooks: watch::Receiver<Arc<Webhook>>) -> Router {
    Router::new()
        .route(PATH, any(answer))
        .route(&format!("{PATH}/"), any(answer))
        .fallback(elsewhere)
        .with_state(webhooks)
}

/// An answer on its way.
struct Reply {
    answered: Answered,
    response: Response,
}

impl Reply {
    /// With a text where the status is no success.
    fn new(outcome: Outcome, detail: &str) -> Self {
        let status = outcome.status();
        let response =
            if status.is_success() { Response::new(Body::empty()) } else { problem(status, detail) };
        let answered = Answered { outcome, credential: None, vaults: BTreeSet::new(), events: 0, ignored: 0 };
        Self { answered, response }
    }

    fn later(outcome: Outcome, detail: &str, after: Duration) -> Self {
        // Rounded up, so that whoever comes back does not come too early.
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        Self::new(outcome, detail).header(RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.response.headers_mut().insert(name, value);
        self
    }
}

async fn answer(State(webhooks): State<watch::Receiver<Arc<Webhook>>>, request: Request) -> Response {
    let webhook = Arc::clone(&webhooks.borrow());
    let method = request.method().clone();
    let reply = webhook.answer(request).await;
    webhook.witness(&method, reply)
}

async fn elsewhere(State(webhooks): State<watch::Receiver<Arc<Webhook>>>, request: Request) -> Response {
    let webhook = Arc::clone(&webhooks.borrow());
    let reply = Reply::new(Outcome::Elsewhere, "nothing is served here; events are delivered to `/events`");
    webhook.witness(request.method(), reply)
}

impl Webhook {
    fn witness(&self, method: &Method, reply: Reply) -> Response {
        let Reply { answered, response } = reply;
        // Neither path nor query: both are the client's, and the query may hold a secret.
        tracing::debug!(
            method = %method,
            status = answered.outcome.status().as_u16(),
            outcome = answered.outcome.word(),
            reason = match answered.outcome { Outcome::Refused(refusal) => Some(refusal.word()), _ => None },
            credential = answered.credential.map(Credential::word),
            vaults = answered.vaults.len(),
            events = answered.events,
            ignored = answered.ignored,
            "request answered"
        );
        self.witness.answered(&answered);
        response
    }

    async fn answer(&self, request: Request) -> Reply {
        let (head, body) = request.into_parts();
        if head.method != Method::POST && head.method != Method::OPTIONS {
            return Reply::new(Outcome::Method, "events are delivered with POST").header(ALLOW, METHODS);
        }
        let credential = match self.authentication.judge(&head).await {
            Ok(credential) => credential,
            Err(unproven) => return self.unproven(unproven),
        };
        let mut reply = if head.method == Method::OPTIONS {
            self.consent(&head.headers)
        } else {
            match self.read(body).await {
                Ok(body) => self.delivery(&head, &body),
                Err(reply) => reply,
            }
        };
        reply.answered.credential = Some(credential);
        reply
    }

    fn unproven(&self, unproven: Unproven) -> Reply {
        match unproven {
            Unproven::Undecided { retry_after } => {
                Reply::later(Outcome::Undecided, "the token cannot be judged now", retry_after)
            }
            Unproven::Refused(refusal) => {
                let reply = Reply::new(Outcome::Refused(refusal), &refusal.to_string());
                // RFC 9110 wants 401 to say what would do; only tokens have a scheme.
                if self.authentication.entra.is_some() && !refusal.is_forbidden() {
                    return reply.header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                }
                reply
            }
        }
    }

    /// Reads a body within the limit.
    async fn read(&self, body: Body) -> Result<Bytes, Reply> {
        let too_large = || {
            let detail = format!("the body is larger than {} bytes", self.body_limit);
            Reply::new(Outcome::TooLarge, &detail)
        };
        if hyper::body::Body::size_hint(&body).lower() > self.body_limit as u64 {
            return Err(too_large());
        }
        match Limited::new(body, self.body_limit).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
            Err(_) => Err(Reply::new(Outcome::Broken, "the body broke off")),
        }
    }

    /// The handshake of CloudEvents. It names no vault: consent is to the one who asks, in the configured cloud.
    fn consent(&self, headers: &HeaderMap) -> Reply {
        let Some(origin) = headers.get(REQUEST_ORIGIN) else {
            return Reply::new(Outcome::Told, "").header(ALLOW, METHODS);
        };
        let known = |text: &str| self.origins.iter().any(|known| known.eq_ignore_ascii_case(text.trim()));
        if !origin.to_str().is_ok_and(known) {
            let detail = "the origin is not the Event Grid of the configured cloud";
            return Reply::new(Outcome::ConsentRefused, detail).header(ALLOW, METHODS);
        }
        // A burst of events costs one look, so no rate has to be asked for.
        Reply::new(Outcome::Consented, "")
            .header(ALLOW, METHODS)
            .header(ALLOWED_ORIGIN, origin.clone())
            .header(ALLOWED_RATE, HeaderValue::from_static("*"))
    }

    fn delivery(&self, head: &Parts, body: &[u8]) -> Reply {
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        match event::read(&Delivery { header: &header, body }) {
            Ok(Told::Events { notices, ignored }) => self.events(&notices, ignored),
            Ok(Told::Validation { code, vault }) => self.validation(&code, vault.as_ref()),
            Ok(Told::Unsubscribed) => Reply::new(Outcome::Unsubscribed, ""),
            Err(
                error @ (DeliveryError::NotJson { .. }
                | DeliveryError::NotAnEvent { .. }
                | DeliveryError::TooMany { .. }),
            ) => Reply::new(Outcome::Malformed, &error.to_string()),
        }
    }

    /// The handshake of the Event Grid schema.
    fn validation(&self, code: &str, vault: Option<&VaultName>) -> Reply {
        match vault.map(|vault| self.vaults.familiarity(vault)) {
            Some(Familiarity::Known) => {
                let mut reply = Reply::new(Outcome::Consented, "");
                let body = Body::from(json!({ "validationResponse": code }).to_string());
                let json = HeaderValue::from_static("application/json; charset=utf-8");
                reply.response = with(StatusCode::OK, CONTENT_TYPE, json, body);
                reply
            }
            Some(Familiarity::NotYetTold) => self.not_ready(),
            Some(Familiarity::Unknown) => {
                Reply::new(Outcome::ConsentRefused, "the subscription is of a vault that is not looked at")
            }
            None => Reply::new(Outcome::ConsentRefused, "the subscription is not of a key vault"),
        }
    }

    fn not_ready(&self) -> Reply {
        Reply::later(Outcome::NotReady, "the services have not been read yet", LATER)
    }

    fn events(&self, notices: &[VaultNotice], mut ignored: usize) -> Reply {
        let now = self.clock.now();
        let (mut known, mut events, mut waits) = (BTreeSet::new(), 0, false);
        for notice in notices {
            match self.vaults.familiarity(&notice.vault) {
                Familiarity::Known => {
                    events += 1;
                    known.insert(notice.vault.clone());
                }
                Familiarity::Unknown => ignored += 1,
                Familiarity::NotYetTold => waits = true,
            }
        }
        for vault in &known {
            // Heard of in any case: that events arrive does not depend on what comes of them.
            self.vaults.heard(vault, now);
            if self.activator.activate(Reason::Event { vault: vault.clone() }).is_err() {
                return Reply::later(Outcome::Stopping, "certroll is stopping", LATER);
            }
        }
        // Event Grid takes an answer for the whole batch: all of it comes again, and what was activated costs nothing.
        let mut reply = match (waits, known.is_empty()) {
            (true, _) => self.not_ready(),
            (false, true) => Reply::new(Outcome::Ignored, ""),
            (false, false) => Reply::new(Outcome::Activated, ""),
        };
        (reply.answered.events, reply.answered.ignored) = (events, ignored);
        reply.answered.vaults = known;
        reply
    }
}
