//! Every decision, from small worlds: those of planning, with lists and public addresses besides.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Authority, Finding, ProbeFinding, Proposal, Source, Survey, Want, propose, wants};
use crate::certificate::Certificate;
use crate::id::{ObjectKind, VaultName};
use crate::plan::Unreadable;
use crate::plan::tests::world::{self, Make, RDP, SERVICE, World, ca, leaf, vault_id};
use crate::policy::Mode;
use crate::ports::{ListedObject, Presentation, PublicAddress};
use crate::target::cloud_service::CloudServiceModel;

const ADDRESS: &str =
    "/subscriptions/s/resourceGroups/shop/providers/Microsoft.Network/publicIPAddresses/shop-ip";

/// A service among vaults, and what else is known of it.
struct Found {
    world: World,
    address: Result<PublicAddress, Unreadable>,
    vaults: Vec<VaultName>,
    vault_ids: Vec<&'static str>,
    unlisted: Option<Unreadable>,
    model: Option<CloudServiceModel>,
}

impl Found {
    fn new(world: World) -> Self {
        let address = Ok(PublicAddress { fqdn: Some("shop.x.cloudapp.chinacloudapi.cn".to_owned()) });
        Self { world, address, vaults: Vec::new(), vault_ids: Vec::new(), unlisted: None, model: None }
    }

    fn model(&self) -> CloudServiceModel {
        if let Some(model) = &self.model {
            return model.clone();
        }
        let mut value = self.world.model().value().clone();
        value["properties"]["networkProfile"] = json!({ "loadBalancerConfigurations": [{ "properties": {
            "frontendIpConfigurations": [{ "properties": { "publicIPAddress": { "id": ADDRESS } } }] } }] });
        CloudServiceModel::new(value).unwrap()
    }

    /// As the vault lists them: by name, each with what its newest version holds.
    fn listing(&self, vault: &VaultName, kind: ObjectKind) -> Result<Vec<ListedObject>, Unreadable> {
        if let Some(unreadable) = &self.unlisted {
            return Err(unreadable.clone());
        }
        let here =
            self.world.objects.iter().filter(|((of, _), object)| of == vault.as_str() && object.kind == kind);
        Ok(here
            .map(|((_, name), object)| {
                let newest = object.versions.last().unwrap();
                let thumbprint = newest.content.as_ref().ok().map(crate::plan::VaultContent::thumbprint);
                ListedObject {
                    name: name.parse().unwrap(),
                    enabled: newest.enabled,
                    updated: None,
                    thumbprint: thumbprint.filter(|_| kind == ObjectKind::Certificate),
                    managed: false,
                }
            })
            .collect())
    }

    /// Looks until nothing more is wanted, and tells everything that was.
    fn survey(&self) -> (Survey, Vec<Want>) {
        let service = SERVICE.parse().unwrap();
        let mut survey = Survey {
            vaults: self.vaults.iter().cloned().collect(),
            vault_ids: self
                .vault_ids
                .iter()
                .map(|name| (name.parse().unwrap(), vault_id(name).parse().unwrap()))
                .collect(),
            ..Survey::default()
        };
        let model = self.world.unreadable.clone().map_or_else(|| Ok(self.model()), Err);
        survey.observation.services.insert(service, model);
        let mut asked = Vec::new();
        for _ in 0..8 {
            let wanted = wants(&SERVICE.parse().unwrap(), &survey);
            if wanted.is_empty() {
                return (survey, asked);
            }
            for want in wanted {
                match &want {
                    Want::Look(need) => self.world.answer(need, &mut survey.observation),
                    Want::Listing(vault, kind) => {
                        survey.listings.insert((vault.clone(), *kind), self.listing(vault, *kind));
                    }
                    Want::Address(id) => {
                        survey.addresses.insert(id.clone(), self.address.clone());
                    }
                }
                assert!(!asked.contains(&want), "asked twice: {want:?}");
                asked.push(want);
            }
        }
        panic!("it wants ever more");
    }

