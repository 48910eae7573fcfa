//! One test binary.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod commands;
mod faults;
mod formats;
mod scenarios;
mod support;
