//! Certificates in every form that a vault holds.

mod newest;

pub use newest::{NoneEnabled, VersionFacts, newest};
