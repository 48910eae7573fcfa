//! Channels against programs that are installed: a notification daemon on a session bus, mail servers, a web server; and what
//! the systemd journal and Prometheus' linter make of what certroll says.
//!
//! `cargo test --test installed -- --ignored`, with `dbus-daemon`, Python 3.9 or later, and its packages `aiosmtpd` and
//! `dbus-next` (Debian: `dbus python3 python3-aiosmtpd python3-dbus-next`). `CERTROLL_TEST_PYTHON` names another
//! interpreter than `python3`. What is missing makes a test fail with what to install.

// A test that fails may panic anywhere.
#![allow(clippy::unwrap_used)]

mod desktop;
mod journald;
mod mail;
mod metrics;
mod program;
mod webhook;