    fn proposal(&self) -> Proposal {
        propose(&SERVICE.parse().unwrap(), &self.survey().0).unwrap()
    }
}

pub(super) fn proposal(world: World) -> Proposal {
    Found::new(world).proposal()
}

/// What was found of a certificate, in few words.
fn told(finding: &Finding) -> String {
    match &finding.source {
        Source::Followed { object } => format!("follows {object}"),
        Source::Mapped(mapped) => format!("mapped {}", mapped.object),
        Source::Left { .. } => "left".to_owned(),
        Source::Unresolved { reason, .. } => format!("unresolved: {reason}"),
    }
}

fn why(proposal: &Proposal) -> String {
    let (_, mapped) = proposal.mapped().next().unwrap();
    format!("{} / {}", mapped.why, mapped.decide.as_deref().unwrap_or("-"))
}

/// A secret that is named after what it holds.
pub(super) fn named(certificate: &Certificate) -> String {
    certificate.thumbprint().to_string()
}

/// One leaf in one role, carried by one secret.
pub(super) fn one(short: &str, held: &Certificate, kind: ObjectKind) -> World {
    let mut world = World::new();
    world.holds_as(short, kind, Ok(world::opened(held)));
    world.role("Web", &[("ShopTls", held)]).delivers(&[short]);
    world
}

#[test]
fn a_reference_follows_its_object_whatever_newer_versions_that_has() {
    let (old, new) = (leaf("shop.contoso.com", 2025), leaf("shop.contoso.com", 2026));
    for (kind, expected) in [
        (ObjectKind::Certificate, "follows shop-kv/certificates/tls"),
        (ObjectKind::Secret, "follows shop-kv/secrets/tls"),
    ] {
        let mut world = one("tls/1", &old, kind);
        assert_eq!(told(&proposal(world.clone()).certificates[0]), expected);
        world.holds_as("tls/2", kind, Ok(world::opened(&new)));
        assert_eq!(told(&proposal(world).certificates[0]), expected);
    }
}

#[test]
fn an_unambiguous_service_of_vault_certificates_costs_no_list() {
    let (world, ..) = world::renewed();
    let (_, asked) = Found::new(world).survey();
    assert!(!asked.iter().any(|want| matches!(want, Want::Listing(..))), "{asked:?}");
}

#[test]
fn an_object_named_after_its_thumbprint_is_mapped_to_the_newest_of_its_subject() {
    let (old, new) = (leaf("shop.contoso.com", 2025), leaf("shop.contoso.com", 2026));
    let other = leaf("other.contoso.com", 2026);
    let deployed = format!("{}/1", named(&old));
    let base = || one(&deployed, &old, ObjectKind::Secret);
    let next = format!("{}/1", named(&new));

    // Nothing newer: it is named, and a person is told what has to be decided.
    let mut world = base();
    world.holds_secret(&format!("{}/1", named(&other)), &other);
    let found = proposal(world);
    assert_eq!(told(&found.certificates[0]), format!("mapped shop-kv/secrets/{}", named(&old)));
    assert!(
        why(&found).contains("no newer one") && why(&found).contains("a name that stays"),
        "{}",
        why(&found)
    );

    // A newer one under its own thumbprint.
    let mut world = base();
    world.holds_secret(&next, &new);
    let found = proposal(world);
    assert_eq!(
        told(&found.certificates[0]),
        format!("mapped shop-kv/secrets/{}", named(&new).to_ascii_lowercase())
    );
    assert!(why(&found).contains("is named after its thumbprint, too"), "{}", why(&found));

    // A newer one in a vault certificate, whose name stays: nothing is left to decide.
    let mut world = base();
    world.holds_secret(&next, &new).holds("shop-tls/1", &new);
    let found = proposal(world);
    assert_eq!(told(&found.certificates[0]), "mapped shop-kv/certificates/shop-tls");
    assert!(why(&found).ends_with("/ -"), "{}", why(&found));

    // The same one in a vault certificate.
    let mut world = base();
    world.holds("shop-tls/1", &old).holds_secret(&next, &new);
    let found = proposal(world);
    assert_eq!(told(&found.certificates[0]), "mapped shop-kv/certificates/shop-tls");
    assert!(why(&found).contains("holds the same certificate and keeps its name"), "{}", why(&found));

    // An older one of the same subject is no successor.
    let mut world = one(&next, &new, ObjectKind::Secret);
    world.holds("shop-tls/1", &old);
    let found = proposal(world);
    assert_eq!(told(&found.certificates[0]), format!("mapped shop-kv/secrets/{}", named(&new)));
}

