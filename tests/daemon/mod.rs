//! The whole daemon, as a process of its own, against the simulated Azure.

mod faces;
mod rotations;
