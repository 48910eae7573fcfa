//! What the program does to a simulated Azure, by the real protocols.

mod guards;
mod interrupted;
mod manual;
mod polls;
mod probes;
mod refusals;
mod rotation;
mod secrecy;
mod third_party;
mod unattended;
mod vaults;
