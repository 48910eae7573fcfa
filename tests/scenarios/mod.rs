//! What the program does to a simulated Azure, by the real protocols.

mod rotation;
