//! Formats that people and other programs rely on.

mod monitoring_document;
mod reference;
mod reference_document;
mod runbook;
mod security_document;
