//! Formats that people and other programs rely on.

mod commands_document;
mod dashboards;
mod json_document;
mod monitoring_document;
mod reference;
mod reference_document;
mod runbook;
mod security_document;
