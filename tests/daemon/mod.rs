//! The whole daemon, as a process of its own, against the simulated Azure.

mod events;
mod faces;
mod notices;
mod rotations;
