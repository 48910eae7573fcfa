//! Endpoints to look at after a change: proposed from a service's public DNS names, and believed only where one was seen
//! to present the certificate that is deployed. A wrong endpoint would turn every rollout back.

use serde::Serialize;

use super::proposal::{About, Authority, Finding};
use crate::certificate::{ServerAuth, SubjectName, covers};
use crate::id::Thumbprint;
use crate::plan::VaultContent;
use crate::ports::{Presentation, ProbeEndpoint};

/// The cscfg does not tell ports; this is the one of HTTPS, where a person names no other.
const PORT: u16 = 443;

/// An endpoint that may present a certificate of the service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProposedProbe {
    /// Where.
    pub endpoint: ProbeEndpoint,
    /// The certificate that it would present.
    pub thumbprint: Thumbprint,
    /// The certificate's name in the cscfg, where the service has several leaves.
    pub certificate: Option<String>,
    /// Why this endpoint.
    pub why: String,
    /// What a look at it found.
    pub finding: ProbeFinding,
}

/// What a look at an endpoint found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ProbeFinding {
    /// Nobody looked.
    NotTried,
    /// It presents the certificate that is deployed.
    Presents,
    /// It does not, or not everywhere.
    Differs {
        /// What it does instead.
        found: String,
    },
}

impl ProposedProbe {
    /// Concludes from what connections showed.
    pub fn judge(&mut self, presented: &[Presentation]) {
        let wrong = presented.iter().find_map(|one| match &one.outcome {
            Ok(chain) if chain.first() == Some(&self.thumbprint) => None,
            Ok(chain) => Some(match chain.first() {
                Some(leaf) => format!("{} presents {leaf}", one.address),
                None => format!("{} presents nothing", one.address),
            }),
            Err(reason) => Some(format!("{}: {reason}", one.address)),
        });
        self.finding = match wrong {
            Some(found) => ProbeFinding::Differs { found },
            None if presented.is_empty() => ProbeFinding::NotTried,
            None => ProbeFinding::Presents,
        };
    }
}

/// A leaf of a service, with what it holds.
pub(super) struct Leaf<'a> {
    pub(super) finding: &'a Finding,
    pub(super) content: &'a VaultContent,
}

impl Leaf<'_> {
    fn serves(&self) -> bool {
        let about: Option<&About> = self.finding.about.as_ref();
        about.is_some_and(|about| about.authority == Authority::Leaf)
            && self.content.leaf.server_auth() != ServerAuth::Excluded
    }
}

/// Each server certificate at each public DNS name. Where the certificate is not for that name, it is asked for by one of
/// its own.
pub(super) fn probes(
    leaves: &[Leaf<'_>],
    fqdns: &[String],
    port: Option<u16>,
    notes: &mut Vec<String>,
) -> Vec<ProposedProbe> {
    let port = port.unwrap_or(PORT);
    let mut serving: Vec<&Leaf<'_>> = Vec::new();
    for leaf in leaves.iter().filter(|leaf| leaf.serves()) {
        if serving.iter().all(|known| known.content.thumbprint() != leaf.content.thumbprint()) {
            serving.push(leaf);
        }
    }
    let several = serving.len() > 1;
    let mut proposed = Vec::new();
    for leaf in serving {
        for fqdn in fqdns {
            let names = leaf.content.leaf.names();
            let name = if covers(names, fqdn) { Some(fqdn.clone()) } else { asked_for(names) };
            let Some(server_name) = name else {
                notes.push(format!(
                    "no probe is proposed for certificate `{}`: it names no single host, so that nobody knows which name \
                     to ask for",
                    leaf.finding.name
                ));
                break;
            };
            let why = if server_name == *fqdn {
                "the public DNS name of the service, which the certificate is for".to_owned()
            } else {
                "the public DNS name of the service, asked for a name of the certificate".to_owned()
            };
            proposed.push(ProposedProbe {
                endpoint: ProbeEndpoint { address: format!("{fqdn}:{port}"), server_name },
                thumbprint: leaf.content.thumbprint(),
                certificate: several.then(|| leaf.finding.name.clone()),
                why,
                finding: ProbeFinding::NotTried,
            });
        }
    }
    proposed
}

/// The first name that a client can ask for: no wildcard and no address.
fn asked_for(names: &[SubjectName]) -> Option<String> {
    names.iter().find_map(|name| match name {
        SubjectName::Dns(name) if !name.starts_with("*.") => Some(name.clone()),
        SubjectName::Dns(_) | SubjectName::Ip(_) => None,
    })
}
