//! One test binary.
// A test that fails may panic anywhere, and what it prints is shown when it does.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod commands;
#[cfg(unix)]
mod crashes;
#[cfg(unix)]
mod daemon;
mod faults;
mod formats;
mod months;
mod scenarios;
mod support;
