//! A plan in a file: written by `plan --out`, read by `apply`.
//!
//! Format rules: `format` is raised when a reader of the older form would misunderstand the file; a reader refuses
//! any other number. `sha256` is the digest of the updates and guards against hands that mean well: whoever can write
//! the file can write the digest too. The file holds the cscfg, which may hold secrets: it is written with mode 0600.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::update::{PlannedUpdate, secret_changes};
use crate::cscfg::{Edit, ServiceConfiguration};

/// The format that this version writes and reads.
const FORMAT: u32 = 1;

/// Updates, as a person saw and saved them.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedPlan {
    /// When the look was made.
    pub at: Timestamp,
    /// The updates, in their order.
    pub updates: Vec<PlannedUpdate>,
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    format: u32,
    at: Timestamp,
    sha256: String,
    updates: Vec<PlannedUpdate>,
}

/// Why a file is not a plan that may be applied.
#[derive(Debug, Error)]
pub enum SavedPlanError {
    /// No JSON, or not of this shape.
    #[error("the plan cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// Another version wrote it.
    #[error("the plan has format {found}; expected format {FORMAT}")]
    Format {
        /// The number in the file.
        found: u64,
    },
    /// Something in it is not what was written.
    #[error(
        "the plan was altered after it was written: its updates have the digest {found}, expected {expected}"
    )]
    Digest {
        /// As the file states it.
        expected: String,
        /// Of the updates in the file.
        found: String,
    },
    /// What it wants is not what its changes make of what it expects.
    #[error("the plan for `{service}` was altered: {reason}")]
    Altered {
        /// The service.
        service: String,
        /// What does not fit.
        reason: String,
    },
}

impl SavedPlan {
    /// A plan of these updates.
    pub fn new(at: Timestamp, updates: Vec<PlannedUpdate>) -> Self {
        Self { at, updates }
    }

    /// The file's content.
    pub fn to_json(&self) -> String {
        let saved = Saved {
            format: FORMAT,
            at: self.at,
            sha256: digest(&self.updates),
            updates: self.updates.clone(),
        };
        // Values of our own types with string keys always serialize.
        serde_json::to_string_pretty(&saved).unwrap_or_default()
    }

    /// Reads a file's content and proves that each update still is what its changes say: nothing but the named
    /// thumbprints and secrets differs between what it expects and what it wants.
    ///
    /// # Errors
    /// Another format, or an update that was altered.
    pub fn read(text: &str) -> Result<Self, SavedPlanError> {
        #[derive(Deserialize)]
        struct Head {
            format: u64,
        }
        let head: Head = serde_json::from_str(text)?;
        if head.format != u64::from(FORMAT) {
            return Err(SavedPlanError::Format { found: head.format });
        }
        let saved: Saved = serde_json::from_str(text)?;
        for update in &saved.updates {
            prove(update)
                .map_err(|reason| SavedPlanError::Altered { service: update.service.to_string(), reason })?;
        }
        let found = digest(&saved.updates);
        if found != saved.sha256 {
            return Err(SavedPlanError::Digest { expected: saved.sha256, found });
        }
        Ok(Self { at: saved.at, updates: saved.updates })
    }
}

/// SHA-256 over the updates as compact JSON, in hexadecimal digits.
fn digest(updates: &[PlannedUpdate]) -> String {
    let text = serde_json::to_string(updates).unwrap_or_default();
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn prove(update: &PlannedUpdate) -> Result<(), String> {
    let expected =
        ServiceConfiguration::parse(update.expected.configuration.as_str()).map_err(|e| e.to_string())?;
    let mut edits: Vec<Edit> = Vec::new();
    for change in &update.certificates {
        edits.push(Edit::Certificate {
            role: change.role.clone(),
            name: change.name.clone(),
            from: change.from,
            to: change.to,
        });
    }
    for setting in &update.settings {
        edits.push(Edit::Setting {
            role: setting.role.clone(),
            name: setting.name.clone(),
            from: setting.from,
            to: setting.to,
        });
    }
    let edited = expected.replace(&edits).map_err(|error| error.to_string())?;
    if edited.text() != update.wanted.configuration {
        return Err("its changes do not make the cscfg that it wants".to_owned());
    }
    if update.expected.rest != update.wanted.rest {
        return Err("it wants to change more than certificates".to_owned());
    }
    let (expected, wanted) = (&update.expected.os_profile, &update.wanted.os_profile);
    if secret_changes(expected, wanted) != update.secrets {
        return Err("its changes do not make the secrets that it wants".to_owned());
    }
    if let Some(member) = expected.members_that_differ(wanted).first() {
        return Err(format!("it wants to change more than certificates: `{member}` differs"));
    }
    for change in &update.certificates {
        if !wanted.urls().any(|url| url == &change.secret) {
            return Err(format!("`{}` is not among the secrets that it wants", change.secret));
        }
    }
    let astray = wanted
        .groups()
        .iter()
        .flat_map(|group| group.certificates().iter().map(move |entry| (group.source_vault(), entry.url())))
        .filter(|(_, url)| !expected.urls().any(|known| known == *url))
        .find(|(vault, url)| vault.vault() != url.vault());
    match astray {
        Some((vault, url)) => Err(format!("`{url}` stands under the source vault `{vault}`")),
        None => Ok(()),
    }
}
