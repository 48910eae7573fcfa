//! What is told of a rollout that is over.

use super::{after, watch};
use crate::id::RolloutId;
use crate::notice::{Notice, NoticeKind, Severity};
use crate::plan::Difference;
use crate::plan::tests::world::{now, renewed};
use crate::rollout::{Cause, Ending, Event, Initiator, Rollout};
use crate::verify::Mismatch;

const SECRET: &str = "AccountKey=c2VjcmV0";

fn rollout() -> Rollout {
    let (mut world, ..) = renewed();
    world.probe("shop.contoso.com", None).setting("Web", "Storage", SECRET);
    world.policy.probe.binding = true;
    let update = world.planned();
    let opened = Event::Opened {
        rollout: RolloutId::new(now(), &update.service),
        update: Box::new(update),
        by: Initiator::Unattended,
        undoes: None,
    };
    Rollout::fold([(now(), &opened)]).unwrap()
}

fn told(ending: &Ending) -> Notice {
    watch().ended(&rollout(), ending, after(1))
}

fn cause() -> Cause {
    Cause::Mismatch { mismatches: vec![Mismatch::Model(Difference::Configuration(7))] }
}

#[test]
fn verified() {
    let notice = told(&Ending::Verified);
    assert_eq!((notice.kind, notice.severity), (NoticeKind::UpdateVerified, Severity::Info));
    assert_eq!(notice.title, "shop: ShopTls renewed and verified");
    assert_eq!(
        notice.text,
        "The service reads back as wanted, its instances are started, and 1 endpoint presented the leaf that was wanted."
    );
    let labels: Vec<&str> = notice.facts.iter().map(|fact| fact.label.as_str()).collect();
    assert_eq!(
        labels,
        ["Service", "Resource group", "Subscription", "Rollout", "Begun", "Took", "ShopTls in role Web"]
    );
    let change = &notice.facts[6].value;
    assert!(change.contains(" -> ") && change.ends_with(", valid until 2028-01-01 00:00 UTC"), "{change}");
}

#[test]
fn restored() {
    let notice = told(&Ending::Restored { cause: cause() });
    assert_eq!((notice.kind, notice.severity), (NoticeKind::UpdateRestored, Severity::Warning));
    assert_eq!(notice.title, "shop: ShopTls not renewed, the old state is back");
    assert_eq!(
        notice.text,
        "Why the change was turned back: read back, the cscfg differs, first in line 7.\n\
         The old state was put back and was seen to work.\n\
         These versions are not tried again until one of them is superseded: put a corrected version into the vault, or, \
         if the cause lay elsewhere and is gone, `certroll release shop`."
    );
}

#[test]
fn stuck() {
    let then = Box::new(Cause::Refused { message: "409 OperationNotAllowed".to_owned() });
    let notice = told(&Ending::Stuck { cause: Cause::RestoreFailed { first: Box::new(cause()), then } });
    assert_eq!((notice.kind, notice.severity), (NoticeKind::UpdateStuck, Severity::Critical));
    assert_eq!(notice.title, "shop: a person is needed, the renewal of ShopTls is stuck");
    assert!(notice.text.contains("409 OperationNotAllowed"), "{}", notice.text);
    assert!(notice.text.ends_with("`certroll release shop`."), "{}", notice.text);
}

#[test]
fn abandoned_is_for_information_and_the_same_plan_is_the_same_thing() {
    let busy = |state: &str| Ending::Abandoned { cause: Cause::Busy { state: state.to_owned() } };
    let rollout = rollout();
    let told = |ending: &Ending| watch().ended(&rollout, ending, after(1));
    let (first, again) = (told(&busy("Updating")), told(&busy("Creating")));
    assert_eq!((first.kind, first.severity), (NoticeKind::UpdateAbandoned, Severity::Info));
    assert_eq!(first.key, again.key);
}

#[test]
fn no_notice_holds_text_of_the_cscfg() {
    for ending in [Ending::Verified, Ending::Restored { cause: cause() }, Ending::Stuck { cause: cause() }] {
        let text = serde_json::to_string(&told(&ending)).unwrap();
        for secret in [SECRET, "ServiceConfiguration", "<Role"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