#[test]
fn a_successor_is_of_the_same_subject_and_kind_and_serves_the_same_names() {
    let old = Make {
        common_name: "shop",
        names: &["a.contoso.com", "b.contoso.com"],
        years: (2025, 2026),
        ..Make::default()
    };
    let deployed = old.made();
    for (make, continues) in [
        (
            Make {
                common_name: "shop",
                names: &["a.contoso.com", "b.contoso.com", "c.contoso.com"],
                ..Make::default()
            },
            true,
        ),
        (Make { common_name: "shop", names: &["a.contoso.com"], ..Make::default() }, false),
        (Make { common_name: "other", names: &["a.contoso.com", "b.contoso.com"], ..Make::default() }, false),
        (
            Make {
                common_name: "shop",
                names: &["a.contoso.com", "b.contoso.com"],
                ca: true,
                ..Make::default()
            },
            false,
        ),
    ] {
        let new = Make { years: (2026, 2028), ..make }.made();
        let mut world = one(&format!("{}/1", named(&deployed)), &deployed, ObjectKind::Secret);
        world.holds("next/1", &new);
        let told = told(&proposal(world).certificates[0]);
        assert_eq!(told == "mapped shop-kv/certificates/next", continues, "{told}");
    }
}

#[test]
fn secrets_of_other_names_are_not_opened() {
    let (old, new) = (leaf("shop.contoso.com", 2025), leaf("shop.contoso.com", 2026));
    let mut world = one(&format!("{}/1", named(&old)), &old, ObjectKind::Secret);
    world.holds_secret("database-password/1", &new);
    let (_, asked) = Found::new(world).survey();
    assert!(!format!("{asked:?}").contains("database-password"), "{asked:?}");
}

#[test]
fn a_name_that_bore_a_thumbprint_and_got_another_certificate_is_a_name_like_any_other() {
    let (old, new) = (leaf("shop.contoso.com", 2025), leaf("shop.contoso.com", 2026));
    let mut world = one(&format!("{}/1", named(&old)), &old, ObjectKind::Secret);
    world.holds_secret(&format!("{}/2", named(&old)), &new);
    assert_eq!(told(&proposal(world).certificates[0]), format!("follows shop-kv/secrets/{}", named(&old)));
}

#[test]
fn a_vault_certificate_of_the_same_content_goes_before_the_secret() {
    let held = leaf("shop.contoso.com", 2025);
    let mut world = one("tls-as-secret/1", &held, ObjectKind::Secret);
    world.holds("tls/1", &held);
    let found = proposal(world);
    assert_eq!(told(&found.certificates[0]), "mapped shop-kv/certificates/tls");
    assert!(why(&found).contains("which of the two is renewed"), "{}", why(&found));
}

