//! Each guard: what passes, what is refused and in which words. The words are read by an operator at night: read them
//! in a row in `the_words_of_every_guard`.

use rcgen::{ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P384_SHA384};
use serde_json::json;

use super::{Candidate, Findings, chain, evaluate, extension, placement};
use crate::certificate::{Certificate, VersionFacts};
use crate::id::RoleName;
use crate::plan::tests::world::{Make, SERVICE, ca, facts, forbidden, gone, leaf, now, opened, source_vault};
use crate::plan::{Form, KeyPresence, VaultContent};
use crate::policy::{Guard, GuardPolicy};
use crate::ports::VaultResource;
use crate::target::cloud_service::CloudServiceModel;

const SUBJECT: &str = "certificate `ShopTls` of role `Web` (cscfg line 9)";

/// One judgement of one pair.
struct Case {
    old: Option<VaultContent>,
    new: VaultContent,
    facts: VersionFacts,
}

fn pair() -> Case {
    let (old, new) = (leaf("shop.contoso.com", 2025), leaf("shop.contoso.com", 2026));
    Case { old: Some(opened(&old)), new: opened(&new), facts: facts("v2") }
}

fn of(old: &Certificate, new: &Certificate) -> Case {
    Case { old: Some(opened(old)), new: opened(new), ..pair() }
}

fn judged(case: &Case, policy: &GuardPolicy) -> Findings {
    let candidate = Candidate {
        subject: SUBJECT.to_owned(),
        source: "shop-kv/certificates/tls".to_owned(),
        old: case.old.as_ref(),
        new: &case.new,
        facts: &case.facts,
        now: now(),
    };
    let mut findings = Findings::default();
    evaluate(&candidate, policy, &mut findings);
    findings
}

fn refusing(case: &Case) -> Vec<String> {
    judged(case, &GuardPolicy::default()).violations.into_iter().map(|violation| violation.guard).collect()
}

fn make(years: (i32, i32)) -> Make<'static> {
    Make { years, ..Make::default() }
}

/// A root that is signed with SHA-1.
const OLD_ROOT: &[u8] = include_bytes!("../../fixtures/pki/weak.cer");

/// The same as if another authority had signed it. Nobody verifies the signature before a guard has judged it.
fn signed_with_sha1() -> Certificate {
    let mut der = OLD_ROOT.to_vec();
    let issuer = der.windows(8).position(|window| window == b"Old Root").unwrap();
    der[issuer..issuer + 8].copy_from_slice(b"Old Boot");
    Certificate::parse(&der).unwrap()
}

#[test]
fn a_plain_renewal_passes_every_guard() {
    let findings = judged(&pair(), &GuardPolicy::default());
    assert_eq!((findings.violations, findings.warnings), (Vec::new(), Vec::new()));
}

#[test]
fn validity_is_that_of_certificate_and_version_with_life_left() {
    let at = |text: &str| Some(text.parse().unwrap());
    let day = |hours| now() + jiff::SignedDuration::from_hours(hours);
    for (case, refused) in [
        (pair(), false),
        (of(&leaf("shop.contoso.com", 2025), &make((2027, 2029)).made()), true),
        (
            Case { facts: VersionFacts { not_before: at("2026-06-01T12:00:00Z"), ..facts("v2") }, ..pair() },
            false,
        ),
        (
            Case { facts: VersionFacts { not_before: at("2026-06-01T12:00:01Z"), ..facts("v2") }, ..pair() },
            true,
        ),
        (Case { facts: VersionFacts { expires: Some(day(24)), ..facts("v2") }, ..pair() }, false),
        (Case { facts: VersionFacts { expires: Some(day(23)), ..facts("v2") }, ..pair() }, true),
        // The earlier of both ends counts.
        (
            Case {
                facts: VersionFacts { expires: at("2099-01-01T00:00:00Z"), ..facts("v2") },
                ..of(&make((2020, 2022)).made(), &make((2021, 2023)).made())
            },
            true,
        ),
    ] {
        assert_eq!(
            refusing(&case) == ["validity"],
            refused,
            "{:?} {:?}",
            case.facts,
            case.new.leaf.not_before()
        );
    }
}

#[test]
fn age_goes_by_start_for_leaves_and_by_end_for_all() {
    for (old, new, refused) in [
        (make((2025, 2027)), make((2025, 2027)), false),
        (make((2025, 2027)), make((2024, 2028)), true),
        (make((2025, 2030)), make((2026, 2029)), true),
        (Make { ca: true, ..make((2025, 2027)) }, Make { ca: true, ..make((2024, 2028)) }, false),
        (Make { ca: true, ..make((2025, 2030)) }, Make { ca: true, ..make((2026, 2029)) }, true),
    ] {
        let case = of(&old.made(), &new.made());
        assert_eq!(
            refusing(&case) == ["age"],
            refused,
            "{:?} {:?} {:?}",
            old.years,
            new.years,
            refusing(&case)
        );
    }
}

