//! How a rollout ends.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::target::cloud_service::OperationFailure;
use crate::verify::Mismatch;

/// The endings. Once something was changed there are three; before, a rollout can be abandoned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "ending")]
pub enum Ending {
    /// The new certificates are deployed and were seen to work.
    Verified,
    /// The old state is back and was seen to work.
    Restored {
        /// Why it was put back.
        cause: Cause,
    },
    /// A person is needed; the service is left alone until it is released.
    Stuck {
        /// Why.
        cause: Cause,
    },
    /// Nothing was changed.
    Abandoned {
        /// Why.
        cause: Cause,
    },
}

impl Ending {
    /// Every ending's word.
    pub const WORDS: [&'static str; 4] = ["verified", "restored", "stuck", "abandoned"];

    /// The ending's word, the same in messages, metrics and journal.
    pub fn word(&self) -> &'static str {
        let [verified, restored, stuck, abandoned] = Self::WORDS;
        match self {
            Self::Verified => verified,
            Self::Restored { .. } => restored,
            Self::Stuck { .. } => stuck,
            Self::Abandoned { .. } => abandoned,
        }
    }

    /// Why, for every ending but the good one.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Verified => None,
            Self::Restored { cause } | Self::Stuck { cause } | Self::Abandoned { cause } => Some(cause),
        }
    }
}

/// Why a rollout turned back or ended other than verified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "because")]
pub enum Cause {
    /// The service could not be read before anything was changed.
    NotReadable {
        /// The port's message.
        message: String,
    },
    /// The service is not what the plan expected.
    Changed {
        /// In which way.
        differences: Vec<String>,
    },
    /// Another operation ran on it for too long.
    Busy {
        /// Its state, in the service's word.
        state: String,
    },
    /// The service refused the update.
    Refused {
        /// Its message.
        message: String,
    },
    /// The update could not be sent.
    NotSent {
        /// The port's message.
        message: String,
    },
    /// The operation failed.
    OperationFailed {
        /// The service's code and message.
        failure: OperationFailure,
    },
    /// Nothing moved for too long, or the operation took too long in all.
    TooLong {
        /// What was waited for, and how long.
        waited_for: String,
    },
    /// What was seen afterwards is not what was wanted.
    Mismatch {
        /// Everything that is not.
        mismatches: Vec<Mismatch>,
    },
    /// Somebody else changed the service meanwhile.
    ChangedByOthers {
        /// In which way.
        differences: Vec<String>,
    },
    /// The journal could not be written.
    Journal {
        /// Its message.
        message: String,
    },
    /// Its record cannot be continued, so that it is not known what was done.
    Record {
        /// What is wrong with it.
        message: String,
    },
    /// Putting the old state back did not succeed either.
    RestoreFailed {
        /// Why it was to be put back.
        first: Box<Cause>,
        /// Why that failed.
        then: Box<Cause>,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReadable { message } => write!(f, "the service could not be read: {message}"),
            Self::Changed { differences } => {
                write!(f, "the service is not what the plan expected: {}", differences.join("; "))
            }
            Self::Busy { state } => write!(f, "another operation kept the service busy ({state})"),
            Self::Refused { message } => write!(f, "the service refused the update: {message}"),
            Self::NotSent { message } => write!(f, "the update could not be sent: {message}"),
            Self::OperationFailed { failure } => write!(f, "the operation failed: {failure}"),
            Self::TooLong { waited_for } => write!(f, "it took too long: {waited_for}"),
            Self::Mismatch { mismatches } => {
                write!(f, "{}", mismatches.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
            }
            Self::ChangedByOthers { differences } => {
                write!(f, "somebody else changed the service during the rollout: {}", differences.join("; "))
            }
            Self::Journal { message } => write!(f, "the journal could not be written: {message}"),
            Self::Record { message } => write!(f, "its record is damaged: {message}"),
            Self::RestoreFailed { first, then } => {
                write!(
                    f,
                    "the old state could not be put back: {then} (it was to be put back because {first})"
                )
            }
        }
    }
}
