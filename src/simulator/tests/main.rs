//! The simulator as a client meets it: most tests talk to the cloud value, a few over sockets.

#![allow(clippy::unwrap_used, reason = "everything here is a test, its helpers included")]

mod conformance;
mod faults;
mod manual;
mod publisher;
mod put;
mod receiver;
mod resource_manager;
mod scale;
mod sockets;
mod support;
mod update;
