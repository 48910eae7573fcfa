//! What the publisher of events learns of a vault: new versions, and what is current.

use jiff::Timestamp;

use super::store::Object;
use super::{Kind, Vault};

/// New versions that wait for the publisher, which looks at every exchange with the cloud. A test of scale makes a few
/// thousand in one go; a vault that stands alone has no publisher, and then the oldest go first.
const MAX_UNSEEN: usize = 10_000;

/// A version that was added.
#[derive(Clone, Debug)]
pub(crate) struct NewVersion {
    /// What was created.
    pub(crate) kind: Kind,
    /// Name of the object, as the request wrote it.
    pub(crate) name: String,
    /// Version.
    pub(crate) version: String,
    /// When.
    pub(crate) at: Timestamp,
}

/// The current version of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Current<'a> {
    /// What the object was created as.
    pub(crate) kind: Kind,
    /// Name of the object.
    pub(crate) name: &'a str,
    /// Version.
    pub(crate) version: &'a str,
    /// `nbf` in Unix seconds.
    pub(crate) not_before: Option<i64>,
    /// `exp` in Unix seconds.
    pub(crate) expires: Option<i64>,
}

impl Vault {
    /// The versions that were added since this was asked last, oldest first.
    pub(crate) fn take_new_versions(&mut self) -> Vec<NewVersion> {
        self.new_versions.drain(..).collect()
    }

    /// The current version of every object that was not deleted.
    pub(crate) fn current_versions(&self) -> impl Iterator<Item = Current<'_>> {
        self.objects.values().filter(|object| !object.deleted).filter_map(current)
    }

    /// `nbf` and `exp` of a version, in Unix seconds.
    pub(crate) fn validity_of(&self, name: &str, version: &str) -> (Option<i64>, Option<i64>) {
        self.object(Kind::Secret, name)
            .and_then(|object| object.version(Some(version)))
            .map(|version| (version.secret.attributes.not_before, version.secret.attributes.expires))
            .unwrap_or_default()
    }

    pub(super) fn note_version(&mut self, kind: Kind, name: &str, version: &str, at: Timestamp) {
        if self.new_versions.len() == MAX_UNSEEN {
            self.new_versions.pop_front();
        }
        let (name, version) = (name.to_owned(), version.to_owned());
        self.new_versions.push_back(NewVersion { kind, name, version, at });
    }
}

fn current(object: &Object) -> Option<Current<'_>> {
    let version = object.version(None)?;
    Some(Current {
        kind: object.kind,
        name: &object.name,
        version: &version.id,
        not_before: version.secret.attributes.not_before,
        expires: version.secret.attributes.expires,
    })
}
