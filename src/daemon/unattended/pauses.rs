//! Pauses: a person keeps certroll from beginning changes, of one service or of all. They outlive the process, since a
//! restart is no reason to begin what somebody stopped.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use certroll_core::id::CloudServiceId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::read_limited;
use crate::status::PauseView;

/// Largest file: a pause for each of thousands of services fits.
const FILE_LIMIT: u64 = 1024 * 1024;
/// The file, beside the journal.
const FILE: &str = "paused.json";
/// The form of the file.
const FORMAT: u32 = 1;

/// Why pauses cannot be read or kept.
#[derive(Debug, Error)]
pub enum PauseError {
    /// The file cannot be read or written.
    #[error("the pauses in `{path}` cannot be {what}: {reason}")]
    File {
        /// The file.
        path: String,
        /// "read" or "kept".
        what: &'static str,
        /// Why.
        reason: String,
    },
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kept {
    format: u32,
    everything: Option<PauseView>,
    services: BTreeMap<CloudServiceId, PauseView>,
}

/// The pauses that are in force, and the file that keeps them.
#[derive(Debug)]
pub struct Pauses {
    file: PathBuf,
    kept: Kept,
}

impl Pauses {
    /// Reads the pauses beside the journal.
    ///
    /// # Errors
    /// The file is there and cannot be understood: then it is not known what a person stopped, and nothing may begin.
    pub fn open(directory: &Path) -> Result<Self, PauseError> {
        let file = directory.join(FILE);
        let fault = |reason: String| PauseError::File {
            path: file.display().to_string(),
            what: "read",
            reason: format!("{reason}; remove it if nothing is to be paused"),
        };
        if !file.exists() {
            return Ok(Self { file, kept: Kept::default() });
        }
        let bytes = read_limited(&file, FILE_LIMIT).map_err(|error| fault(error.to_string()))?;
        let kept: Kept = serde_json::from_slice(&bytes).map_err(|error| fault(error.to_string()))?;
        if kept.format != FORMAT {
            return Err(fault(format!("it has format {}; expected {FORMAT}", kept.format)));
        }
        Ok(Self { file, kept })
    }

    /// The pause of everything at `now`.
    pub fn of_everything(&self, now: Timestamp) -> Option<&PauseView> {
        self.kept.everything.as_ref().filter(|pause| in_force(pause, now))
    }

    /// The pause of a service of its own at `now`.
    pub fn of(&self, service: &CloudServiceId, now: Timestamp) -> Option<&PauseView> {
        self.kept.services.get(service).filter(|pause| in_force(pause, now))
    }

    /// Whether a change of the service may begin at `now`.
    pub fn holds(&self, service: &CloudServiceId, now: Timestamp) -> bool {
        self.of_everything(now).is_some() || self.of(service, now).is_some()
    }

    /// When the next pause ends by itself after `now`.
    pub fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        let all = self.kept.everything.iter().chain(self.kept.services.values());
        all.filter_map(|pause| pause.until).filter(|until| *until > now).min()
    }

    /// Pauses everything, or the services that are named.
    ///
    /// # Errors
    /// It could not be kept: then nothing is paused.
    pub fn pause(&mut self, services: &[CloudServiceId], pause: &PauseView) -> Result<(), PauseError> {
        let mut kept = self.kept.clone();
        if services.is_empty() {
            kept.everything = Some(pause.clone());
        }
        kept.services.extend(services.iter().map(|service| (service.clone(), pause.clone())));
        self.keep(kept, pause.since)
    }

    /// Ends the pause of everything with those of all services, or those of the services that are named. Gives how many
    /// were in force.
    ///
    /// # Errors
    /// It could not be kept: then everything stays as it is.
    pub fn resume(&mut self, services: &[CloudServiceId], now: Timestamp) -> Result<usize, PauseError> {
        let mut kept = self.kept.clone();
        let mut ended = 0;
        let mut end = |pause: Option<PauseView>| {
            ended += usize::from(pause.is_some_and(|pause| in_force(&pause, now)));
        };
        if services.is_empty() {
            end(kept.everything.take());
            std::mem::take(&mut kept.services).into_values().for_each(|pause| end(Some(pause)));
        }
        services.iter().for_each(|service| end(kept.services.remove(service)));
        self.keep(kept, now)?;
        Ok(ended)
    }

    /// Replaces the file, and only then what is in force.
    fn keep(&mut self, mut kept: Kept, now: Timestamp) -> Result<(), PauseError> {
        kept.format = FORMAT;
        kept.everything = kept.everything.filter(|pause| in_force(pause, now));
        kept.services.retain(|_, pause| in_force(pause, now));
        let fault =
            |reason: String| PauseError::File { path: self.file.display().to_string(), what: "kept", reason };
        let text = serde_json::to_vec_pretty(&kept).map_err(|error| fault(error.to_string()))?;
        replace(&self.file, &text).map_err(|error| fault(error.to_string()))?;
        self.kept = kept;
        Ok(())
    }
}

fn in_force(pause: &PauseView, now: Timestamp) -> bool {
    pause.until.is_none_or(|until| until > now)
}

/// Writes a file beside the old one and moves it over that, so that there is always a whole one.
fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("json.new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str) -> CloudServiceId {
        let group = "/subscriptions/5f2b7c90-8d41-4a3c-b6e7-91c0d4f8a2e6/resourceGroups/shop";
        format!("{group}/providers/Microsoft.Compute/cloudServices/{name}").parse().unwrap()
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn pause(until: Option<&str>) -> PauseView {
        PauseView { since: at("2026-11-23T12:00:00Z"), until: until.map(at), reason: None }
    }

    #[test]
    fn pauses_outlive_the_process_and_end_by_themselves() {
        let directory = tempfile::tempdir().unwrap();
        let mut pauses = Pauses::open(directory.path()).unwrap();
        pauses.pause(&[service("shop")], &pause(Some("2026-11-23T14:00:00Z"))).unwrap();
        let mut pauses = Pauses::open(directory.path()).unwrap();
        let now = at("2026-11-23T13:00:00Z");
        assert!(pauses.holds(&service("SHOP"), now) && !pauses.holds(&service("blog"), now));
        assert_eq!(pauses.next_end(now), Some(at("2026-11-23T14:00:00Z")));
        assert!(!pauses.holds(&service("shop"), at("2026-11-23T14:00:00Z")));

        pauses.pause(&[], &pause(None)).unwrap();
        let mut pauses = Pauses::open(directory.path()).unwrap();
        assert!(pauses.holds(&service("blog"), at("2036-01-01T00:00:00Z")));
        assert_eq!(pauses.resume(&[service("shop")], now).unwrap(), 1);
        assert!(pauses.holds(&service("shop"), now), "everything is still paused");
        assert_eq!(pauses.resume(&[], now).unwrap(), 1);
        assert!(!Pauses::open(directory.path()).unwrap().holds(&service("shop"), now));
    }

    #[test]
    fn a_file_that_is_not_understood_is_no_leave_to_begin() {
        let directory = tempfile::tempdir().unwrap();
        for text in ["", "{", "{\"format\":2,\"everything\":null,\"services\":{}}", "[]"] {
            std::fs::write(directory.path().join(FILE), text).unwrap();
            let error = Pauses::open(directory.path()).unwrap_err().to_string();
            assert!(error.contains("paused.json") && error.contains("remove it"), "{error}");
        }
    }
}
