//! Answers that say what is wrong (RFC 9457).

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, StatusCode};
use serde_json::json;

/// An answer of `application/problem+json`. `detail` is read by strangers: it names no vault, token or secret.
pub(super) fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Unknown");
    let body = json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
    with(
        status,
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
        Body::from(body.to_string()),
    )
}

/// An answer with one header.
pub(super) fn with(status: StatusCode, name: HeaderName, value: HeaderValue, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(name, value);
    response
}
