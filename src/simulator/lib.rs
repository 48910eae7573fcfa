//! An Azure on loopback, written from Microsoft's documents and recordings. It shares no type with the client.

pub mod arm;
pub mod call;
pub mod clock;
pub mod cloud;
pub mod entra;
pub mod endpoint;
pub mod faults;
mod http;
pub mod ledger;
pub mod message;
pub mod names;
pub mod pfx;
pub mod pki;
pub mod rates;
pub mod scenario;
pub mod service;
pub mod switches;
pub mod vault;

pub use http::Simulator;
