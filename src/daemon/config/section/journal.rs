//! `[journal]`: where rollouts are recorded.

use std::path::PathBuf;
use std::time::Duration;

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
    /// How long rollouts are kept that have ended.
    keep_for: At<String>,
}

/// Where rollouts are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalSettings {
    /// The directory. It need not exist yet; it is made with mode 0700.
    pub directory: PathBuf,
    /// How long rollouts are kept that have ended. What is needed longer is kept longer.
    pub keep_for: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest that may be asked for.
const KEEP_MOST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

pub(crate) fn check(keys: &JournalKeys, checker: &mut Checker<'_>) -> Option<JournalSettings> {
    let keep_for = checker.duration(&keys.keep_for, DAY, KEEP_MOST);
    let directory = checker.path(&keys.directory)?;
    if directory.exists() && !directory.is_dir() {
        checker
            .error(&keys.directory.span, format!("`{}` is not a directory", directory.display()))
            .expect("a directory, or a path where one can be made");
        return None;
    }
    Some(JournalSettings { directory, keep_for: keep_for? })
}
