//! What is proposed for one service, as data.

use jiff::Timestamp;
use serde::Serialize;

use super::probe::ProposedProbe;
use crate::certificate::Certificate;
use crate::id::{CloudServiceId, RoleName, SourceVaultId, Thumbprint, VaultObject};
use crate::policy::Mode;

/// What is proposed for one service.
#[derive(Clone, Debug, Serialize)]
pub struct Proposal {
    /// The service.
    pub service: CloudServiceId,
    /// Its region.
    pub location: Option<String>,
    /// Its roles with their instances.
    pub roles: Vec<(RoleName, Option<u32>)>,
    /// Who is to decide about changes: nobody, where another mechanism rotates the certificates already.
    pub mode: Mode,
    /// The certificates of its cscfg, in the cscfg's order.
    pub certificates: Vec<Finding>,
    /// References that no certificate of the cscfg names.
    pub surplus: Vec<Surplus>,
    /// References of which the deployed version cannot be read, by cause.
    pub unread: Vec<Unread>,
    /// What is to be looked at after a change.
    pub probes: Vec<ProposedProbe>,
    /// What a person should know of the service as a whole.
    pub notes: Vec<String>,
}

impl Proposal {
    /// The certificates that need an entry of their own.
    pub fn mapped(&self) -> impl Iterator<Item = (&Finding, &Mapped)> {
        self.certificates.iter().filter_map(|finding| match &finding.source {
            Source::Mapped(mapped) => Some((finding, mapped)),
            Source::Followed { .. } | Source::Left { .. } | Source::Unresolved { .. } => None,
        })
    }

    /// The certificates of which nobody knows where they come from.
    pub fn unresolved(&self) -> impl Iterator<Item = &Finding> {
        self.certificates.iter().filter(|finding| matches!(finding.source, Source::Unresolved { .. }))
    }
}

/// A service that cannot be proposed at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotProposed {
    /// Why.
    pub reason: String,
    /// What a person can do about it.
    pub hint: Option<String>,
}

/// A certificate of the cscfg: a name with one thumbprint, in one role or several.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The name.
    pub name: String,
    /// The roles that have it with this thumbprint.
    pub roles: Vec<RoleName>,
    /// Whether these are all roles that have a certificate of this name.
    pub every_role: bool,
    /// The thumbprint, where the cscfg has one.
    pub thumbprint: Option<Thumbprint>,
    /// What the certificate is, where it could be read.
    pub about: Option<About>,
    /// Where it comes from.
    pub source: Source,
    /// Settings that repeat the thumbprint and are to change with it.
    pub settings: Vec<String>,
    /// What a person should know of it.
    pub notes: Vec<String>,
}

/// What a certificate is, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct About {
    /// The subject's distinguished name.
    pub subject: String,
    /// Names that it serves.
    pub names: Vec<String>,
    /// End of its validity.
    pub not_after: Timestamp,
    /// Leaf or authority.
    pub authority: Authority,
}

/// What a certificate may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// Nothing: it identifies a server or a client.
    Leaf,
    /// It is a CA that another one issued.
    Intermediate,
    /// It is a CA that issued itself.
    Root,
}

impl From<&Certificate> for About {
    fn from(certificate: &Certificate) -> Self {
        let authority = match (certificate.is_ca(), certificate.is_self_issued()) {
            (false, _) => Authority::Leaf,
            (true, false) => Authority::Intermediate,
            (true, true) => Authority::Root,
        };
        Self {
            subject: certificate.subject().to_owned(),
            names: certificate.names().iter().map(ToString::to_string).collect(),
            not_after: certificate.not_after(),
            authority,
        }
    }
}

/// Where a certificate comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// A reference of the service carries it, and follows its own vault object.
    Followed {
        /// The vault object.
        object: VaultObject,
    },
    /// It needs an entry of its own.
    Mapped(Mapped),
    /// It is not to change.
    Left {
        /// Why.
        reason: String,
    },
    /// Nobody knows.
    Unresolved {
        /// Why.
        reason: String,
        /// What a person can do about it.
        hint: Option<String>,
    },
}

/// A certificate that is bound to a vault object by name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mapped {
    /// The vault object to follow.
    pub object: VaultObject,
    /// The resource id of its vault, where the service has no secret of that vault yet.
    pub source_vault: Option<SourceVaultId>,
    /// Why the reference alone is not enough.
    pub why: String,
    /// What a person has to decide, where the proposal is only the best that can be known today.
    pub decide: Option<String>,
    /// The object holds another certificate than the one that is deployed, a newer one of the same subject.
    pub newer: bool,
}

/// References that cannot be read, all for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// The vault objects.
    pub objects: Vec<String>,
    /// Why the first of them cannot be read.
    pub reason: String,
    /// What a person can do about it.
    pub hint: Option<String>,
}

/// A reference that no certificate of the cscfg names, such as the bootstrap certificate of an extension.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Surplus {
    /// The vault object.
    pub object: String,
    /// What it holds; or why that is not known.
    pub about: Result<About, String>,
}