#[test]
fn a_setting_that_repeats_the_thumbprint_makes_an_entry_necessary() {
    let (old, new) = (leaf("shop.contoso.com", 2025), leaf("shop.contoso.com", 2026));
    let mut world = World::new();
    world.holds("tls/1", &old).holds("tls/2", &new).delivers(&["tls/1"]);
    world.role("Web", &[("ShopTls", &old)]).role("Worker", &[("ShopTls", &old)]).role("Jobs", &[]);
    world.setting("Web", "Tls", &named(&old)).setting("Web", "Allowed", &format!("{}, x", named(&old)));
    world.setting("Jobs", "Tls", &named(&old)).setting("Jobs", "Other", "1");
    world.setting("Worker", "Find", &format!("Store=My;Find={}", named(&old)));
    let found = proposal(world);
    let [finding] = found.certificates.as_slice() else { panic!("{:?}", found.certificates) };
    assert_eq!(told(finding), "mapped shop-kv/certificates/tls");
    assert_eq!(
        (finding.settings.as_slice(), finding.every_role),
        (&["Tls".to_owned(), "Allowed".to_owned()][..], true)
    );
    assert!(
        finding.notes[0].contains("`Find` of role `Worker`") && finding.notes[0].contains("leaves alone")
    );
}

#[test]
fn a_name_that_holds_different_certificates_in_different_roles_is_found_for_each() {
    let (one, two) = (leaf("one.contoso.com", 2025), leaf("two.contoso.com", 2025));
    let mut world = World::new();
    world.holds("one/1", &one).holds("two/1", &two).delivers(&["one/1", "two/1"]);
    world.role("Web", &[("Tls", &one)]).role("Api", &[("tls", &two)]).role("Jobs", &[("Tls", &one)]);
    let found = proposal(world);
    let told: Vec<_> = found
        .certificates
        .iter()
        .map(|finding| {
            (
                finding.roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
                told(finding),
                finding.every_role,
            )
        })
        .collect();
    let expected = [("Web Jobs", "one"), ("Api", "two")]
        .map(|(roles, name)| (roles.to_owned(), format!("follows shop-kv/certificates/{name}"), false));
    assert_eq!(told, expected);
}

#[test]
fn references_that_carry_the_same_certificate_and_part_have_to_be_chosen_from() {
    let (old, new) = (leaf("shop.contoso.com", 2025), leaf("shop.contoso.com", 2026));
    let mut world = World::new();
    world.holds("a/1", &old).holds("b/1", &old).delivers(&["b/1", "a/1"]).role("Web", &[("ShopTls", &old)]);
    assert_eq!(told(&proposal(world.clone()).certificates[0]), "follows shop-kv/certificates/b");
    world.holds("a/2", &new);
    let found = proposal(world);
    assert_eq!(told(&found.certificates[0]), "mapped shop-kv/certificates/b");
    assert!(why(&found).contains("newest versions differ"), "{}", why(&found));
}

#[test]
fn what_cannot_be_read_is_concluded_where_only_one_answer_is_left() {
    let (held, other) = (leaf("shop.contoso.com", 2025), leaf("api.contoso.com", 2025));
    let mut world = one("tls/1", &held, ObjectKind::Certificate);
    world.version("tls/1").enabled = false;
    world.holds("tls/2", &leaf("shop.contoso.com", 2026));
    let found = proposal(world.clone());
    assert_eq!(told(&found.certificates[0]), "follows shop-kv/certificates/tls");
    assert!(
        found.certificates[0].notes[0].contains("the only reference that is left"),
        "{:?}",
        found.certificates[0].notes
    );
    assert_eq!(found.certificates[0].about, None);

    // Two that cannot be read, and two that are not explained.
    world
        .holds("api/1", &other)
        .holds("api/2", &other)
        .delivers(&["api/1"])
        .role("Api", &[("ApiTls", &other)]);
    world.version("api/1").enabled = false;
    let found = proposal(world.clone());
    // A vault certificate of the second one is in the vault; of the first one there is none.
    assert!(
        told(&found.certificates[0])
            .contains("one of `shop-kv/certificates/tls`, `shop-kv/certificates/api`, which cannot be read"),
        "{found:?}"
    );
    assert!(
        told(&found.certificates[1])
            .contains("one of `shop-kv/certificates/tls`, `shop-kv/certificates/api`, which cannot be read"),
        "{found:?}"
    );
    world.holds("api-copy/1", &other);
    assert_eq!(told(&proposal(world).certificates[1]), "mapped shop-kv/certificates/api-copy");
}

