//! How one change is led to one of its endings.
//!
//! A rollout is the list of its events. [`Rollout::fold`] reads them into where it stands, [`next_action`] says what is
//! to be done now, the engine does it and appends what happened. A process that died is continued by reading the same
//! list. Nothing here does anything.

mod ending;
mod event;
mod limits;
mod next;
mod state;

#[cfg(test)]
mod tests;

pub use ending::{Cause, Ending};
pub use event::{Event, Found, Generation, Initiator, OperationOutcome, Phase};
pub use limits::Limits;
pub use next::{Action, Step, give_up, next_action};
pub use state::{FoldError, Rollout, Stage, Trace};