#[test]
fn a_key_is_asked_for_where_there_was_one() {
    let with = |key: KeyPresence, content: &VaultContent| VaultContent { key, ..content.clone() };
    let (plain, root) = (pair(), opened(&Make { ca: true, ..make((2025, 2030)) }.made()));
    let Case { old: Some(old), new, .. } = &plain else { unreachable!() };
    for (before, after, refused) in [
        (Some(with(KeyPresence::NotRead, old)), with(KeyPresence::Matches, new), false),
        (Some(with(KeyPresence::NotRead, old)), with(KeyPresence::Absent, new), true),
        (Some(with(KeyPresence::Matches, old)), with(KeyPresence::NotRead, new), true),
        (Some(with(KeyPresence::Absent, old)), with(KeyPresence::Absent, new), false),
        (None, with(KeyPresence::Absent, new), true),
        (None, root.clone(), false),
        (Some(root.clone()), root.clone(), false),
    ] {
        let case = Case { old: before, new: after, facts: facts("v2") };
        assert_eq!(refusing(&case).contains(&"key".to_owned()), refused, "{:?} {:?}", case.old, case.new.key);
    }
}

#[test]
fn names_purpose_role_and_strength() {
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let old = || make((2025, 2027));
    let new = || make((2026, 2028));
    let client = || Some(ExtendedKeyUsagePurpose::ClientAuth);
    let server = || Some(ExtendedKeyUsagePurpose::ServerAuth);
    for (what, case, refused) in [
        (
            "wider",
            of(&old().made(), &Make { names: &["*.contoso.com", "shop.contoso.com"], ..new() }.made()),
            &[][..],
        ),
        ("wildcard covers", of(&old().made(), &Make { names: &["*.contoso.com"], ..new() }.made()), &[]),
        ("dropped", of(&old().made(), &Make { names: &["contoso.com"], ..new() }.made()), &["names"]),
        ("client only", of(&old().made(), &Make { usage: client(), ..new() }.made()), &["server_auth"]),
        (
            "was client only",
            of(&Make { usage: client(), ..old() }.made(), &Make { usage: client(), ..new() }.made()),
            &[],
        ),
        ("server", of(&old().made(), &Make { usage: server(), ..new() }.made()), &[]),
        ("leaf to ca", of(&old().made(), &Make { ca: true, ..new() }.made()), &["key", "role"]),
        ("ca to leaf", of(&Make { ca: true, ..old() }.made(), &new().made()), &["role"]),
        ("weaker", of(&old().made_with(&p384), &new().made()), &["strength"]),
        ("stronger", of(&old().made(), &new().made_with(&p384)), &[]),
    ] {
        assert_eq!(refusing(&case), refused, "{what}");
    }
}

#[test]
fn a_forgeable_signature_is_refused_but_for_a_root() {
    let weak = signed_with_sha1();
    assert!(weak.signature().is_weak() && !weak.is_self_issued());
    let case = Case { old: None, new: opened(&weak), facts: facts("v2") };
    assert!(refusing(&case).contains(&"strength".to_owned()));

    let root = Certificate::parse(OLD_ROOT).unwrap();
    assert!(root.signature().is_weak() && root.is_self_issued());
    let case = Case { old: None, new: opened(&root), facts: facts("v2") };
    assert!(!refusing(&case).contains(&"strength".to_owned()));
}

#[test]
fn forms_and_versions() {
    let with = |form: Form| Case { new: VaultContent { form, ..pair().new }, ..pair() };
    assert_eq!(refusing(&with(Form::Accepted)), [] as [&str; 0]);
    assert_eq!(refusing(&with(Form::NotRead)), [] as [&str; 0]);
    assert_eq!(refusing(&with(Form::Refused("PEM".to_owned()))), ["form"]);
    let doubt = judged(&with(Form::Uncertain("AES-256 in PKCS#12".to_owned())), &GuardPolicy::default());
    assert_eq!(doubt.violations, []);
    assert!(doubt.warnings[0].contains("AES-256 in PKCS#12"));
    let disabled = Case { facts: VersionFacts { enabled: false, ..facts("v2") }, ..pair() };
    assert_eq!(refusing(&disabled), ["enabled"]);
    let blind = judged(&Case { old: None, ..pair() }, &GuardPolicy::default());
    assert!(blind.warnings[0].contains("could not be read"), "{:?}", blind.warnings);
}

fn chained(before: &[Option<Certificate>], after: &[Option<Certificate>]) -> (usize, usize) {
    let mut findings = Findings::default();
    chain(&RoleName::new("Web"), before, after, &GuardPolicy::default(), &mut findings);
    (findings.violations.len(), findings.warnings.len())
}

