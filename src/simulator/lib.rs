//! An Azure on loopback, written from Microsoft's documents and recordings. It shares no type with the client.

pub mod entra;
pub mod message;
pub mod pfx;
pub mod pki;
pub mod vault;
