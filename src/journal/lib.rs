//! The record of rollouts. So far in memory only: what a one-shot command needs to lead its own rollouts.

pub mod memory;
