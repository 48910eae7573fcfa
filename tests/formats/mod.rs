//! Formats that people and other programs rely on.

mod reference;
mod reference_document;
