//! A plan in a file: written by `plan --out`, read by `apply`.
//!
//! Format rules: `format` is raised when a reader of the older form would misunderstand the file; a reader refuses
//! any other number. The file holds the cscfg, which may hold secrets: it is written with mode 0600.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::update::PlannedUpdate;
use crate::cscfg::{Edit, ServiceConfiguration};

/// The format that this version writes and reads.
const FORMAT: u32 = 1;

/// Updates, as a person saw and saved them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedPlan {
    format: u32,
    /// When the look was made.
    pub at: Timestamp,
    /// The updates, in their order.
    pub updates: Vec<PlannedUpdate>,
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
        Self { format: FORMAT, at, updates }
    }

    /// The file's content.
    pub fn to_json(&self) -> String {
        // Values of our own types with string keys always serialize.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Reads a file's content and proves that each update still is what its changes say: nothing but the named
    /// thumbprints differs between what it expects and what it wants.
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
        let plan: Self = serde_json::from_str(text)?;
        for update in &plan.updates {
            prove(update).map_err(|reason| SavedPlanError::Altered { service: update.service.to_string(), reason })?;
        }
        Ok(plan)
    }
}

fn prove(update: &PlannedUpdate) -> Result<(), String> {
    let expected = ServiceConfiguration::parse(update.expected.configuration.as_str()).map_err(|e| e.to_string())?;
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
    let mut urls: Vec<_> = update.expected.os_profile.urls().cloned().collect();
    for change in &update.secrets {
        if let Some(from) = &change.from {
            urls.retain(|url| url != from);
        }
        if let Some(to) = &change.to {
            urls.push(to.clone());
        }
    }
    let mut wanted: Vec<_> = update.wanted.os_profile.urls().cloned().collect();
    urls.sort();
    wanted.sort();
    if urls == wanted { Ok(()) } else { Err("its changes do not make the secrets that it wants".to_owned()) }
}
