//! What would become of the services if a version were in its vault.

use super::world::{Make, World, ca, facts, forbidden, leaf, now, opened, renewed, service_policy, url};
use crate::certificate::Certificate;
use crate::plan::{Foresight, Form, KeyPresence, Occasion, VaultContent, foresee};
use crate::policy::checks::Candidate;
use crate::policy::{Guard, GuardPolicy};

const SOURCE: &str = "shop-kv/certificates/tls";

/// `tls/2` is to be stored; `old` is the version before it.
fn foreseen(world: &World, old: Option<&VaultContent>, new: &VaultContent) -> Foresight {
    foreseen_with(world, old, new, &GuardPolicy::default())
}

fn foreseen_with(
    world: &World,
    old: Option<&VaultContent>,
    new: &VaultContent,
    policy: &GuardPolicy,
) -> Foresight {
    let facts = facts("2");
    let candidate = Candidate {
        subject: format!("the next version of vault certificate `{SOURCE}`"),
        source: SOURCE.to_owned(),
        old,
        new,
        facts: &facts,
        now: now(),
    };
    foresee(&world.report(Occasion::Person), &url("tls/2"), &candidate, policy)
}

fn guards(foresight: &Foresight) -> Vec<&str> {
    foresight.violations.iter().map(|violation| violation.guard.as_str()).collect()
}

fn with_chain(leaf: &Certificate, issuers: &[&Certificate]) -> VaultContent {
    VaultContent { bundled: issuers.iter().map(|issuer| (*issuer).clone()).collect(), ..opened(leaf) }
}

#[test]
fn a_renewal_that_services_would_take_is_not_refused() {
    let (world, old, new) = renewed();
    let foresight = foreseen(&world, Some(&opened(&old)), &opened(&new));
    assert!(foresight.violations.is_empty() && foresight.warnings.is_empty(), "{foresight:?}");
    assert_eq!(foresight.followers, [world.policy.service]);
}

#[test]
fn a_service_that_follows_refuses_by_its_own_guards() {
    let (mut world, old, _) = renewed();
    let other = leaf("other.contoso.com", 2026);
    world.version("tls/2").content = Ok(opened(&other));
    let foresight = foreseen(&world, Some(&opened(&old)), &opened(&other));
    assert_eq!(guards(&foresight), ["names"]);
    assert!(foresight.violations[0].subject.contains("`ShopTls` of role `Web`"), "{foresight:?}");
    // What the service relaxes is not refused by the object's last version either.
    world.relax(Guard::Names);
    let foresight = foreseen(&world, Some(&opened(&old)), &opened(&other));
    assert!(foresight.violations.is_empty(), "{foresight:?}");
    assert!(foresight.warnings[0].contains("guard `names` is relaxed"), "{foresight:?}");
}

#[test]
fn without_followers_the_newest_version_is_what_counts() {
    let mut world = World::new();
    let (old, other) = (leaf("shop.contoso.com", 2026), leaf("other.contoso.com", 2025));
    world.role("Web", &[]);
    let foresight = foreseen(&world, Some(&opened(&old)), &opened(&other));
    assert_eq!(guards(&foresight), ["age", "names"]);
    assert_eq!(
        foresight.violations[0].subject,
        "the next version of vault certificate `shop-kv/certificates/tls`, from `shop-kv/certificates/tls`"
    );
    assert!(foresight.followers.is_empty());
    let relaxed = GuardPolicy { relaxed: [Guard::Age, Guard::Names].into(), ..GuardPolicy::default() };
    let foresight = foreseen_with(&world, Some(&opened(&old)), &opened(&other), &relaxed);
    assert_eq!((foresight.violations.len(), foresight.warnings.len()), (0, 2));
    // A new object is judged by what can be said of any certificate.
    let expired = leaf("shop.contoso.com", 2020);
    assert_eq!(guards(&foreseen(&world, None, &opened(&expired))), ["validity"]);
    let bare = VaultContent { key: KeyPresence::Absent, ..opened(&old) };
    assert_eq!(guards(&foreseen(&world, None, &bare)), ["key"]);
    assert!(foreseen(&world, None, &opened(&old)).warnings.is_empty());
}