#[test]
fn a_chain_that_was_there_stays_whole_leaf_by_leaf() {
    let root = ca("Root", None);
    let (one, two) = (ca("One", Some(&root)), ca("Two", Some(&root)));
    let leaf_of = |issuer, years| Make { years, issuer: Some(issuer), ..Make::default() }.made();
    let (old, new) = (leaf_of(&one, (2025, 2027)), leaf_of(&two, (2026, 2028)));
    let three = ca("Three", Some(&two));
    let deep = leaf_of(&three, (2026, 2028));
    let three = &three.certificate;
    let other = leaf_of(&ca("Other", None), (2025, 2027));
    let selfsigned = make((2025, 2027)).made();
    let set = |all: &[&Certificate]| all.iter().map(|it| Some((*it).clone())).collect::<Vec<_>>();
    let (root, one, two) = (&root.certificate, &one.certificate, &two.certificate);
    for (what, before, after, expected) in [
        ("whole", set(&[&old, one, root]), set(&[&new, two, root]), (0, 0)),
        ("intermediate missing", set(&[&old, one, root]), set(&[&new, one, root]), (1, 0)),
        ("root missing", set(&[&old, one, root]), set(&[&new, two, one]), (1, 0)),
        ("longer, but no root", set(&[&old, one, root]), set(&[&deep, three, two]), (1, 0)),
        ("never had the root", set(&[&old, one]), set(&[&new, two]), (0, 0)),
        ("never had the root, loses all", set(&[&old, one]), set(&[&new, one]), (1, 0)),
        ("never had any", set(&[&old]), set(&[&new]), (0, 0)),
        ("none, and the old leaf unread", vec![None], set(&[&new]), (0, 1)),
        ("self-signed", set(&[&selfsigned]), set(&[&selfsigned]), (0, 0)),
        ("taken from under an unchanged leaf", set(&[&old, one, root]), set(&[&old, two, root]), (1, 0)),
        (
            "beside a leaf that has none",
            set(&[&other, &old, one, root]),
            set(&[&other, &new, one, root]),
            (1, 0),
        ),
        ("old leaf unread", [vec![None], set(&[one, root])].concat(), set(&[&new, one, root]), (1, 0)),
        ("old leaf unread, whole", [vec![None], set(&[one, root])].concat(), set(&[&new, two, root]), (0, 0)),
        ("a CA needs no chain", set(&[one]), set(&[two]), (0, 0)),
    ] {
        assert_eq!(chained(&before, &after), expected, "{what}");
    }
}

#[test]
fn a_vault_serves_from_the_same_subscription_and_region() {
    let service = SERVICE.parse().unwrap();
    let resource = |location: &str, enabled_for_deployment| {
        Some(Ok(VaultResource { location: location.to_owned(), enabled_for_deployment }))
    };
    let near = source_vault("shop-kv");
    let far = near.as_str().replace("11111111", "22222222").parse().unwrap();
    for (location, vault, seen, violations, warnings) in [
        (Some("chinaeast2"), &near, resource("chinaeast2", true), 0, 0),
        (Some("chinaeast2"), &near, resource("China East 2", true), 0, 0),
        (Some("chinaeast2"), &near, resource("chinanorth2", true), 1, 0),
        (Some("chinaeast2"), &near, resource("chinaeast2", false), 1, 0),
        (Some("chinaeast2"), &near, resource("chinanorth2", false), 2, 0),
        (None, &near, resource("chinanorth2", true), 0, 0),
        (Some("chinaeast2"), &far, resource("chinaeast2", true), 1, 0),
        (Some("chinaeast2"), &near, Some(Err(forbidden("a permission is missing"))), 0, 1),
        (Some("chinaeast2"), &near, Some(Err(gone("it does not exist"))), 1, 0),
        (Some("chinaeast2"), &near, None, 0, 0),
    ] {
        let mut findings = Findings::default();
        placement(&service, location, vault, seen.as_ref(), &GuardPolicy::default(), &mut findings);
        assert_eq!((findings.violations.len(), findings.warnings.len()), (violations, warnings), "{seen:?}");
    }
}

#[test]
fn the_key_vault_extension_is_one_hand_too_many() {
    for (kind, refused) in [("KeyVaultForPaaS", true), ("keyvaultforpaas", true), ("RDP", false)] {
        let model = CloudServiceModel::new(json!({ "properties": { "extensionProfile": { "extensions": [
            { "name": "a", "properties": { "type": kind } }, { "name": "b" }
        ] } } }));
        let mut findings = Findings::default();
        extension(&model.unwrap(), &GuardPolicy::default(), &mut findings);
        assert_eq!(!findings.violations.is_empty(), refused, "{kind}");
    }
}

