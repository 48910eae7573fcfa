//! What certroll serves by HTTP: a listener that strangers cannot tie up, and the webhook of Event Grid on it.
//!
//! [`listener`] knows connections, time and size and no path; [`events`] knows what Event Grid sends and what it must be
//! answered. Read next: `docs/events.md`.

pub mod assembly;
pub mod authentication;
mod connection;
pub mod events;
pub mod listener;
mod problem;
pub mod tls;
pub mod vaults;

#[cfg(test)]
mod tests;
