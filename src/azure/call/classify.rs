//! From an answer, or its absence, to what may be done next.
//!
//! Sources: Key Vault's page of REST error codes and recorded answers (inner codes of 403), Resource Manager's error
//! format and its page on throttling, recorded failures of cloud services.

use std::time::Duration;

use certroll_core::ports::{FaultKind, PortError, PortFault};
use jiff::Timestamp;
use serde_json::Value;

use super::hint::{self, Who};
use super::json;
use super::{Call, Subject, retry_after};
use crate::transport::{Answer, Sent, TransportFault};
use crate::words::printable;

/// Whether a call can change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    /// It cannot: repeating it is harmless.
    Read,
    /// It can.
    Write,
}

/// What a service's error says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) code: Option<String>,
    pub(crate) inner: Option<String>,
    pub(crate) message: String,
}

impl Said {
    /// Reads `{"error": {"code", "message", "target", "details", "innererror"}}`, with or without its outer frame.
    pub(crate) fn of_body(body: &[u8]) -> Self {
        match json::parse(body) {
            Ok(value) => Self::of_error(value.get("error").unwrap_or(&value)),
            Err(misread) if body.is_empty() => Self { message: misread.found, ..Self::default() },
            Err(misread) => Self {
                message: format!("the answer is {} instead of JSON", misread.found),
                ..Self::default()
            },
        }
    }

    /// Reads the error itself. A text stands for its message.
    pub(crate) fn of_error(error: &Value) -> Self {
        if let Value::String(text) = error {
            return Self { message: printable(text), ..Self::default() };
        }
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(printable);
        let detail = error.get("details").and_then(Value::as_array).and_then(|details| details.first());
        let inner = ["innererror", "innerError"]
            .iter()
            .find_map(|name| error.get(name).and_then(|inner| text(inner, "code")))
            .or_else(|| detail.and_then(|detail| text(detail, "code")));
        let mut message = text(error, "message").unwrap_or_default();
        if let Some(more) = detail.and_then(|detail| text(detail, "message")).filter(|more| *more != message)
        {
            message = if message.is_empty() { more } else { format!("{message} {more}") };
        }
        if let Some(target) = text(error, "target").filter(|target| !target.is_empty()) {
            message.push_str(&format!(" (target `{target}`)"));
        }
        Self {
            code: text(error, "code").filter(|code| !code.is_empty()),
            inner,
            message: printable(&message),
        }
    }

    fn codes(&self) -> Option<String> {
        match (&self.code, &self.inner) {
            (Some(code), Some(inner)) if code != inner => Some(format!("{code}/{inner}")),
            (Some(code), _) | (None, Some(code)) => Some(code.clone()),
            (None, None) => None,
        }
    }

    pub(crate) fn has_code(&self, wanted: &str) -> bool {
        [&self.code, &self.inner].into_iter().flatten().any(|code| code.eq_ignore_ascii_case(wanted))
    }
}

/// No answer in the time that the caller allows.
pub(crate) fn overdue(limit: Duration) -> TransportFault {
    let message = format!("no answer within {} s", limit.as_secs());
    TransportFault::new(FaultKind::TimedOut, Sent::Perhaps, message)
}

/// A fault of the transport.
pub(crate) fn transport(call: &Call, nature: Nature, fault: TransportFault) -> PortError {
    let TransportFault { kind, sent, message } = fault;
    let mut told = call.fault(kind, message);
    told.hint = hint::for_transport(call, kind, &told.message);
    let passes = matches!(kind, FaultKind::Unreachable | FaultKind::TimedOut);
    match (nature, sent, passes) {
        (Nature::Write, Sent::Perhaps, _) => PortError::Ambiguous(told),
        (_, _, true) => PortError::Retryable { fault: told, after: None },
        (_, _, false) => PortError::Permanent(told),
    }
}

