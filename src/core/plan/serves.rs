//! What a service serves today, as far as it is known: for everybody who asks when it ends.

use super::follow::mapping_of;
use super::needs::newest;
use super::observation::{ObjectKey, Observation};
use super::report::ServedCertificate;
use super::resolve::content;
use super::update::CertificateSummary;
use crate::policy::ServicePolicy;

/// The certificates of the cscfg, with what was read of them. Nothing is an error here: what cannot be read is not known,
/// and planning says why.
pub(super) fn serves(policy: &ServicePolicy, observation: &Observation) -> Vec<ServedCertificate> {
    let Some(Ok(model)) = observation.services.get(&policy.service) else { return Vec::new() };
    let (Ok(configuration), Ok(profile)) = (model.configuration(), model.os_profile()) else {
        return Vec::new();
    };
    let served = |entry: &crate::cscfg::CertificateEntry| {
        let thumbprint = entry.thumbprint.known()?;
        let carrier = profile
            .urls()
            .filter_map(|url| Some((url, content(observation, url)?)))
            .find(|(_, content)| content.thumbprint() == thumbprint);
        let followed = match (mapping_of(policy, entry), carrier) {
            (Some(mapping), _) => {
                newest(observation, &ObjectKey::from(&mapping.source)).map(|one| &one.secret)
            }
            (None, Some((url, _))) => observation.newest_of(url),
            (None, None) => None,
        };
        Some(ServedCertificate {
            role: entry.role.clone(),
            name: entry.name.clone(),
            thumbprint,
            version: carrier.map(|(url, _)| url.clone()),
            newest: followed.cloned(),
            certificate: carrier.map(|(_, content)| CertificateSummary::from(&content.leaf)),
        })
    };
    configuration.certificates().iter().filter_map(served).collect()
}
