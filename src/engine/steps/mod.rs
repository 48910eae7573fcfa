//! The steps of a rollout. Each does one thing, says what happened by events, and is safe to run twice.

pub(crate) mod capture;
pub(crate) mod examine;
pub(crate) mod look;
pub(crate) mod operation;
pub(crate) mod put;
mod reading;
pub(crate) mod walk;