/// An answer whose status is not the one that was hoped for.
pub(crate) fn status(
    call: &Call,
    nature: Nature,
    answer: &Answer,
    now: Timestamp,
    who: Who<'_>,
) -> PortError {
    let mut said = Said::of_body(&answer.body);
    if let Some(audience) = asked_audience(answer) {
        said.message =
            format!("{} (it asks for a token for `{audience}`)", said.message).trim_start().to_owned();
    }
    let kind = kind(call, answer.status, &said);
    let fault = PortFault {
        doing: call.doing.clone(),
        kind,
        status: Some(answer.status),
        code: said.codes(),
        hint: hint::for_answer(call, kind, &said, who),
        message: said.message,
    };
    let after = retry_after(answer, now);
    match kind {
        FaultKind::Throttled | FaultKind::Conflict => PortError::Retryable { fault, after },
        // The service did not say what became of the request.
        FaultKind::ServiceFault | FaultKind::TimedOut | FaultKind::Unreachable => match nature {
            Nature::Read => PortError::Retryable { fault, after },
            Nature::Write => PortError::Ambiguous(fault),
        },
        // For a write that is another success than those documented.
        FaultKind::Malformed if nature == Nature::Write && answer.is_success() => PortError::Ambiguous(fault),
        FaultKind::NoToken
        | FaultKind::Unauthorized
        | FaultKind::Forbidden
        | FaultKind::Firewall
        | FaultKind::Disabled
        | FaultKind::NotFound
        | FaultKind::Refused
        | FaultKind::Malformed
        | FaultKind::ForeignHost => PortError::Permanent(fault),
    }
}

/// For whom a 401 wants a token (`resource` or `scope` of its challenge): tells a vault of another cloud at once. It is
/// shown and never followed; the configured cloud's scope is the only one that is ever asked for.
fn asked_audience(answer: &Answer) -> Option<String> {
    let challenge = answer.header("www-authenticate").filter(|_| answer.status == 401)?;
    let value = ["resource=", "scope="].iter().find_map(|name| challenge.split(name).nth(1))?;
    let value = value.trim_start_matches('"').split(['"', ',', ' ']).next()?;
    let plain = !value.is_empty() && value.len() <= 100 && value.chars().all(|c| c.is_ascii_graphic());
    plain.then(|| printable(value))
}

/// Conflicts that waiting does not end.
const LASTING_CONFLICTS: [&str; 4] =
    ["ScopeLocked", "PropertyChangeNotAllowed", "ObjectIsDeletedButRecoverable", "NameConflict"];

fn kind(call: &Call, status: u16, said: &Said) -> FaultKind {
    match status {
        401 => FaultKind::Unauthorized,
        403 => forbidden(call, said),
        404 | 410 => FaultKind::NotFound,
        408 => FaultKind::TimedOut,
        // A lock, a property that cannot change and a name that is taken stay until somebody acts; any other conflict
        // ends by itself.
        409 if LASTING_CONFLICTS.iter().any(|code| said.has_code(code)) => FaultKind::Refused,
        409 => FaultKind::Conflict,
        429 => FaultKind::Throttled,
        400..=499 => FaultKind::Refused,
        500..=599 => FaultKind::ServiceFault,
        // Redirects are not followed, and other successes are not documented.
        _ => FaultKind::Malformed,
    }
}

