//! A notice as JSON of our own, with a signature by which the receiver knows who sent it. `docs/notices.md` has the form
//! and the recipe of verification.

use certroll_core::notice::Notice;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;

use super::SendError;
use super::client::Client;
use crate::config::Secret;

/// The header that names the notice: the same for each attempt, so that a receiver can drop repetitions.
pub const ID_HEADER: &str = "certroll-notice-id";
/// The header that tells when the request was made, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "certroll-timestamp";
/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "certroll-signature";
/// How a signature begins that is made as [`signature`] makes it.
pub const SIGNATURE_VERSION: &str = "v1";

/// Version of the JSON form. Raised when a reader of the older form would misunderstand it.
const FORMAT: u32 = 1;

/// The value of the signature header: `v1=` and, in hexadecimal, HMAC-SHA256 with the secret over the timestamp as in its
/// header, a dot and the body as sent.
pub fn signature(secret: &Secret, timestamp: &str, body: &[u8]) -> String {
    // HMAC takes keys of any length.
    let mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).map(|mut mac| {
        mac.update(timestamp.as_bytes());
        mac.update(b".");
        mac.update(body);
        mac.finalize().into_bytes()
    });
    let digits: String = mac.iter().flatten().map(|byte| format!("{byte:02x}")).collect();
    format!("{SIGNATURE_VERSION}={digits}")
}

/// Sends it.
pub(super) async fn send(client: &Client, secret: Option<&Secret>, notice: &Notice) -> Result<(), SendError> {
    let body = body(notice).to_string();
    let timestamp = Timestamp::now().as_second().to_string();
    let mut headers = vec![(ID_HEADER, notice.id()), (TIMESTAMP_HEADER, timestamp.clone())];
    if let Some(secret) = secret {
        headers.push((SIGNATURE_HEADER, signature(secret, &timestamp, body.as_bytes())));
    }
    client.post_text(body, &headers).await
}

/// The body of the request.
pub(super) fn body(notice: &Notice) -> Value {
    json!({ "format": FORMAT, "id": notice.id(), "notice": notice })
}
