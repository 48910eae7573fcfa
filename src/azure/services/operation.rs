//! Where a long-running operation stands.
//!
//! Sources: Microsoft's guide to asynchronous Resource Manager operations; recorded polls of `CsOperations`; a reported
//! failure of a relative of cloud services whose real code stands in `error.details`. No recording of a failed
//! operation of a cloud service is known, so every shape is read.

use certroll_core::ports::{PortError, PortFault};
use certroll_core::target::cloud_service::{OperationFailure, OperationHandle, OperationStatus};
use jiff::Timestamp;
use serde_json::Value;

use crate::call::{Call, Caller, Node, parse, retry_after};
use crate::transport::Answer;
use crate::words::printable;

/// Looks once.
pub(super) async fn status(
    caller: &Caller,
    call: &Call,
    handle: &OperationHandle,
) -> Result<OperationStatus, PortError> {
    match (caller.read(call).await, handle) {
        (Ok(answer), OperationHandle::AsyncOperation(_)) => by_status(call, &answer, caller.now()),
        (Ok(answer), OperationHandle::Location(_)) => by_location(call, &answer, caller.now()),
        (Ok(answer), OperationHandle::ProvisioningState) => by_resource(call, &answer, caller.now()),
        // The location's final answer is the operation's own: a refusal there is how it ended. What is refused for
        // other reasons (a token, a permission, an expired URL) says nothing of it.
        (Err(PortError::Permanent(fault)), OperationHandle::Location(_))
            if matches!(fault.status, Some(400 | 405..=407 | 411..=428)) =>
        {
            Ok(OperationStatus::Failed(failure_of_fault(fault)))
        }
        (Err(fault), _) => Err(fault),
    }
}

/// `Azure-AsyncOperation`: the body's `status` decides.
fn by_status(call: &Call, answer: &Answer, now: Timestamp) -> Result<OperationStatus, PortError> {
    if answer.status == 202 && answer.body.is_empty() {
        return Ok(in_progress(answer, now));
    }
    let body = parse(&answer.body).map_err(|misread| call.malformed(&misread))?;
    let root = Node::root(&body);
    let word = match word(&body) {
        Some(word) => word,
        None => root
            .required("status", "the operation's status")
            .and_then(|status| status.text())
            .map_err(|misread| call.malformed(&misread))?,
    };
    Ok(judged(word, &body, answer, now))
}

/// `Location`: 202 until the end. A body of the end may still tell of a failure.
fn by_location(call: &Call, answer: &Answer, now: Timestamp) -> Result<OperationStatus, PortError> {
    if answer.status == 202 {
        return Ok(in_progress(answer, now));
    }
    if answer.body.trim_ascii().is_empty() {
        return Ok(OperationStatus::Succeeded);
    }
    let body = parse(&answer.body).map_err(|misread| call.malformed(&misread))?;
    Ok(match word(&body) {
        Some(word) => judged(word, &body, answer, now),
        None if body.get("error").is_some_and(|error| !error.is_null()) => {
            OperationStatus::Failed(failure(&body, "Failed"))
        }
        None => OperationStatus::Succeeded,
    })
}

/// The resource itself: `provisioningState` decides; one that is absent is over.
fn by_resource(call: &Call, answer: &Answer, now: Timestamp) -> Result<OperationStatus, PortError> {
    let body = parse(&answer.body).map_err(|misread| call.malformed(&misread))?;
    let properties =
        Node::root(&body).required("properties", "an object").map_err(|misread| call.malformed(&misread))?;
    let state = properties.text_of("provisioningState").map_err(|misread| call.malformed(&misread))?;
    Ok(state.map_or(OperationStatus::Succeeded, |state| judged(state, &body, answer, now)))
}

/// The status word of a body, wherever it stands.
fn word(body: &Value) -> Option<&str> {
    body.get("status")
        .or_else(|| body.get("properties")?.get("status"))
        .or_else(|| body.get("properties")?.get("provisioningState"))
        .and_then(Value::as_str)
}

/// Terminal words end it; every other word means that it runs.
fn judged(word: &str, body: &Value, answer: &Answer, now: Timestamp) -> OperationStatus {
    match word.to_ascii_lowercase().as_str() {
        "succeeded" => OperationStatus::Succeeded,
        "failed" | "canceled" | "cancelled" => OperationStatus::Failed(failure(body, word)),
        _ => in_progress(answer, now),
    }
}

fn in_progress(answer: &Answer, now: Timestamp) -> OperationStatus {
    OperationStatus::InProgress { retry_after: retry_after(answer, now) }
}

/// How deep details of details are searched: the deepest known has two levels.
const DEEPEST: usize = 8;

