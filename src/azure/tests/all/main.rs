//! The clients over real connections: TLS through a CONNECT proxy on loopback, behind which a small fake answers for every
//! host of the cloud. It shares nothing with the clients and answers what each test tells it to.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it expects")]

mod fake;
mod identity;
mod inspection;
mod inventory;
mod secrecy;
mod services;
mod vault;
mod world;
