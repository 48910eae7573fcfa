//! What a configuration that names a service already does not have of what is proposed for it. What a person has decided
//! there stays decided: an entry is never proposed otherwise, but for an object that is named after its thumbprint, which
//! the next certificate leaves behind.

use serde::Serialize;

use super::proposal::{Finding, Mapped, Proposal, Source, Unread};
use super::survey::names_a_thumbprint;
use super::{ProbeFinding, ProposedProbe};
use crate::id::{CloudServiceId, RoleName, VaultObject};
use crate::policy::{CertificateMapping, Follow, Mode, ServicePolicy};

/// What is to be added for one service.
#[derive(Clone, Debug, Serialize)]
pub struct Additions {
    /// The service.
    pub service: CloudServiceId,
    /// Certificates that need an entry, in the roles that have none: mapped ones, and those that nobody knows the source
    /// of.
    pub certificates: Vec<Finding>,
    /// Entries that lack something.
    pub entries: Vec<EntryAddition>,
    /// Endpoints that present a certificate which no endpoint of the configuration asks for. Those that were not tried yet
    /// are candidates: see [`Additions::keep_seen`].
    pub probes: Vec<ProposedProbe>,
    /// References that cannot be read, where a certificate has no known source because of them.
    pub unread: Vec<Unread>,
    /// Who is to decide about changes from now on, with the reason; where another mechanism took over.
    pub mode: Option<(Mode, String)>,
}

/// What an entry of the configuration lacks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EntryAddition {
    /// The entry's certificate.
    pub name: String,
    /// The entry's role, where it has one.
    pub role: Option<RoleName>,
    /// Settings that repeat the thumbprint and are not listed.
    pub settings: Vec<String>,
    /// An object that is newer or whose name stays, where the entry names one after its thumbprint.
    pub source: Option<NewerSource>,
}

/// An object that takes the place of another in an entry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NewerSource {
    /// The one that the entry names.
    pub instead_of: VaultObject,
    /// What is proposed.
    pub mapped: Mapped,
}

impl Additions {
    /// Compares what is proposed with what is configured.
    pub fn to(policy: &ServicePolicy, proposal: &Proposal) -> Self {
        let mut found = Self {
            service: proposal.service.clone(),
            certificates: Vec::new(),
            entries: Vec::new(),
            probes: Vec::new(),
            unread: Vec::new(),
            mode: None,
        };
        for finding in &proposal.certificates {
            found.certificates.extend(missing(policy, finding));
            found.entries.extend(lacking(policy, finding));
        }
        if found.certificates.iter().any(|finding| matches!(finding.source, Source::Unresolved { .. })) {
            found.unread.clone_from(&proposal.unread);
        }
        found.probes = proposal.probes.iter().filter(|probe| !is_asked_for(policy, probe)).cloned().collect();
        if proposal.mode == Mode::Observe && policy.mode != Mode::Observe {
            found.mode = Some((Mode::Observe, proposal.notes.first().cloned().unwrap_or_default()));
        }
        found
    }

    /// Forgets endpoints that were not seen to present what is deployed: whoever wrote the configuration has been told of
    /// them, and knows better.
    pub fn keep_seen(&mut self) {
        self.probes.retain(|probe| probe.finding == ProbeFinding::Presents);
    }

    /// Whether there is nothing to add.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
            && self.entries.is_empty()
            && self.probes.is_empty()
            && self.mode.is_none()
    }
}

/// The certificate in those roles that no entry is about, where it needs one.
fn missing(policy: &ServicePolicy, finding: &Finding) -> Option<Finding> {
    let source = match &finding.source {
        Source::Left { .. } => return None,
        Source::Followed { .. } if policy.follow == Follow::References => return None,
        Source::Followed { object } => Source::Mapped(Mapped {
            object: object.clone(),
            source_vault: None,
            why: "only listed certificates follow here, and it is not listed".to_owned(),
            decide: None,
            newer: false,
        }),
        source => source.clone(),
    };
    let is_mapped = |role: &RoleName| policy.certificates.iter().any(|entry| is_about(entry, finding, role));
    let roles: Vec<RoleName> = finding.roles.iter().filter(|role| !is_mapped(role)).cloned().collect();
    if roles.is_empty() {
        return None;
    }
    let every_role = finding.every_role && roles.len() == finding.roles.len();
    Some(Finding { roles, every_role, source, ..finding.clone() })
}