/// Why, from the deepest of the first details: what wraps it (`ResourceDeploymentFailure`) says only that it failed.
fn failure(body: &Value, word: &str) -> OperationFailure {
    let outer =
        body.get("error").or_else(|| body.get("properties")?.get("error")).filter(|error| !error.is_null());
    let mut code = None;
    let mut message = None;
    let mut error = outer;
    for _ in 0..DEEPEST {
        let Some(here) = error else { break };
        if let Some(text) = here.as_str() {
            message = Some(text);
            break;
        }
        let text = |name: &str| here.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(found) = text("code") {
            code = Some(found);
            message = text("message").or(message);
        } else {
            message = message.or(text("message"));
        }
        error = here.get("details").and_then(Value::as_array).and_then(|details| {
            details.iter().find(|detail| detail.get("code").is_some()).or(details.first())
        });
    }
    OperationFailure {
        code: printable(code.unwrap_or(word)),
        message: message.map_or_else(|| "the service gave no reason".to_owned(), printable),
    }
}

fn failure_of_fault(fault: PortFault) -> OperationFailure {
    let code = fault.code.unwrap_or_default();
    let code = code.rsplit('/').next().unwrap_or_default();
    OperationFailure {
        code: if code.is_empty() { "Failed".to_owned() } else { code.to_owned() },
        message: fault.message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Operation, Subject};
    use reqwest::header::{HeaderMap, HeaderValue};
    use std::time::Duration;

    fn call() -> Call {
        Call {
            operation: Operation::OperationPoll,
            doing: "following".to_owned(),
            url: "https://management.azure.com/x".parse().unwrap(),
            subject: Subject::Service,
        }
    }

    fn answer(status: u16, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static("3"));
        Answer { status, headers, body: body.as_bytes().to_vec().into() }
    }

    fn shown(status: Result<OperationStatus, PortError>) -> String {
        match status {
            Ok(OperationStatus::Succeeded) => "succeeded".to_owned(),
            Ok(OperationStatus::InProgress { retry_after }) => {
                assert_eq!(retry_after, Some(Duration::from_secs(3)));
                "in progress".to_owned()
            }
            Ok(OperationStatus::Failed(failure)) => failure.to_string(),
            Err(fault) => fault.kind().to_string(),
        }
    }

    #[test]
    fn words_of_an_operation() {
        const WRAPPED: &str = r#"{"status":"Failed","error":{"code":"ResourceDeploymentFailure","message":"terminal state",
            "details":[{"code":"CertificateImproperlyFormatted","message":"not a PFX"}]}}"#;
        for (body, expected) in [
            (r#"{"status":"InProgress"}"#, "in progress"),
            (r#"{"status":"Updating"}"#, "in progress"),
            (r#"{"status":"succeeded"}"#, "succeeded"),
            (r#"{"properties":{"status":"SUCCEEDED"}}"#, "succeeded"),
            (r#"{"status":"Cancelled"}"#, "Cancelled: the service gave no reason"),
            (r#"{"status":"canceled","error":null}"#, "canceled: the service gave no reason"),
            (r#"{"status":"Failed","error":"why"}"#, "Failed: why"),
            (r#"{"status":"Failed","error":{"code":"A","message":"b","details":[]}}"#, "A: b"),
            (
                r#"{"status":"Failed","error":{"message":"b","details":[{"message":"c"},{"code":"D"}]}}"#,
                "D: b",
            ),
            (r#"{"status":"Failed","properties":{"error":{"code":"A","message":"b"}}}"#, "A: b"),
            (WRAPPED, "CertificateImproperlyFormatted: not a PFX"),
            ("{}", "the answer is not understood"),
            (r#"{"status":7}"#, "the answer is not understood"),
            ("", "the answer is not understood"),
            ("[", "the answer is not understood"),
        ] {
            assert_eq!(
                shown(by_status(&call(), &answer(200, body), Timestamp::UNIX_EPOCH)),
                expected,
                "{body}"
            );
        }
    }

    #[test]
    fn ends_of_a_location() {
        for (status, body, expected) in [
            (202, "", "in progress"),
            (202, r#"{"status":"Succeeded"}"#, "in progress"),
            (200, "", "succeeded"),
            (204, "", "succeeded"),
            (200, r#"{"name":"shop","properties":{"provisioningState":"Succeeded"}}"#, "succeeded"),
            (200, r#"{"properties":{"provisioningState":"Failed"}}"#, "Failed: the service gave no reason"),
            (200, r#"{"error":{"code":"A","message":"b"}}"#, "A: b"),
            (200, r#"{"value":[]}"#, "succeeded"),
        ] {
            let found = shown(by_location(&call(), &answer(status, body), Timestamp::UNIX_EPOCH));
            assert_eq!(found, expected, "{status} {body}");
        }
    }

    #[test]
    fn states_of_the_resource() {
        for (body, expected) in [
            (r#"{"properties":{"provisioningState":"Updating"}}"#, "in progress"),
            (r#"{"properties":{"provisioningState":"Succeeded"}}"#, "succeeded"),
            (r#"{"properties":{"provisioningState":"Failed"}}"#, "Failed: the service gave no reason"),
            (r#"{"properties":{}}"#, "succeeded"),
            (r#"{}"#, "the answer is not understood"),
        ] {
            assert_eq!(
                shown(by_resource(&call(), &answer(200, body), Timestamp::UNIX_EPOCH)),
                expected,
                "{body}"
            );
        }
    }
}