#[test]
fn an_unreadable_vault_is_told_with_its_reason_and_the_way_out() {
    let held = leaf("shop.contoso.com", 2025);
    let mut world = one("tls/1", &held, ObjectKind::Certificate);
    world.object("shop-kv", "tls").unreadable =
        Some(world::forbidden("reading `tls`: a permission is missing"));
    world.version("tls/1").content = Err(world::forbidden("reading `tls`: a permission is missing"));
    let mut found = Found::new(world);
    found.unlisted = Some(world::forbidden("listing: a permission is missing"));
    let found = found.proposal();
    let Source::Unresolved { reason, hint } = &found.certificates[0].source else { panic!("{found:?}") };
    assert_eq!(reason, "`shop-kv/secrets/tls` must carry it, and cannot be read");
    assert_eq!(hint.as_deref(), Some("grant it"));
    let [unread] = found.unread.as_slice() else { panic!("{found:?}") };
    assert_eq!(unread.objects, ["shop-kv/secrets/tls"]);
    assert_eq!(unread.reason, "reading `tls`: a permission is missing");
    assert!(
        !found.notes.iter().any(|note| note.contains("could not be searched")),
        "told once: {:?}",
        found.notes
    );
}

#[test]
fn what_the_same_thing_mends_is_told_once() {
    let held = ["a", "b", "c"].map(|name| leaf(&format!("{name}.contoso.com"), 2025));
    let mut world = World::new();
    for (name, leaf) in ["a", "b", "c"].iter().zip(&held) {
        let short = format!("{name}/1");
        world.holds_secret(&short, leaf).delivers(&[&short]).role(name, &[(name, leaf)]);
        world.version(&short).content = Err(world::forbidden(&format!("reading `{name}`: denied")));
    }
    world.version("c/1").content = Err(world::gone("reading `c`: it is no certificate"));
    let mut found = Found::new(world);
    found.unlisted =
        Some(Unreadable { hint: Some("open it".to_owned()), ..world::forbidden("listing: closed") });
    let found = found.proposal();
    let told: Vec<(usize, &str)> =
        found.unread.iter().map(|unread| (unread.objects.len(), unread.reason.as_str())).collect();
    assert_eq!(told, [(2, "reading `a`: denied"), (1, "reading `c`: it is no certificate")]);
    assert_eq!(found.unresolved().count(), 3);
    let searched = "vault `shop-kv` could not be searched for certificates: listing: closed; open it";
    assert!(found.notes.iter().any(|note| note == searched), "something else mends this: {:?}", found.notes);
}

#[test]
fn certificates_of_which_nothing_is_known_or_meant_are_left_alone() {
    let (held, unknown) = (leaf("shop.contoso.com", 2025), leaf("gone.contoso.com", 2025));
    let mut world = World::new();
    world.holds("tls/1", &held).delivers(&["tls/1"]);
    world.role("Web", &[("ShopTls", &held), (RDP, &held), ("Gone", &unknown)]);
    world.roles[0].certificates.push(("Template".to_owned(), String::new()));
    world.roles[0].certificates.push(("Typo".to_owned(), "12 34".to_owned()));
    let found = proposal(world);
    let told: Vec<String> = found.certificates.iter().map(told).collect();
    assert_eq!(told[1], "left");
    assert_eq!(told[2], format!("unresolved: no reference of the service carries {}", named(&unknown)));
    assert_eq!(told[3], "left");
    assert!(told[4].starts_with("unresolved: its thumbprint in the cscfg cannot be read"), "{}", told[4]);
    assert_eq!(found.unresolved().count(), 2);
}

