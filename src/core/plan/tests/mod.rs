//! Planning, told as stories. `world` builds services and vaults and answers what planning asks for.

mod answers;
mod following;
mod foreseen;
mod mapping;
mod properties;
mod saved;
mod settings;
mod standing;
mod timing;
mod undo;
mod unreadable;
pub(crate) mod world;