/// Every guard's refusal, by the guard.
fn refusals(policy: &GuardPolicy) -> Vec<Findings> {
    let old = || make((2025, 2027));
    let new = || make((2026, 2028));
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let mut all: Vec<Findings> = [
        Case { facts: VersionFacts { enabled: false, ..facts("v2") }, ..pair() },
        of(&old().made(), &make((2027, 2029)).made()),
        Case {
            facts: VersionFacts { expires: Some(now() + jiff::SignedDuration::from_hours(5)), ..facts("v2") },
            ..pair()
        },
        of(&old().made(), &make((2024, 2028)).made()),
        of(&make((2025, 2030)).made(), &new().made()),
        Case { new: VaultContent { key: KeyPresence::Absent, ..pair().new }, ..pair() },
        Case { new: VaultContent { key: KeyPresence::NotRead, ..pair().new }, ..pair() },
        of(&Make { names: &["shop.contoso.com", "www.contoso.com"], ..old() }.made(), &new().made()),
        of(&old().made(), &Make { usage: Some(ExtendedKeyUsagePurpose::ClientAuth), ..new() }.made()),
        of(&Make { ca: true, names: &[], ..old() }.made(), &new().made()),
        of(&old().made_with(&p384), &new().made()),
        Case { old: None, new: opened(&signed_with_sha1()), facts: facts("v2") },
        Case {
            new: VaultContent { form: Form::Refused("the value is PEM text".to_owned()), ..pair().new },
            ..pair()
        },
    ]
    .iter()
    .map(|case| judged(case, policy))
    .collect();

    let root = ca("Contoso Root", None);
    let (one, two) = (ca("Issuing 1", Some(&root)), ca("Issuing 2", Some(&root)));
    let of_issuer = |issuer, years| Some(Make { years, issuer: Some(issuer), ..Make::default() }.made());
    let mut findings = Findings::default();
    let cas = [Some(one.certificate.clone()), Some(root.certificate.clone())];
    let before = [vec![of_issuer(&one, (2025, 2027))], cas.to_vec()].concat();
    let after = [vec![of_issuer(&two, (2026, 2028))], cas.to_vec()].concat();
    chain(&RoleName::new("Web"), &before, &after, policy, &mut findings);
    all.push(findings);

    let service = SERVICE.parse().unwrap();
    let far = source_vault("shop-kv").as_str().replace("11111111", "22222222").parse().unwrap();
    let mut findings = Findings::default();
    let seen = Ok(VaultResource { location: "chinanorth2".to_owned(), enabled_for_deployment: false });
    placement(&service, Some("chinaeast2"), &far, Some(&seen), policy, &mut findings);
    let lost = Err(gone("it does not exist"));
    placement(&service, Some("chinaeast2"), &source_vault("lost-kv"), Some(&lost), policy, &mut findings);
    let model = json!({ "properties": { "extensionProfile": { "extensions": [ { "properties": { "type": "KeyVaultForPaaS" } } ] } } });
    extension(&CloudServiceModel::new(model).unwrap(), policy, &mut findings);
    all.push(findings);
    all
}

#[test]
fn the_words_of_every_guard() {
    let said: Vec<String> = refusals(&GuardPolicy::default())
        .into_iter()
        .flat_map(|findings| findings.violations)
        .map(|it| {
            // The one thing that changes with each run.
            let subject = it.subject.split(" (").next().unwrap_or_default().to_owned();
            format!(
                "{}| {subject}\n  expected {}\n  found    {}\n  hint     {}",
                it.guard, it.expected, it.found, it.hint
            )
        })
        .collect();
    let expected = include_str!("guards.txt");
    assert_eq!(said.join("\n") + "\n", expected, "\n{}", said.join("\n"));
}

#[test]
fn every_guard_is_heard_and_warns_where_it_is_relaxed() {
    let heard: std::collections::BTreeSet<String> = refusals(&GuardPolicy::default())
        .into_iter()
        .flat_map(|findings| findings.violations)
        .map(|violation| violation.guard)
        .collect();
    let all: std::collections::BTreeSet<String> = Guard::all().map(|guard| guard.name().to_owned()).collect();
    assert_eq!(heard, all);

    let relaxed = GuardPolicy { relaxed: Guard::all().collect(), ..GuardPolicy::default() };
    for findings in refusals(&relaxed) {
        assert_eq!(findings.violations, []);
        assert!(
            findings.warnings.iter().any(|warning| warning.contains("is relaxed: ")),
            "{:?}",
            findings.warnings
        );
    }
    // One relaxed guard lets nothing else pass.
    for guard in Guard::all() {
        let one = GuardPolicy { relaxed: [guard].into(), ..GuardPolicy::default() };
        let violations: Vec<_> =
            refusals(&one).into_iter().flat_map(|findings| findings.violations).collect();
        assert!(violations.iter().all(|violation| violation.guard != guard.name()));
        assert!(violations.len() > 10);
    }
}
