//! The process: commands, configuration, telemetry. It decides nothing that the core could decide.

pub mod config;
