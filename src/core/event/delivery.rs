//! One delivery: what its headers and its body amount to.

use serde_json::Value;
use thiserror::Error;

use super::fields::Fields;
use super::notice::{Envelope, VaultNotice, vault_of_topic};
use crate::id::VaultName;

/// Events of one delivery: the most that Event Grid puts into a batch.
pub const EVENTS: usize = 5000;

/// Longest validation code that is answered with, in bytes: it is a GUID, and nobody else's text is to be echoed.
const CODE: usize = 256;

/// A request of Event Grid, without what carried it.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// The value of a header, by its name in lower case.
    pub header: &'a dyn Fn(&str) -> Option<&'a str>,
    /// The body. Its size was limited where it was read.
    pub body: &'a [u8],
}

/// What a delivery amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Event Grid wants to know whether the endpoint wants a subscription (Event Grid schema).
    Validation {
        /// What is to be answered with.
        code: String,
        /// The vault that the subscription is of, where its topic is one.
        vault: Option<VaultName>,
    },
    /// Events.
    Events {
        /// Those that are hints to look at a vault.
        notices: Vec<VaultNotice>,
        /// How many were of another type, or named no vault.
        ignored: usize,
    },
    /// The subscription was deleted.
    Unsubscribed,
}

/// Why a delivery can never be understood, however often it is repeated.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DeliveryError {
    /// No JSON.
    #[error("the body is no JSON, at line {line}, column {column}; expected an event or an array of events")]
    NotJson {
        /// Line of the body, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// JSON, and no event.
    #[error("{place} is {found}; expected an event, which is an object")]
    NotAnEvent {
        /// Which part of the body.
        place: String,
        /// What it is.
        found: &'static str,
    },
    /// More than a batch may hold.
    #[error("the body has {found} events; expected at most {EVENTS}")]
    TooMany {
        /// How many.
        found: usize,
    },
}

/// Reads a delivery.
///
/// # Errors
/// It can never be understood. What is merely of no interest is no error.
pub fn read(delivery: &Delivery<'_>) -> Result<Told, DeliveryError> {
    let header = |name: &str| (delivery.header)(name).map(str::trim).filter(|value| !value.is_empty());
    let of_type =
        |wanted: &str| header("aeg-event-type").is_some_and(|found| found.eq_ignore_ascii_case(wanted));
    if of_type("SubscriptionDeletion") || of_type("Unsubscribe") {
        return Ok(Told::Unsubscribed);
    }
    // Binary mode: the attributes are headers, the body is the data. What calls itself structured or a batch is not in
    // that mode, whatever headers it has besides (CloudEvents HTTP binding, 3).
    let structured = header("content-type").is_some_and(is_structured);
    if let (false, Some(_), Some(event_type)) = (structured, header("ce-specversion"), header("ce-type")) {
        let data = if delivery.body.is_empty() { Value::Null } else { json(delivery.body)? };
        let envelope = Envelope {
            event_type,
            source: header("ce-source"),
            subject: header("ce-subject"),
            time: header("ce-time"),
            data: Some(&data),
        };
        let notices: Vec<VaultNotice> = envelope.notice().into_iter().collect();
        let ignored = 1 - notices.len();
        return Ok(Told::Events { notices, ignored });
    }
    let body = json(delivery.body)?;
    let events = match &body {
        Value::Array(events) => events.as_slice(),
        event => std::slice::from_ref(event),
    };
    if events.len() > EVENTS {
        return Err(DeliveryError::TooMany { found: events.len() });
    }
    // The handshake comes alone. Within a batch it would let one event hide what the others say.
    if let [event] = events
        && let Some(validation) = Fields::of(event).and_then(validation)
    {
        return Ok(validation);
    }
    let mut notices = Vec::new();
    let mut ignored = 0;
    for (number, event) in events.iter().enumerate() {
        let Some(fields) = Fields::of(event) else {
            let place = if body.is_array() { format!("event {}", number + 1) } else { "the body".to_owned() };
            return Err(DeliveryError::NotAnEvent { place, found: word(event) });
        };
        match envelope(fields).and_then(|envelope| envelope.notice()) {
            Some(notice) => notices.push(notice),
            None => ignored += 1,
        }
    }
    Ok(Told::Events { notices, ignored })
}

fn json(body: &[u8]) -> Result<Value, DeliveryError> {
    serde_json::from_slice(body)
        .map_err(|error| DeliveryError::NotJson { line: error.line(), column: error.column() })
}

/// `application/cloudevents+json`, `application/cloudevents-batch+json`.
fn is_structured(content_type: &str) -> bool {
    const PREFIX: &str = "application/cloudevents";
    content_type.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// An event of either schema: `eventType` and `topic`, or `type` and `source`.
fn envelope(fields: Fields<'_>) -> Option<Envelope<'_>> {
    let either = |one: &str, other: &str| fields.text(one).or_else(|| fields.text(other));
    Some(Envelope {
        event_type: either("eventType", "type")?,
        source: either("topic", "source"),
        subject: fields.text("subject"),
        time: either("eventTime", "time"),
        data: fields.value("data"),
    })
}

/// The handshake of the Event Grid schema, by its event type: a proxy may have lost the header.
fn validation(fields: Fields<'_>) -> Option<Told> {
    let event_type = fields.text("eventType")?;
    if !event_type.eq_ignore_ascii_case("Microsoft.EventGrid.SubscriptionValidationEvent") {
        return None;
    }
    let data = fields.value("data")?;
    let unpacked = data.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let code = Fields::of(unpacked.as_ref().unwrap_or(data))?.text("validationCode")?.to_owned();
    if code.len() > CODE {
        return None;
    }
    Some(Told::Validation { code, vault: vault_of_topic(fields.text("topic")) })
}

fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