/// What a 403 means. For a vault it may be a state of the data: a disabled version, or one outside its validity.
fn forbidden(call: &Call, said: &Said) -> FaultKind {
    match call.subject {
        Subject::Objects { .. } | Subject::Object { .. } => {}
        Subject::Subscription | Subject::Service | Subject::VaultResource { .. } | Subject::PublicAddress => {
            return if said.has_code("RequestDisallowedByPolicy") {
                FaultKind::Refused
            } else {
                FaultKind::Forbidden
            };
        }
    }
    let inner = said.inner.as_deref().unwrap_or_default().to_ascii_lowercase();
    let message = said.message.to_ascii_lowercase();
    let state = ["disabled", "expired", "notyetvalid", "notyetactive", "notactive"];
    let words = ["on a disabled", "on an expired", "not yet valid", "not-yet-valid", "before its activation"];
    let wall = ["client address is not authorized", "public network access is disabled"];
    if inner.starts_with("forbiddenbyfirewall")
        || inner.contains("perimeter")
        || wall.iter().any(|text| message.contains(text))
    {
        FaultKind::Firewall
    } else if !inner.starts_with("forbiddenby")
        && (state.iter().any(|end| inner.ends_with(end)) || words.iter().any(|text| message.contains(text)))
    {
        FaultKind::Disabled
    } else {
        FaultKind::Forbidden
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Operation;
    use certroll_core::id::ObjectKind;
    use reqwest::header::{HeaderMap, HeaderValue};
    use serde_json::json;

    const WHO: Who<'static> = Who { cloud_name: "china", object: Some("0b7e"), application: None };

    fn vault_call() -> Call {
        Call {
            operation: Operation::VaultSecret,
            doing: "reading vault secret `shop-kv/secrets/shop-tls`".to_owned(),
            url: "https://shop-kv.vault.azure.cn/secrets/shop-tls".parse().unwrap(),
            subject: Subject::Object { vault: "shop-kv".parse().unwrap(), kind: ObjectKind::Secret },
        }
    }

    fn service_call() -> Call {
        Call {
            operation: Operation::ServicePut,
            doing: "updating cloud service `shop`".to_owned(),
            url: "https://management.chinacloudapi.cn/subscriptions/s".parse().unwrap(),
            subject: Subject::Service,
        }
    }

    fn judged(call: &Call, nature: Nature, code: u16, body: &Value) -> PortError {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static("7"));
        let answer = Answer { status: code, headers, body: body.to_string().into_bytes().into() };
        status(call, nature, &answer, Timestamp::UNIX_EPOCH, WHO)
    }

    fn shown(fault: &PortError) -> &'static str {
        match fault {
            PortError::Retryable { .. } => "retryable",
            PortError::Permanent(_) => "permanent",
            PortError::Ambiguous(_) => "ambiguous",
        }
    }

    #[test]
    fn statuses_of_reads_and_writes() {
        use FaultKind::{
            Conflict, Forbidden, Malformed, NotFound, Refused, ServiceFault, Throttled, TimedOut,
            Unauthorized,
        };
        for (code, kind, read, write) in [
            (400, Refused, "permanent", "permanent"),
            (401, Unauthorized, "permanent", "permanent"),
            (403, Forbidden, "permanent", "permanent"),
            (404, NotFound, "permanent", "permanent"),
            (408, TimedOut, "retryable", "ambiguous"),
            (409, Conflict, "retryable", "retryable"),
            (412, Refused, "permanent", "permanent"),
            (429, Throttled, "retryable", "retryable"),
            (500, ServiceFault, "retryable", "ambiguous"),
            (502, ServiceFault, "retryable", "ambiguous"),
            (503, ServiceFault, "retryable", "ambiguous"),
            (504, ServiceFault, "retryable", "ambiguous"),
            (204, Malformed, "permanent", "ambiguous"),
            (302, Malformed, "permanent", "permanent"),
        ] {
            let call = service_call();
            for (nature, expected) in [(Nature::Read, read), (Nature::Write, write)] {
                let fault = judged(&call, nature, code, &json!({ "error": { "code": "X", "message": "m" } }));
                assert_eq!((fault.kind(), shown(&fault)), (kind, expected), "{code} {nature:?}");
                if let PortError::Retryable { after, .. } = &fault {
                    assert_eq!(*after, Some(Duration::from_secs(7)), "{code}");
                }
            }
        }
    }

    #[test]
    fn a_vault_s_403_by_its_cause() {
        for (inner, message, kind, hint) in [
            ("ForbiddenByRbac", "Caller is not authorized", FaultKind::Forbidden, "Key Vault Secrets User"),
            ("ForbiddenByPolicy", "does not have secrets get permission", FaultKind::Forbidden, "set-policy"),
            ("ForbiddenByFirewall", "Client address is not authorized", FaultKind::Firewall, "network-rule"),
            ("SecretDisabled", "Operation get is not allowed on a disabled secret.", FaultKind::Disabled, ""),
            ("CertificateDisabled", "", FaultKind::Disabled, ""),
            ("SecretExpired", "", FaultKind::Disabled, ""),
            ("", "Operation get is not allowed on an expired secret.", FaultKind::Disabled, ""),
            ("SecretNotYetValid", "", FaultKind::Disabled, ""),
            (
                "",
                "Public network access is disabled and request is not from a trusted service",
                FaultKind::Firewall,
                "",
            ),
            ("", "something else", FaultKind::Forbidden, ""),
        ] {
            let mut error = json!({ "code": "Forbidden", "message": message });
            if !inner.is_empty() {
                error["innererror"] = json!({ "code": inner });
            }
            let fault = judged(&vault_call(), Nature::Read, 403, &json!({ "error": error }));
            assert_eq!((fault.kind(), shown(&fault)), (kind, "permanent"), "{inner} {message}");
            let told = fault.fault().hint.clone().unwrap_or_default();
            assert!(told.contains(hint) && !told.contains("<object id>"), "{inner}: {told}");
            if !inner.is_empty() {
                assert_eq!(fault.fault().code.as_deref(), Some(format!("Forbidden/{inner}").as_str()));
            }
        }
    }

    #[test]
    fn resource_manager_s_words_are_kept() {
        let body = json!({ "error": {
            "code": "InvalidParameter",
            "message": "List secrets contains repeated instances of a vault, which is disallowed.",
            "target": "sourceVault.id",
        } });
        let fault = judged(&service_call(), Nature::Write, 400, &body);
        assert_eq!(fault.fault().code.as_deref(), Some("InvalidParameter"));
        assert!(fault.to_string().ends_with("disallowed. (target `sourceVault.id`)"), "{fault}");

        let body = json!({ "error": { "code": "ScopeLocked", "message": "locked" } });
        let fault = judged(&service_call(), Nature::Write, 409, &body);
        assert_eq!((fault.kind(), shown(&fault)), (FaultKind::Refused, "permanent"));

        let body = json!({ "error": {
            "code": "KeyVaultAccessForbidden",
            "message": "Key Vault https://shop-kv.vault.azure.cn/secrets/shop-tls/1 either has not been enabled",
        } });
        let fault = judged(&service_call(), Nature::Write, 400, &body);
        let hint = fault.fault().hint.clone().unwrap_or_default();
        assert!(hint.contains("az keyvault update") && hint.contains("AzureChinaCloud"), "{hint}");
    }

    #[test]
    fn a_challenge_tells_for_whom_a_token_is_wanted() {
        for (challenge, shown) in [
            (
                r#"Bearer authorization="https://login.x/t", resource="https://vault.azure.net""#,
                "https://vault.azure.net",
            ),
            (
                r#"Bearer authorization="https://login.x/t", scope="https://vault.azure.net/.default""#,
                ".net/.default",
            ),
            ("Bearer error=invalid_token", ""),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("www-authenticate", HeaderValue::from_static(challenge));
            let answer = Answer { status: 401, headers, body: Default::default() };
            let fault = status(&vault_call(), Nature::Read, &answer, Timestamp::UNIX_EPOCH, WHO);
            assert_eq!(fault.kind(), FaultKind::Unauthorized);
            assert_eq!(fault.to_string().contains("asks for a token for"), !shown.is_empty(), "{fault}");
            assert!(fault.to_string().contains(shown), "{fault}");
        }
    }

    #[test]
    fn errors_in_other_frames() {
        for (body, code, message) in [
            (&br#"{"code":"A","message":"b"}"#[..], Some("A"), "b"),
            (br#"{"error":"plain"}"#, None, "plain"),
            (b"\xef\xbb\xbf{\"error\":{\"code\":\"A\"}}", Some("A"), ""),
            (b"<html>", None, "the answer is a page of HTML or XML instead of JSON"),
            (b"", None, "an empty body"),
            (
                br#"{"error":{"code":"A","message":"b","details":[{"code":"C","message":"d"}]}}"#,
                Some("A/C"),
                "b d",
            ),
        ] {
            let said = Said::of_body(body);
            assert_eq!((said.codes().as_deref(), said.message.as_str()), (code, message));
        }
    }

    #[test]
    fn faults_of_the_transport() {
        use FaultKind::{ForeignHost, Malformed, TimedOut, Unreachable};
        for (kind, sent, read, write) in [
            (Unreachable, Sent::No, "retryable", "retryable"),
            (Unreachable, Sent::Perhaps, "retryable", "ambiguous"),
            (TimedOut, Sent::No, "retryable", "retryable"),
            (TimedOut, Sent::Perhaps, "retryable", "ambiguous"),
            (Malformed, Sent::Perhaps, "permanent", "ambiguous"),
            (ForeignHost, Sent::No, "permanent", "permanent"),
        ] {
            for (nature, expected) in [(Nature::Read, read), (Nature::Write, write)] {
                let fault = transport(&service_call(), nature, TransportFault::new(kind, sent, "m"));
                assert_eq!(shown(&fault), expected, "{kind:?} {sent:?} {nature:?}");
            }
        }
    }
}