#[test]
fn authorities_are_told_from_leaves() {
    let root = ca("Root", None);
    let issuing = ca("Issuing", Some(&root));
    let end = Make { issuer: Some(&issuing), ..Make::default() }.made();
    let mut world = World::new();
    world
        .holds("tls/1", &end)
        .holds_secret("issuing/1", &issuing.certificate)
        .holds_secret("root/1", &root.certificate);
    world.delivers(&["tls/1", "issuing/1", "root/1"]);
    world.role("Web", &[("Tls", &end), ("Issuing", &issuing.certificate), ("Root", &root.certificate)]);
    let found = proposal(world);
    let authorities: Vec<Authority> =
        found.certificates.iter().map(|finding| finding.about.as_ref().unwrap().authority).collect();
    assert_eq!(authorities, [Authority::Leaf, Authority::Intermediate, Authority::Root]);
    assert_eq!(found.probes.len(), 1, "only the leaf is served");
}

#[test]
fn probes_go_to_the_public_name_and_ask_for_one_of_the_certificate() {
    type Case<'a> = (&'a [&'a str], Option<&'a str>, Option<(&'a str, &'a str)>);
    let cases: [Case<'_>; 5] = [
        (
            &["shop.contoso.com"],
            Some("shop.x.cloudapp.azure.com"),
            Some(("shop.x.cloudapp.azure.com:443", "shop.contoso.com")),
        ),
        (
            &["*.x.cloudapp.azure.com"],
            Some("shop.x.cloudapp.azure.com"),
            Some(("shop.x.cloudapp.azure.com:443", "shop.x.cloudapp.azure.com")),
        ),
        (
            &["*.contoso.com", "www.contoso.com"],
            Some("shop.x.cloudapp.azure.com"),
            Some(("shop.x.cloudapp.azure.com:443", "www.contoso.com")),
        ),
        (&["*.contoso.com"], Some("shop.x.cloudapp.azure.com"), None),
        (&["shop.contoso.com"], None, None),
    ];
    for (names, fqdn, expected) in cases {
        let held = Make { names, ..Make::default() }.made();
        let mut found = Found::new(one("tls/1", &held, ObjectKind::Certificate));
        found.address = Ok(PublicAddress { fqdn: fqdn.map(str::to_owned) });
        let found = found.proposal();
        let probe = found
            .probes
            .first()
            .map(|probe| (probe.endpoint.address.as_str(), probe.endpoint.server_name.as_str()));
        assert_eq!(probe, expected, "{names:?}");
        assert_eq!(found.notes.is_empty(), expected.is_some(), "{:?}", found.notes);
    }
    let mut found = Found::new(one("tls/1", &leaf("shop.contoso.com", 2025), ObjectKind::Certificate));
    found.address = Err(world::forbidden("reading the address: a permission is missing"));
    assert_eq!(
        found.proposal().notes,
        ["no probe is proposed: reading the address: a permission is missing; grant it"]
    );
    found.address = Ok(PublicAddress { fqdn: Some("a\nb".to_owned()) });
    assert!(found.proposal().probes.is_empty(), "no host name");
}

#[test]
fn a_probe_is_believed_where_every_connection_showed_what_is_deployed() {
    let (held, other) = (leaf("shop.contoso.com", 2025), leaf("api.contoso.com", 2025));
    let mut world = one("tls/1", &held, ObjectKind::Certificate);
    world.holds("api/1", &other).delivers(&["api/1"]).role("Api", &[("ApiTls", &other)]);
    let mut found = proposal(world);
    let names: Vec<_> = found.probes.iter().map(|probe| probe.certificate.as_deref().unwrap()).collect();
    assert_eq!(names, ["ShopTls", "ApiTls"], "of several leaves each probe names its own");
    let shown = |outcome| Presentation { address: "192.0.2.1:443".to_owned(), outcome };
    let right = || shown(Ok(vec![held.thumbprint()]));
    let probe = &mut found.probes[0];
    for (presented, expected) in [
        (vec![right(), right()], ProbeFinding::Presents),
        (vec![], ProbeFinding::NotTried),
        (
            vec![right(), shown(Ok(vec![other.thumbprint()]))],
            ProbeFinding::Differs { found: format!("192.0.2.1:443 presents {}", other.thumbprint()) },
        ),
        (
            vec![shown(Err("connection refused".to_owned()))],
            ProbeFinding::Differs { found: "192.0.2.1:443: connection refused".to_owned() },
        ),
        (
            vec![shown(Ok(vec![]))],
            ProbeFinding::Differs { found: "192.0.2.1:443 presents nothing".to_owned() },
        ),
    ] {
        probe.judge(&presented);
        assert_eq!(probe.finding, expected);
    }
}

