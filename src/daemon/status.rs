//! What a running certroll says of itself: the answer of the admin socket to `status`, made by the daemon and read by the
//! command. Nothing in it is secret.

use certroll_core::id::{CloudServiceId, RolloutId, Thumbprint, VaultName};
use certroll_core::plan::PlanDigest;
use certroll_core::policy::Mode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The form of the answer. A command of another version says so instead of guessing.
pub const FORMAT: u32 = 1;

/// Everything at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusView {
    /// [`FORMAT`].
    pub format: u32,
    /// The daemon's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Since when it runs.
    pub since: Timestamp,
    /// The Azure cloud.
    pub cloud: String,
    /// Whether it is stopping: nothing begins any more.
    pub stopping: bool,
    /// The pause of everything, if there is one.
    pub paused: Option<PauseView>,
    /// Since when a look is being made, if one is.
    pub looking: Option<Timestamp>,
    /// When the last look ended.
    pub last_look: Option<Timestamp>,
    /// When the schedule looks next.
    pub next_look: Option<Timestamp>,
    /// When the configuration was read that is in force.
    pub configured: Timestamp,
    /// Why a newer configuration is not in force, if one was refused.
    pub refused_configuration: Option<String>,
    /// Services in the order in which they are changed.
    pub services: Vec<ServiceView>,
    /// Vaults that were looked at.
    pub vaults: Vec<VaultView>,
}

/// A pause: looks go on, and nothing begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseView {
    /// Since when.
    pub since: Timestamp,
    /// Until when; absent where somebody must resume.
    pub until: Option<Timestamp>,
    /// Why, in the words of whoever paused.
    pub reason: Option<String>,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceView {
    /// The service.
    pub service: CloudServiceId,
    /// Who decides that a change is made.
    pub mode: Mode,
    /// Its stage.
    pub stage: u32,
    /// How it stands.
    pub state: ServiceWord,
    /// Why, in words.
    pub why: Vec<String>,
    /// Not before this time, where it is the time that is waited for.
    pub until: Option<Timestamp>,
    /// What is to be approved, where it waits for that.
    pub plan: Option<PlanDigest>,
    /// Its own pause, if it has one.
    pub paused: Option<PauseView>,
    /// Its running rollout.
    pub rollout: Option<RolloutView>,
    /// What it serves.
    pub serves: Vec<ServedView>,
}

/// How a service stands, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceWord {
    /// It was not looked at yet.
    Unknown,
    /// It has the newest versions.
    Current,
    /// It is to be changed.
    Planned,
    /// It is to be changed later.
    Waiting,
    /// It must not be changed like this.
    Blocked,
    /// It could not be read.
    Unreadable,
    /// A rollout of it runs.
    Running,
}

impl ServiceWord {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unknown,
        Self::Current,
        Self::Planned,
        Self::Waiting,
        Self::Blocked,
        Self::Unreadable,
        Self::Running,
    ];

    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Current => "current",
            Self::Planned => "planned",
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
            Self::Unreadable => "unreadable",
            Self::Running => "running",
        }
    }
}

/// A running rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutView {
    /// Its name.
    pub rollout: RolloutId,
    /// Since when.
    pub since: Timestamp,
    /// Where it is.
    pub step: String,
    /// What it waits for there.
    pub waits: Option<String>,
}

/// A certificate that a service serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedView {
    /// The role.
    pub role: String,
    /// The certificate's name in the cscfg.
    pub name: String,
    /// Its thumbprint.
    pub thumbprint: Thumbprint,
    /// Whether it is a leaf; an authority's certificate is served with it. Unknown where it could not be read.
    pub leaf: Option<bool>,
    /// When it ends, where that is known.
    pub not_after: Option<Timestamp>,
    /// Since when it is valid, if it could be read.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
}

/// A vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultView {
    /// The vault.
    pub vault: VaultName,
    /// When everything in it could last be read that is followed.
    pub last_read: Option<Timestamp>,
    /// Why not at the last look, if not.
    pub fault: Option<String>,
    /// When it last told of a change.
    pub last_event: Option<Timestamp>,
}
