//! From what is deployed to a configuration: which vault object each certificate of a service comes from, and what a
//! person should know or decide. Nothing here writes a file: see the daemon's `discover` command.
//!
//! Ask [`wants`] what to look at until it wants nothing more, then [`propose`] answers. [`Proposal::probes`] are checked
//! last, by [`ProposedProbe::judge`]. [`Additions`] is what a configuration that names the service lacks of its proposal.

mod addition;
mod probe;
mod proposal;
mod source;
mod survey;

#[cfg(test)]
mod tests;

pub use addition::{Additions, EntryAddition, NewerSource};
pub use probe::{ProbeFinding, ProposedProbe};
pub use proposal::{About, Authority, Finding, Mapped, NotProposed, Proposal, Source, Surplus, Unread};
pub use source::propose;
pub use survey::{CANDIDATES, Survey, Want, wants};
