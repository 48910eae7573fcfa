//! `[journal]`: where rollouts are recorded.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::check::Checker;

/// `[journal]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JournalKeys {
    /// The directory of the journal.
    directory: At<String>,
}

/// Where rollouts are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalSettings {
    /// The directory. It need not exist yet; it is made with mode 0700.
    pub directory: PathBuf,
}

pub(crate) fn check(keys: &JournalKeys, checker: &mut Checker<'_>) -> Option<JournalSettings> {
    let directory = checker.path(&keys.directory)?;
    if directory.exists() && !directory.is_dir() {
        checker
            .error(&keys.directory.span, format!("`{}` is not a directory", directory.display()))
            .expect("a directory, or a path where one can be made");
        return None;
    }
    Some(JournalSettings { directory })
}
