//! Against programs that are installed: channels with a notification daemon on a session bus, mail servers and a web server;
//! what is written for vaults with OpenSSL's command; what is said to the systemd journal and to Prometheus' linter;
//! what a person sees on a terminal; completions by the shells themselves, and manual pages by mandoc.
//!
//! `cargo test --test installed -- --ignored`, with `dbus-daemon`, Python 3.9 or later, and its packages `aiosmtpd` and
//! `dbus-next` (Debian: `dbus python3 python3-aiosmtpd python3-dbus-next`), OpenSSL 3,
//! util-linux, bash, zsh, fish and mandoc. `CERTROLL_TEST_PYTHON` names another
//! interpreter than `python3`. What is missing makes a test fail with what to install.

// A test that fails may panic anywhere.
#![allow(clippy::unwrap_used)]

mod desktop;
mod journald;
mod mail;
mod metrics;
mod openssl;
mod program;
mod shells;
mod terminal;
mod webhook;
