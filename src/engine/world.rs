//! What is remembered from one look to the next, so that an unchanged world costs its list pages and nothing more.
//! All of it may be forgotten at any time: the next look finds it again.

use std::collections::HashMap;
use std::sync::Mutex;

use certroll_core::id::{ObjectKind, SecretIdentifier, Thumbprint, VaultName};
use certroll_core::plan::{ObjectKey, ObservedObject, Unreadable, VaultContent};
use jiff::Timestamp;

/// Contents that are remembered: at a few kilobytes each, some tens of megabytes at the worst.
const CONTENTS: usize = 10_000;

/// The memory of one process.
#[derive(Debug, Default)]
pub struct World {
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    objects: HashMap<ObjectKey, KnownObject>,
    /// What versions hold never changes, nor that one cannot be understood.
    contents: HashMap<SecretIdentifier, Result<VaultContent, Unreadable>>,
    /// Pages that the last listing of a collection took.
    pages: HashMap<(VaultName, ObjectKind), usize>,
    /// Looks in a row at which a vault was given up since it did not answer.
    given_up: HashMap<VaultName, u32>,
    /// Subscriptions whose list answers lacked the cscfg.
    lists_lack_configuration: HashMap<String, ()>,
}

/// What was learned of a vault object at the last look.
#[derive(Clone, Debug)]
pub(crate) struct KnownObject {
    pub(crate) object: ObservedObject,
    /// The current version's attributes, by which a list tells a change. `None` where the current version is disabled:
    /// then only the list of versions tells.
    pub(crate) current: Option<CurrentFacts>,
}

/// What a list says of an object's current version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CurrentFacts {
    pub(crate) updated: Option<Timestamp>,
    pub(crate) thumbprint: Option<Thumbprint>,
}

impl World {
    /// An empty memory.
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, work: impl FnOnce(&mut Memory) -> T) -> T {
        work(&mut self.memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    pub(crate) fn object(&self, key: &ObjectKey) -> Option<KnownObject> {
        self.with(|memory| memory.objects.get(key).cloned())
    }

    pub(crate) fn remember_object(&self, key: &ObjectKey, known: KnownObject) {
        self.with(|memory| memory.objects.insert(key.clone(), known));
    }

    pub(crate) fn forget_object(&self, key: &ObjectKey) {
        self.with(|memory| memory.objects.remove(key));
    }

    pub(crate) fn content(&self, secret: &SecretIdentifier) -> Option<Result<VaultContent, Unreadable>> {
        self.with(|memory| memory.contents.get(secret).cloned())
    }

    pub(crate) fn remember_content(
        &self,
        secret: &SecretIdentifier,
        content: Result<VaultContent, Unreadable>,
    ) {
        self.with(|memory| {
            if memory.contents.len() >= CONTENTS {
                memory.contents.clear();
            }
            memory.contents.insert(secret.clone(), content);
        });
    }

    pub(crate) fn pages(&self, vault: &VaultName, kind: ObjectKind) -> Option<usize> {
        self.with(|memory| memory.pages.get(&(vault.clone(), kind)).copied())
    }

    pub(crate) fn remember_pages(&self, vault: &VaultName, kind: ObjectKind, pages: usize) {
        self.with(|memory| memory.pages.insert((vault.clone(), kind), pages));
    }

    pub(crate) fn given_up(&self, vault: &VaultName) -> u32 {
        self.with(|memory| memory.given_up.get(vault).copied().unwrap_or_default())
    }

    pub(crate) fn note_given_up(&self, vault: &VaultName, given_up: bool) {
        self.with(|memory| {
            if given_up {
                let looks = memory.given_up.entry(vault.clone()).or_default();
                *looks = looks.saturating_add(1);
            } else {
                memory.given_up.remove(vault);
            }
        });
    }

    pub(crate) fn lists_lack_configuration(&self, subscription: &str) -> bool {
        self.with(|memory| memory.lists_lack_configuration.contains_key(&subscription.to_ascii_lowercase()))
    }

    pub(crate) fn remember_that_lists_lack_configuration(&self, subscription: &str) {
        self.with(|memory| memory.lists_lack_configuration.insert(subscription.to_ascii_lowercase(), ()));
    }
}
