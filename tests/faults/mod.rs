//! What goes wrong at each step of a rollout, and how it ends.

mod ambiguous;
mod document;
mod holds;
mod steps;
mod table;
