//! Role instances and their states.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::RoleName;

/// One role instance, as `roleInstances?$expand=instanceView` tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleInstance {
    /// Such as `Web_IN_0`.
    pub name: String,
    /// The update domain it is in, where the service tells.
    pub update_domain: Option<u32>,
    /// What it is doing.
    pub state: InstanceState,
}

impl RoleInstance {
    /// The role, from the instance's name.
    pub fn role(&self) -> RoleName {
        RoleName::new(self.name.rsplit_once("_IN_").map_or(self.name.as_str(), |(role, _)| role))
    }
}

/// The state of a role instance: `RoleState/RoleStateStarted` and its relatives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// `RoleStateStarted`: ready.
    Started,
    /// Any other state, by its word, such as `RoleStateBusy`.
    Other(String),
    /// The service said nothing of it.
    Unknown,
}

impl InstanceState {
    /// Reads a status code such as `RoleState/RoleStateStarted`.
    pub fn from_code(code: &str) -> Self {
        let word = code.rsplit('/').next().unwrap_or(code);
        if word.eq_ignore_ascii_case("RoleStateStarted") {
            Self::Started
        } else {
            Self::Other(word.to_owned())
        }
    }
}

impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Started => "RoleStateStarted",
            Self::Other(word) => word,
            Self::Unknown => "unknown",
        })
    }
}
