//! Which version of a vault object is the newest.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::VersionId;

/// What a vault says of one version without showing its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionFacts {
    /// The version.
    pub version: VersionId,
    /// Whether it may be read.
    pub enabled: bool,
    /// When it came to be.
    pub created: Option<Timestamp>,
    /// When its attributes last changed.
    pub updated: Option<Timestamp>,
    /// The object's own not-before, if set.
    pub not_before: Option<Timestamp>,
    /// The object's own expiry, if set.
    pub expires: Option<Timestamp>,
}

/// No version may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoneEnabled;

/// The latest enabled version.
///
/// # Errors
/// No version is enabled.
pub fn newest(versions: &[VersionFacts]) -> Result<&VersionFacts, NoneEnabled> {
    versions.iter().filter(|v| v.enabled).max_by_key(|v| v.created).ok_or(NoneEnabled)
}
