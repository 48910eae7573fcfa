//! Does what core decided: observes, rolls out, verifies, restores. Names no concrete client, and makes no choice that
//! core could make.
//!
//! [`pass::look`] collects an observation and plans; [`rollout::start`] carries one approved update to its ending.

pub mod discover;
pub mod locks;
pub mod outside;
pub mod pass;
mod patience;
pub mod rollout;
pub mod rollouts;
pub mod world;

mod contents;
mod objects;
mod observe;
mod steps;
