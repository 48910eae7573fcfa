//! Reads an answer's body within a limit, into memory that is wiped.

use certroll_core::ports::FaultKind;
use reqwest::Response;
use zeroize::{Zeroize, Zeroizing};

use super::{Sent, TransportFault};
use crate::words::chain;

/// The largest body that is read, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimit(pub usize);

impl Default for BodyLimit {
    /// 16 MiB: a page of a subscription's cloud services with their cscfg is a few MiB at most, a secret is at most
    /// 25 KB. More than this is not what was asked for.
    fn default() -> Self {
        Self(16 * 1024 * 1024)
    }
}

/// First size of the buffer where the answer does not tell its length: most answers fit and need no second buffer.
const FIRST_CAPACITY: usize = 64 * 1024;

/// Reads the rest of `response`.
///
/// What passes through here is wiped when it is dropped; the read buffers of the TLS and HTTP layers below are theirs
/// and are not.
pub(crate) async fn read(
    mut response: Response,
    limit: BodyLimit,
) -> Result<Zeroizing<Vec<u8>>, TransportFault> {
    let BodyLimit(limit) = limit;
    let announced = response.content_length().unwrap_or(0);
    if announced > limit as u64 {
        return Err(too_large(limit));
    }
    let expected = usize::try_from(announced).unwrap_or(limit);
    let mut body = Zeroizing::new(Vec::with_capacity(expected.max(FIRST_CAPACITY).min(limit)));
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                if body.len() + chunk.len() > limit {
                    return Err(too_large(limit));
                }
                append(&mut body, &chunk);
                if let Ok(mut ours) = chunk.try_into_mut() {
                    ours.as_mut().zeroize();
                }
            }
            Ok(None) => return Ok(body),
            Err(fault) if fault.is_timeout() => {
                let message = "the answer stopped halfway";
                return Err(TransportFault::new(FaultKind::TimedOut, Sent::Perhaps, message));
            }
            Err(fault) => {
                let message = format!("the answer broke off: {}", chain(&fault.without_url()));
                return Err(TransportFault::new(FaultKind::Unreachable, Sent::Perhaps, message));
            }
        }
    }
}

/// Appends without leaving an unwiped copy behind, which growing a `Vec` would.
fn append(body: &mut Zeroizing<Vec<u8>>, chunk: &[u8]) {
    let needed = body.len() + chunk.len();
    if needed > body.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(body.capacity() * 2)));
        larger.extend_from_slice(body);
        std::mem::swap(body, &mut larger);
    }
    body.extend_from_slice(chunk);
}

fn too_large(limit: usize) -> TransportFault {
    let message = format!("the answer is larger than {limit} bytes");
    TransportFault::new(FaultKind::Malformed, Sent::Perhaps, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appending_grows_and_keeps_what_was_read() {
        let mut body = Zeroizing::new(Vec::with_capacity(4));
        for chunk in [&b"abc"[..], b"defgh", b"", b"ijklmnopqrstuvwxyz"] {
            append(&mut body, chunk);
        }
        assert_eq!(&body[..], b"abcdefghijklmnopqrstuvwxyz");
    }
}
