//! The record of rollouts, what is remembered of vault versions, and the notices that people are still to be told.
//!
//! [`DurableJournal`] is the record on disk and its one writer, [`JournalReader`] reads it beside a writer,
//! [`VersionStore`] remembers versions, [`OutboxStore`] keeps notices until they are delivered; [`memory`] has both for a process that keeps nothing. What is recorded is told by
//! `core::rollout` and `core::standing`: nothing here decides, and nothing here knows Azure. `docs/journal.md` tells it
//! from the operator's side.
//!
//! # The format
//!
//! A directory holds `journal.db` (SQLite), `versions.db` and `outbox.db` (SQLite, may be deleted) and `lock`. `journal.db` carries an
//! application id and, as `user_version`, the number of its format. The format is the schema, the encoding that is hashed,
//! the words of entries, and the JSON of events, decisions and drops. Within one number:
//!
//! - the schema does not change at all: an open compares it with the text that this version would have written;
//! - what is hashed, and how, does not change;
//! - the JSON may gain optional members that an older version may ignore without harm. An event, a decision or a member
//!   that must not be ignored raises the number;
//! - nothing is renamed or removed.
//!
//! A version reads the formats of all versions before it; `fixtures/` holds one journal of each, and a test opens it. A
//! journal of a later format is refused and left as it is. When the number is raised, the writer brings an older journal to
//! the new one in a single transaction at its open, and a reader reads the older one as it is; format 1 is the first, so
//! there is nothing to bring yet. `versions.db` and `outbox.db` have numbers of their own and are
//! begun anew where these differ.

mod directory;
mod durable;
mod entry;
mod fault;
mod file;
mod lock;
pub mod memory;
mod outbox;
mod reader;
mod retention;
mod table;
mod verify;
mod versions;

#[cfg(test)]
mod tests;

pub use durable::DurableJournal;
pub use lock::Writer;
pub use outbox::{Delivery, OutboxStore, Pushed, Route};
pub use reader::JournalReader;
pub use retention::Dropped;
pub use verify::{Damage, Verified};
pub use versions::VersionStore;
