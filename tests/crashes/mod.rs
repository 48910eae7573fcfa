//! The real program, killed anywhere in a rollout and started again: it goes on from its journal, and no update is ever
//! sent twice.

mod doomed;
mod everywhere;
