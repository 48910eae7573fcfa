//! One test binary.

mod commands;
mod faults;
mod formats;
mod scenarios;
mod support;
