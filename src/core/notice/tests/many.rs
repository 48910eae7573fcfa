//! Many services at once.

use super::{after, kinds, report, watch};
use crate::notice::{NoticeKind, Subject};
use crate::plan::tests::world::{Make, World, forbidden, now, renewed};
use crate::plan::{PlanReport, ServiceReport};

/// The report of one service, for so many of them.
fn fleet(one: &ServiceReport, count: usize) -> PlanReport {
    let of = |n: usize| {
        let id = one.service.to_string().replace("cloudServices/shop", &format!("cloudServices/shop-{n:03}"));
        ServiceReport { service: id.parse().unwrap(), ..one.clone() }
    };
    PlanReport {
        at: now(),
        services: (0..count).map(of).collect(),
        vaults: std::collections::BTreeMap::new(),
    }
}

#[test]
fn many_that_cannot_be_read_are_one_notice_and_few_are_told_apart() {
    let (mut world, ..) = renewed();
    world.object("shop-kv", "tls").versions.pop();
    let up = world.service();
    world.unreadable = Some(forbidden("the network is down"));
    let down = world.service();
    for (count, notices) in [(3, 3), (4, 1), (300, 1)] {
        let mut watch = watch();
        watch.look(&fleet(&down, count), now());
        let told = watch.look(&fleet(&down, count), after(1));
        assert_eq!(kinds(&told), vec![NoticeKind::Unreadable; notices], "{count}");
        if notices == 1 {
            assert_eq!(told[0].title, format!("{count} services cannot be read"));
            assert!(told[0].text.starts_with("the network is down.\n"), "{}", told[0].text);
            assert!(matches!(&told[0].subject, Subject::Services { services } if services.len() == count));
        }
        let told = watch.look(&fleet(&up, count), after(2));
        assert_eq!(kinds(&told), vec![NoticeKind::Recovered; notices], "{count}");
    }
}

#[test]
fn a_certificate_that_many_serve_is_told_once() {
    let mut world = World::new();
    let tls = Make::default().made();
    world
        .holds("tls/1", &tls)
        .role("Web", &[("ShopTls", &tls)])
        .role("Api", &[("ApiTls", &tls)])
        .delivers(&["tls/1"]);
    world.now = "2026-12-15T12:00:00Z".parse().unwrap();
    let told = watch().look(&fleet(&report(&world).services[0], 50), world.now);
    assert_eq!(kinds(&told), [NoticeKind::NearExpiry]);
    assert_eq!(told[0].title, "ApiTls and ShopTls ends in 16 days and is not renewed");
    assert!(told[0].facts.iter().any(|fact| fact.label == "And at" && fact.value == "88 more places"));
}

#[test]
fn a_notice_stays_small_whatever_is_found() {
    let (mut world, ..) = renewed();
    world.unreadable = Some(forbidden(&"x\u{1b}[2J\r\n".repeat(10_000)));
    let mut watch = watch();
    watch.look(&report(&world), now());
    let told = watch.look(&report(&world), after(1));
    assert!(told[0].text.chars().count() <= 2_800);
    assert!(!told[0].text.contains('\u{1b}'));
}
