//! What a vault tells of its changes, as Event Grid delivers it: events of both schemas, single and in batches, and the
//! handshakes that come before. Pure: bytes and headers in, values out.
//!
//! An event is a hint to look at a vault, whatever it says. It carries no state that anything would be done by, and one
//! that is lost or comes twice costs time, not correctness.

mod delivery;
mod fields;
mod keys;
mod notice;
mod token;

#[cfg(test)]
mod tests;

pub use delivery::{Delivery, DeliveryError, EVENTS, Told, read};
pub use keys::{KeyAnswer, KeysUnavailable, SigningKeys};
pub use notice::{NoticeKind, VaultNotice};
pub use token::{Denied, SigningKey, TokenError, TokenPolicy, TokenVersion, UnverifiedToken, VerifiedToken};