#[test]
fn another_vault_is_searched_where_a_person_names_it() {
    let held = leaf("shop.contoso.com", 2025);
    let mut world = one("tls/1", &held, ObjectKind::Secret);
    world.holds("new-kv/shop-tls/1", &held);
    let mut found = Found::new(world);
    assert_eq!(told(&found.proposal().certificates[0]), "follows shop-kv/secrets/tls");
    found.vaults = vec!["new-kv".parse().unwrap()];
    let proposed = found.proposal();
    assert_eq!(told(&proposed.certificates[0]), "mapped new-kv/certificates/shop-tls");
    assert!(why(&proposed).contains("add `source_vault`"), "{}", why(&proposed));
    found.vault_ids = vec!["new-kv"];
    let proposed = found.proposal();
    let (_, mapped) = proposed.mapped().next().unwrap();
    assert_eq!(mapped.source_vault.as_ref().unwrap().as_str(), vault_id("new-kv"));
    assert!(!why(&proposed).contains("source_vault"));
}

#[test]
fn references_that_no_certificate_names_are_told() {
    let (held, bootstrap) = (leaf("shop.contoso.com", 2025), leaf("bootstrap.contoso.com", 2025));
    let mut world = one("tls/1", &held, ObjectKind::Certificate);
    world.holds("bootstrap/1", &bootstrap).delivers(&["bootstrap/1", "gone/1"]);
    let found = proposal(world);
    let told: BTreeMap<&str, bool> =
        found.surplus.iter().map(|surplus| (surplus.object.as_str(), surplus.about.is_ok())).collect();
    assert_eq!(
        told,
        BTreeMap::from([("shop-kv/certificates/bootstrap", true), ("shop-kv/secrets/gone", false)])
    );
}

#[test]
fn a_service_that_another_mechanism_rotates_is_observed() {
    let held = leaf("shop.contoso.com", 2025);
    let mut found = Found::new(one("tls/1", &held, ObjectKind::Certificate));
    assert_eq!(found.proposal().mode, Mode::Auto);
    let mut value = found.model().value().clone();
    value["properties"]["extensionProfile"] =
        json!({ "extensions": [{ "name": "kv", "properties": { "type": "KeyVaultForPaaS" } }] });
    found.model = Some(CloudServiceModel::new(value).unwrap());
    let proposed = found.proposal();
    assert_eq!(proposed.mode, Mode::Observe);
    assert!(proposed.notes[0].contains("Key Vault extension"));
}

#[test]
fn a_service_that_cannot_be_understood_is_not_proposed() {
    let mut world = World::new();
    world.unreadable = Some(world::forbidden("reading the service: a permission is missing"));
    let found = Found::new(world);
    let not = propose(&SERVICE.parse().unwrap(), &found.survey().0).unwrap_err();
    assert_eq!(
        (not.reason.as_str(), not.hint.as_deref()),
        ("reading the service: a permission is missing", Some("grant it"))
    );

    let mut found = Found::new(World::new());
    found.model = Some(CloudServiceModel::new(json!({ "properties": { "configuration": "<x" } })).unwrap());
    assert!(propose(&SERVICE.parse().unwrap(), &found.survey().0).unwrap_err().reason.contains("cscfg"));
    assert!(propose(&SERVICE.parse().unwrap(), &Survey::default()).is_err());
}