#[test]
fn the_same_certificate_is_refused_unless_it_comes_in_a_better_form() {
    let world = World::new();
    let held = opened(&leaf("shop.contoso.com", 2025));
    let as_stored = |form, key| VaultContent { form, key, ..held.clone() };
    let doubt = || Form::Uncertain("a bare certificate".to_owned());
    for (old, refused) in [
        (held.clone(), true),
        (as_stored(Form::NotRead, KeyPresence::NotRead), true),
        (as_stored(doubt(), KeyPresence::Matches), false),
        (as_stored(Form::Refused("PEM".to_owned()), KeyPresence::Matches), false),
        (as_stored(Form::Accepted, KeyPresence::Absent), false),
    ] {
        let foresight = foreseen(&world, Some(&old), &held);
        assert_eq!(guards(&foresight) == ["age"], refused, "{foresight:?}");
    }
    // A service that follows does not change that, although it would be current.
    let (mut followed, old, _) = renewed();
    followed.version("tls/2").content = Ok(opened(&old));
    assert_eq!(guards(&foreseen(&followed, Some(&opened(&old)), &opened(&old))), ["age"]);
}

#[test]
fn a_version_brings_the_issuers_that_the_last_one_brought() {
    let world = World::new();
    let root = ca("Root", None);
    let issuing = ca("Issuing", Some(&root));
    let made = |years| Make { years, issuer: Some(&issuing), ..Make::default() }.made();
    let (old, new) = (made((2025, 2027)), made((2026, 2028)));
    let whole = [&issuing.certificate, &root.certificate];
    for (before, after, refused) in [
        (&whole[..], &whole[..], false),
        (&whole[..], &whole[..1], false),
        (&whole[..1], &[], true),
        (&[], &[], false),
    ] {
        let foresight = foreseen(&world, Some(&with_chain(&old, before)), &with_chain(&new, after));
        assert_eq!(guards(&foresight) == ["chain"], refused, "{foresight:?}");
        assert_eq!(foresight.violations.len(), usize::from(refused));
    }
    // One that its root issues has no other issuer to bring.
    let direct = Make { years: (2026, 2028), issuer: Some(&root), ..Make::default() }.made();
    let foresight =
        foreseen(&world, Some(&with_chain(&old, &whole)), &with_chain(&direct, &[&root.certificate]));
    assert!(foresight.violations.is_empty(), "{foresight:?}");
}

#[test]
fn what_else_blocks_a_service_is_told_and_refuses_nothing() {
    let (root, next) = (ca("Root", None), ca("Root 2", None));
    let old = Make { years: (2025, 2027), issuer: Some(&root), ..Make::default() }.made();
    let new = Make { years: (2026, 2028), issuer: Some(&next), ..Make::default() }.made();
    let mut world = World::new();
    world
        .holds("tls/1", &old)
        .holds("tls/2", &new)
        .holds_secret("root/1", &root.certificate)
        .role("Web", &[("ShopTls", &old), ("Root", &root.certificate)])
        .delivers(&["tls/1", "root/1"]);
    let foresight = foreseen(&world, Some(&opened(&old)), &opened(&new));
    assert!(foresight.violations.is_empty(), "{foresight:?}");
    assert_eq!(foresight.followers.len(), 1);
    let [warning] = &foresight.warnings[..] else { panic!("{foresight:?}") };
    let expected = "service `shop` will be blocked by `chain`, until the rest of its chain is uploaded too: ";
    assert!(warning.starts_with(expected), "{warning}");
}

#[test]
fn a_service_that_cannot_be_read_is_not_taken_for_one_that_does_not_follow() {
    let (mut world, old, new) = renewed();
    world.unreadable = Some(forbidden("no permission"));
    let foresight = foreseen(&world, Some(&opened(&old)), &opened(&new));
    assert!(foresight.followers.is_empty());
    assert_eq!(foresight.unknown, [service_policy(super::world::SERVICE).service]);
    assert!(foresight.warnings[0].contains("no permission"), "{foresight:?}");
}