/// What the entries that are about a certificate lack.
fn lacking(policy: &ServicePolicy, finding: &Finding) -> Vec<EntryAddition> {
    let entries: Vec<&CertificateMapping> = policy
        .certificates
        .iter()
        .filter(|entry| finding.roles.iter().any(|role| is_about(entry, finding, role)))
        .collect();
    // A setting changes with whichever of the entries names it.
    let has = |setting: &&String| entries.iter().any(|entry| entry.settings.contains(setting));
    let mut settings: Vec<String> = finding.settings.iter().filter(|name| !has(name)).cloned().collect();
    let mut lacking = Vec::new();
    for entry in entries {
        let source = match &finding.source {
            Source::Mapped(mapped)
                if (mapped.newer || !names_a_thumbprint(&mapped.object.name))
                    && mapped.object != entry.source
                    && names_a_thumbprint(&entry.source.name) =>
            {
                Some(NewerSource { instead_of: entry.source.clone(), mapped: mapped.clone() })
            }
            _ => None,
        };
        let settings = std::mem::take(&mut settings);
        if source.is_some() || !settings.is_empty() {
            let (name, role) = (entry.name.clone(), entry.role.clone());
            lacking.push(EntryAddition { name, role, settings, source });
        }
    }
    lacking
}

fn is_about(entry: &CertificateMapping, finding: &Finding, role: &RoleName) -> bool {
    entry.name.eq_ignore_ascii_case(&finding.name) && entry.role.as_ref().is_none_or(|of| of == role)
}

