//! The simulator as a client meets it: most tests talk to the cloud value, a few over sockets.

mod conformance;
mod faults;
mod manual;
mod put;
mod resource_manager;
mod scale;
mod sockets;
mod support;
mod update;
