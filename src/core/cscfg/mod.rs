//! The service configuration (cscfg): which certificates its roles name, and how their thumbprints change.
//!
//! The text belongs to the customer. It is never written out anew: an edit splices the values of attributes and leaves
//! every other byte as it stands, so that the byte order mark, line ends, comments, quotes and a declared `utf-16`
//! survive. The text is also hostile until it was read: [`ServiceConfiguration::parse`] bounds what reading it costs.
//! Settings may hold secrets, so nothing here prints the value of one, except the thumbprints in a changed one.
//!
//! Start with [`ServiceConfiguration`]; [`ServiceConfiguration::replace`] for how a change is made and proved;
//! [`changes`] for how it is shown.

mod configuration;
mod difference;
mod edit;
mod error;
mod limits;
mod mentions;
mod near;
mod place;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod shapes;
mod tag;
mod value;

pub use configuration::{CertificateEntry, EntryThumbprint, Role, ServiceConfiguration, Setting};
pub use difference::{LineChange, changes, differs_beyond_certificates};
pub use edit::Edit;
pub use error::{CscfgError, EditError};
pub use mentions::{Mention, MentionKind};
pub use place::Place;
