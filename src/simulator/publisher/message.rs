//! The requests to an endpoint, written out.

use jiff::Timestamp;
use serde_json::Value;

use super::delivery::Queued;
use super::event::{DATA_VERSION, METADATA_VERSION};
use super::subscription::{Batching, Schema, SubscriptionRequest};
use super::switches::{SubscriptionName, Switches};
use super::wire::Message;
use crate::entra::Entra;

/// Parts what is due into requests.
pub(super) fn batches(
    due: Vec<Queued>,
    request: &SubscriptionRequest,
    switches: &Switches,
) -> Vec<Vec<Queued>> {
    let Some(Batching { max_events, preferred_kilobytes }) = request.batching else {
        return due.into_iter().map(|queued| vec![queued]).collect();
    };
    let mut batches: Vec<Vec<Queued>> = Vec::new();
    let mut filled = 0;
    for queued in due {
        let size = queued.event.written(request.schema, switches).to_string().len();
        match batches.last_mut() {
            Some(last) if last.len() < max_events && filled + size <= preferred_kilobytes * 1024 => {
                filled += size;
                last.push(queued);
            }
            _ => {
                filled = size;
                batches.push(vec![queued]);
            }
        }
    }
    batches
}

/// The request that delivers a batch.
pub(super) fn notification(
    request: &SubscriptionRequest,
    batch: &[Queued],
    switches: &Switches,
    origin: &str,
    entra: &mut Entra,
    now: Timestamp,
) -> Message {
    let written = batch.iter().map(|queued| queued.event.written(request.schema, switches));
    let (body, kind) = match (request.schema, request.batching) {
        (Schema::EventGrid, _) => (written.collect::<Value>(), "application/json; charset=utf-8"),
        (Schema::CloudEvents, None) => {
            (written.take(1).next().unwrap_or_default(), "application/cloudevents+json; charset=utf-8")
        }
        (Schema::CloudEvents, Some(_)) => {
            (written.collect::<Value>(), "application/cloudevents-batch+json; charset=utf-8")
        }
    };
    let mut message = to_endpoint(request, "POST", "Notification", switches);
    message.body = body.to_string().into_bytes();
    message.header("content-type", kind);
    let first = batch.first();
    message.header("aeg-delivery-count", &first.map_or(0, |queued| queued.attempts).to_string());
    message.header("aeg-metadata-version", METADATA_VERSION);
    match request.schema {
        Schema::EventGrid => message.header("aeg-data-version", DATA_VERSION),
        Schema::CloudEvents => {
            message.header("origin", origin);
            message.header("webhook-request-origin", origin);
        }
    }
    if let Some(first) = first {
        message.header("aeg-output-event-id", &first.event.id);
    }
    with_credentials(message, request, entra, now)
}

/// A request to an endpoint with what all requests of Event Grid have.
pub(super) fn to_endpoint(
    request: &SubscriptionRequest,
    method: &'static str,
    event_type: &str,
    switches: &Switches,
) -> Message {
    let mut message = Message::new(method, request.endpoint.clone(), request.address());
    let name = match switches.subscription_name {
        SubscriptionName::UpperCase => request.name.to_ascii_uppercase(),
        SubscriptionName::AsGiven => request.name.clone(),
    };
    message.header("aeg-event-type", event_type);
    message.header("aeg-subscription-name", &name);
    message
}

/// The same with the subscription's own headers and its token.
pub(super) fn with_credentials(
    mut message: Message,
    request: &SubscriptionRequest,
    entra: &mut Entra,
    now: Timestamp,
) -> Message {
    for (name, value) in &request.headers {
        message.header(name, value);
    }
    if let Some(token) = &request.token {
        let token = entra.delivery_token(token, now);
        message.header("authorization", &format!("Bearer {token}"));
    }
    message
}
