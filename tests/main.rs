//! One test binary.

mod commands;
mod formats;
mod scenarios;
mod support;
