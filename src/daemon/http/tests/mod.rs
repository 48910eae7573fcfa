//! The webhook over real sockets: what is answered, to whom, and what is borne.

mod answers;
mod certificate;
mod client;
mod credentials;
mod endurance;
mod entra;
mod handshakes;
mod settings;
mod world;
