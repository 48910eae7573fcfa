//! What certroll decides. Pure: no input or output, no clock, no randomness; the time, the observation and the policy
//! are arguments, the decision is the result.

pub mod certificate;
pub mod cloud;
pub mod cscfg;
pub mod discover;
pub mod doctor;
pub mod event;
pub mod gap;
pub mod id;
pub mod notice;
pub mod plan;
pub mod policy;
pub mod ports;
pub mod retry;
pub mod rollout;
pub mod standing;
pub mod target;
pub mod verify;
