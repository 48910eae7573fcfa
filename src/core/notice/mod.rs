//! What people are told: notices, and when one is worth telling. Nothing here sends anything.
//!
//! [`Watch`] makes notices of what a look found and of what happened. A notice never holds a secret, nor any text of a
//! cscfg: it is made of identifiers, times, and the words of guards, causes and faults, which are fit to be printed.

mod conditions;
mod ending;
mod near_expiry;
mod watch;
mod wording;

#[cfg(test)]
mod tests;

pub use near_expiry::NearExpiry;
pub use watch::{Memory, Watch, WatchLimits};

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::{CloudServiceId, Thumbprint, VaultName};
use wording::{cut, one_line};

/// Longest title, in characters: one line of a mail's subject and of a desktop's pop-up.
const TITLE_LIMIT: usize = 160;
/// Longest text, in characters: Slack takes 3,000 in a block, and nobody reads more.
const TEXT_LIMIT: usize = 2_800;
/// Longest value of a fact, in characters: a resource id has some 250.
const FACT_LIMIT: usize = 500;
/// Most facts of a notice: a service has some ten certificates; more are counted and not listed.
const FACTS: usize = 24;

/// What a notice is about, in the words of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// New certificates are deployed and were seen to work.
    UpdateVerified,
    /// A change did not work; the old state is back and was seen to work.
    UpdateRestored,
    /// A change ended in front of a person.
    UpdateStuck,
    /// A change was given up before anything was changed.
    UpdateAbandoned,
    /// A guard refuses a change, or it cannot be made out.
    Blocked,
    /// A change waits for a person's yes.
    ApprovalNeeded,
    /// A change does not wait for its window, since a deployed certificate ends soon.
    WindowOverridden,
    /// A certificate that is served ends soon and is not renewed.
    NearExpiry,
    /// A service, or what it follows, could not be read for long.
    Unreadable,
    /// A look found a change of a vault whose events are expected and did not come.
    EventGap,
    /// No token can be had.
    CredentialsFailing,
    /// The journal cannot be used: no rollout starts.
    JournalFailing,
    /// A configuration that was changed cannot be used; the one before it stays.
    ReloadFailed,
    /// What was told as failing is right again.
    Recovered,
}

/// Every kind, in the order of the documents.
const KINDS: [NoticeKind; 14] = [
    NoticeKind::UpdateVerified,
    NoticeKind::UpdateRestored,
    NoticeKind::UpdateStuck,
    NoticeKind::UpdateAbandoned,
    NoticeKind::Blocked,
    NoticeKind::ApprovalNeeded,
    NoticeKind::WindowOverridden,
    NoticeKind::NearExpiry,
    NoticeKind::Unreadable,
    NoticeKind::EventGap,
    NoticeKind::CredentialsFailing,
    NoticeKind::JournalFailing,
    NoticeKind::ReloadFailed,
    NoticeKind::Recovered,
];

impl NoticeKind {
    /// Every kind.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.into_iter()
    }

    /// The word in the configuration, in JSON and in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::UpdateVerified => "update_verified",
            Self::UpdateRestored => "update_restored",
            Self::UpdateStuck => "update_stuck",
            Self::UpdateAbandoned => "update_abandoned",
            Self::Blocked => "blocked",
            Self::ApprovalNeeded => "approval_needed",
            Self::WindowOverridden => "window_overridden",
            Self::NearExpiry => "near_expiry",
            Self::Unreadable => "unreadable",
            Self::EventGap => "event_gap",
            Self::CredentialsFailing => "credentials_failing",
            Self::JournalFailing => "journal_failing",
            Self::ReloadFailed => "reload_failed",
            Self::Recovered => "recovered",
        }
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for NoticeKind {
    type Err = ();

    /// # Errors
    /// No kind has the word.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::all().find(|kind| kind.word() == text).ok_or(())
    }
}

/// How much a notice asks of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing.
    Info,
    /// To look into it in working hours.
    Warning,
    /// To look into it now.
    Critical,
}

impl Severity {
    /// The word in the configuration, in JSON and in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a notice is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Subject {
    /// A cloud service.
    Service {
        /// Which.
        service: CloudServiceId,
    },
    /// Several cloud services at once.
    Services {
        /// Which.
        services: Vec<CloudServiceId>,
    },
    /// A vault.
    Vault {
        /// Which.
        vault: VaultName,
    },
    /// A certificate, wherever it is served.
    Certificate {
        /// Which.
        thumbprint: Thumbprint,
    },
    /// Who certroll is to Azure.
    Identity,
    /// The events of Event Grid.
    Events,
    /// The journal.
    Journal,
    /// The configuration.
    Configuration,
}

/// One line of what belongs to a notice: what it is, and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is, such as "Role".
    pub label: String,
    /// Its value.
    pub value: String,
}

/// Something that people should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What happened, by its kind.
    pub kind: NoticeKind,
    /// How much it asks of people.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// When it was found.
    pub at: Timestamp,
    /// What happened, on one line.
    pub title: String,
    /// What happened: what was expected, what was found, the way out. Lines end with `\n`.
    pub text: String,
    /// What belongs to it, in its order.
    pub facts: Vec<Fact>,
    /// Two notices of one key tell the same thing: the later one is a repetition.
    pub key: String,
}

impl Notice {
    /// A name for this notice that stays the same however often it is sent.
    pub fn id(&self) -> String {
        digest([self.key.as_str(), &self.at.as_millisecond().to_string()])
    }
}

/// A notice while it is made.
struct Draft {
    notice: Notice,
}

impl Draft {
    fn new(kind: NoticeKind, severity: Severity, subject: Subject, at: Timestamp, key: String) -> Self {
        let (title, text, facts) = (String::new(), String::new(), Vec::new());
        Self { notice: Notice { kind, severity, subject, at, title, text, facts, key } }
    }

    fn title(mut self, title: &str) -> Self {
        self.notice.title = cut(&one_line(title), TITLE_LIMIT);
        self
    }

    /// Adds a line to the text.
    fn line(mut self, line: &str) -> Self {
        self.notice.text.push_str(&one_line(line));
        self.notice.text.push('\n');
        self
    }

    fn fact(mut self, label: &str, value: impl fmt::Display) -> Self {
        if self.notice.facts.len() < FACTS {
            let value = cut(&one_line(&value.to_string()), FACT_LIMIT);
            self.notice.facts.push(Fact { label: label.to_owned(), value });
        }
        self
    }

    /// The facts that tell a service.
    fn service(self, service: &CloudServiceId) -> Self {
        self.fact("Service", service.name())
            .fact("Resource group", service.resource_group())
            .fact("Subscription", service.subscription())
    }

    fn made(mut self) -> Notice {
        self.notice.text = cut(self.notice.text.trim_end(), TEXT_LIMIT);
        self.notice
    }
}

/// Sixteen hexadecimal digits that stand for texts: to tell things apart, not to prove anything.
fn digest<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text);
    }
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A service in a key: services are compared without case.
fn service_key(service: &CloudServiceId) -> String {
    service.to_string().to_ascii_lowercase()
}
