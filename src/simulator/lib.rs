//! An Azure on loopback, written from Microsoft's documents and recordings. It shares no type with the client.

pub mod message;
