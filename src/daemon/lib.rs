//! The process: commands, configuration, telemetry. It decides nothing that the core could decide.
//!
//! Read next: [`cli`] for the commands, [`config`] for what they are told.

pub mod activation;
pub mod adapters;
pub mod admin;
pub mod assembly;
pub mod cli;
pub mod config;
pub mod http;
pub mod notify;
pub mod records;
pub mod status;
pub mod telemetry;
pub mod unattended;
pub mod work;

pub use cli::run;