/// Whether the configuration looks at the certificate of a probe already, wherever that is: by the name that is asked for,
/// or by the certificate that is named.
fn is_asked_for(policy: &ServicePolicy, probe: &ProposedProbe) -> bool {
    policy.probe.endpoints.iter().any(|known| {
        let named =
            |name: &String| probe.certificate.as_ref().is_some_and(|of| of.eq_ignore_ascii_case(name));
        known.endpoint.server_name.eq_ignore_ascii_case(&probe.endpoint.server_name)
            || known.certificate.as_ref().is_some_and(named)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::tests::{named, one, proposal};
    use crate::id::ObjectKind;
    use crate::plan::tests::world::{RDP, World, leaf, service_policy};
    use crate::policy::ProbedEndpoint;
    use crate::ports::ProbeEndpoint;

    fn entry(name: &str, role: Option<&str>, source: &str, settings: &[&str]) -> CertificateMapping {
        CertificateMapping {
            name: name.to_owned(),
            role: role.map(RoleName::new),
            source: source.parse().unwrap(),
            source_vault: None,
            settings: settings.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn configured(follow: Follow, certificates: &[CertificateMapping]) -> ServicePolicy {
        let policy = service_policy(crate::plan::tests::world::SERVICE);
        ServicePolicy { follow, certificates: certificates.to_vec(), ..policy }
    }

    /// What is to be added, in few words.
    fn told(additions: &Additions) -> Vec<String> {
        let certificates = additions.certificates.iter().map(|finding| {
            let roles: Vec<&str> = finding.roles.iter().map(RoleName::as_str).collect();
            let source = match &finding.source {
                Source::Mapped(mapped) => mapped.object.to_string(),
                other => format!("{other:?}"),
            };
            format!("{} of {} from {source} {}", finding.name, roles.join("+"), finding.settings.join("+"))
        });
        let entries = additions.entries.iter().map(|entry| {
            let role = entry.role.as_ref().map_or("every role", RoleName::as_str);
            let source = entry.source.as_ref().map(|newer| newer.mapped.object.to_string());
            let source = source.unwrap_or_default();
            format!("entry {} of {role}: {} {source}", entry.name, entry.settings.join("+"))
        });
        certificates.chain(entries).map(|line| line.trim_end().to_owned()).collect()
    }

    #[test]
    fn what_no_entry_covers_is_added_and_what_one_covers_is_not() {
        let held = leaf("shop.contoso.com", 2025);
        let mut world = World::new();
        world.holds("tls/1", &held).delivers(&["tls/1"]);
        world.role("Web", &[("ShopTls", &held), (RDP, &held)]).role("Worker", &[("ShopTls", &held)]);
        world.setting("Web", "Tls", &named(&held)).setting("Worker", "Other", &named(&held));
        let tls = "shop-kv/certificates/tls";
        let whole = format!("ShopTls of Web+Worker from {tls} Tls+Other");
        type Case<'a> = (Follow, &'a [CertificateMapping], &'a [&'a str]);
        let of_worker = format!("ShopTls of Worker from {tls} Tls+Other");
        let cases: [Case<'_>; 7] = [
            (Follow::References, &[], &[&whole]),
            (Follow::Listed, &[], &[&whole]),
            (Follow::References, &[entry("shoptls", None, tls, &["Other", "Tls"])], &[]),
            (Follow::References, &[entry("Api", None, tls, &["Other", "Tls"])], &[&whole]),
            (Follow::References, &[entry("ShopTls", None, "shop-kv/secrets/mine", &["Tls", "Other"])], &[]),
            (
                Follow::References,
                &[entry("ShopTls", None, tls, &["Tls"])],
                &["entry ShopTls of every role: Other"],
            ),
            (Follow::References, &[entry("ShopTls", Some("web"), tls, &["Tls", "Other"])], &[&of_worker]),
        ];
        for (follow, entries, expected) in cases {
            let policy = configured(follow, entries);
            let additions = Additions::to(&policy, &proposal(world.clone()));
            assert_eq!(told(&additions), expected, "{entries:?}");
            assert_eq!(additions.is_empty(), expected.is_empty() && additions.probes.is_empty());
        }
    }

    #[test]
    fn a_certificate_that_follows_is_new_only_where_what_follows_is_listed() {
        let world = one("tls/1", &leaf("shop.contoso.com", 2025), ObjectKind::Certificate);
        let proposed = proposal(world);
        assert!(told(&Additions::to(&configured(Follow::References, &[]), &proposed)).is_empty());
        let listed = configured(Follow::Listed, &[entry("Api", None, "shop-kv/certificates/api", &[])]);
        let additions = Additions::to(&listed, &proposed);
        assert_eq!(told(&additions), ["ShopTls of Web from shop-kv/certificates/tls"]);
        let Source::Mapped(mapped) = &additions.certificates[0].source else { panic!("{additions:?}") };
        assert!(mapped.why.contains("only listed"), "{}", mapped.why);
    }

    #[test]
    fn an_entry_that_names_an_object_after_its_thumbprint_learns_of_the_next_one() {
        let (old, new) = (leaf("shop.contoso.com", 2025), leaf("shop.contoso.com", 2026));
        let deployed = || one(&format!("{}/1", named(&old)), &old, ObjectKind::Secret);
        let own = format!("shop-kv/secrets/{}", named(&old));
        let policy = configured(Follow::References, &[entry("ShopTls", None, &own, &[])]);
        assert!(told(&Additions::to(&policy, &proposal(deployed()))).is_empty(), "there is no other");

        let mut world = deployed();
        world.holds_secret(&format!("{}/1", named(&new)), &new);
        let additions = Additions::to(&policy, &proposal(world.clone()));
        let next = format!("shop-kv/secrets/{}", named(&new).to_ascii_lowercase());
        assert_eq!(told(&additions), [format!("entry ShopTls of every role:  {next}")]);
        assert_eq!(additions.entries[0].source.as_ref().unwrap().instead_of.to_string(), own);
        let follows = configured(Follow::References, &[entry("ShopTls", None, &next, &[])]);
        assert!(told(&Additions::to(&follows, &proposal(world.clone()))).is_empty(), "it names that one");
        let chosen = configured(Follow::References, &[entry("ShopTls", None, "shop-kv/secrets/mine", &[])]);
        assert!(told(&Additions::to(&chosen, &proposal(world))).is_empty(), "a person chose");

        let mut world = deployed();
        world.holds("shop-tls/1", &old);
        let additions = Additions::to(&policy, &proposal(world));
        assert_eq!(told(&additions), ["entry ShopTls of every role:  shop-kv/certificates/shop-tls"]);
        // An entry runs before what is deployed, and what it names cannot be seen to be newer.
        let ahead = format!("shop-kv/secrets/{}", named(&new));
        let ahead = configured(Follow::References, &[entry("ShopTls", None, &ahead, &[])]);
        assert!(told(&Additions::to(&ahead, &proposal(deployed()))).is_empty());
    }

    #[test]
    fn what_nobody_knows_the_source_of_stays_open_until_it_is_named() {
        let (held, gone) = (leaf("shop.contoso.com", 2025), leaf("gone.contoso.com", 2025));
        let mut world = one("tls/1", &held, ObjectKind::Certificate);
        world.role("Jobs", &[("Gone", &gone)]);
        world.version("tls/1").content = Err(crate::plan::tests::world::forbidden("reading `tls`: denied"));
        let proposed = proposal(world);
        let additions = Additions::to(&configured(Follow::References, &[]), &proposed);
        assert_eq!(additions.certificates.len(), 2, "{additions:?}");
        assert_eq!(additions.unread.len(), 1);
        let both = ["ShopTls", "Gone"].map(|name| entry(name, None, "shop-kv/certificates/tls", &[]));
        let additions = Additions::to(&configured(Follow::References, &both), &proposed);
        assert!(additions.is_empty() && additions.unread.is_empty(), "{additions:?}");
    }

    #[test]
    fn endpoints_are_added_where_no_endpoint_asks_for_that_certificate() {
        let proposed = proposal(one("tls/1", &leaf("shop.contoso.com", 2025), ObjectKind::Certificate));
        let mut policy = configured(Follow::References, &[]);
        for (address, server_name, certificate, covered) in [
            ("lb.contoso.com:8443", "SHOP.contoso.com", None, true),
            ("lb.contoso.com:8443", "api.contoso.com", None, false),
            ("lb.contoso.com:8443", "api.contoso.com", Some("Other"), false),
        ] {
            let endpoint = ProbeEndpoint { address: address.to_owned(), server_name: server_name.to_owned() };
            policy.probe.endpoints =
                vec![ProbedEndpoint { endpoint, certificate: certificate.map(str::to_owned) }];
            let additions = Additions::to(&policy, &proposed);
            assert_eq!(additions.probes.is_empty(), covered, "{server_name}");
        }
        let mut additions = Additions::to(&policy, &proposed);
        additions.keep_seen();
        assert!(additions.is_empty(), "nobody saw it");
        let mut additions = Additions::to(&policy, &proposed);
        additions.probes[0].finding = ProbeFinding::Presents;
        additions.keep_seen();
        assert!(!additions.is_empty());
    }

    #[test]
    fn a_service_that_another_mechanism_took_over_is_to_be_observed() {
        let mut proposed = proposal(one("tls/1", &leaf("shop.contoso.com", 2025), ObjectKind::Certificate));
        proposed.mode = Mode::Observe;
        proposed.notes = vec!["the Key Vault extension rotates".to_owned()];
        let mut policy = configured(Follow::References, &[]);
        let additions = Additions::to(&policy, &proposed);
        assert_eq!(additions.mode, Some((Mode::Observe, "the Key Vault extension rotates".to_owned())));
        policy.mode = Mode::Observe;
        assert_eq!(Additions::to(&policy, &proposed).mode, None);
    }
}
