//! Certificates in every form that a vault holds.
