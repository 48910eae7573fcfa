//! Settings that repeat a thumbprint.

use super::world::{leaf, renewed};
use crate::id::RoleName;

#[test]
fn a_named_setting_changes_with_its_certificate() {
    let (mut world, old, new) = renewed();
    let (old, new) = (old.thumbprint().to_string(), new.thumbprint().to_string());
    let other = "79D4C38DE50E6316FF9427BEFA18EC6865A9EBDC";
    world.setting("Web", "Shop.Thumbprint", &old.to_lowercase()).setting(
        "Web",
        "Shop.Allowed",
        &format!("{other},{old}"),
    );
    world.map("ShopTls", "shop-kv/certificates/tls").settings =
        vec!["Shop.Thumbprint".to_owned(), "Shop.Allowed".to_owned()];
    let update = world.planned();
    assert_eq!(update.settings.len(), 2);
    assert_eq!(update.warnings, [] as [String; 0]);
    assert_eq!(
        update.wanted.configuration,
        world.cscfg().replace(&old, &new).replace(&old.to_lowercase(), &new)
    );
    world.after(&update).assert_current();
}

#[test]
fn a_setting_that_is_not_named_is_a_warning() {
    let (mut world, old, _) = renewed();
    world.setting("Web", "Shop.Thumbprint", &old.thumbprint().to_string());
    let update = world.planned();
    assert_eq!(update.settings, []);
    assert_eq!(update.warnings.len(), 1);
    assert!(
        update.warnings[0].contains("setting `Shop.Thumbprint` of role `Web` (cscfg line 7)"),
        "{:?}",
        update.warnings
    );
}

#[test]
fn a_named_setting_that_the_cscfg_lacks_is_blocked_before_any_renewal() {
    let (mut world, ..) = renewed();
    world.object("shop-kv", "tls").versions.pop();
    world.map("ShopTls", "shop-kv/certificates/tls").settings = vec!["Shop.Thumprint".to_owned()];
    let violations = world.blocked();
    assert_eq!(violations.len(), 1);
    assert!(violations[0].subject.contains("`Shop.Thumprint`"), "{}", violations[0]);
}

#[test]
fn a_named_setting_with_another_value_is_a_warning_and_left_alone() {
    let (mut world, ..) = renewed();
    world.setting("Web", "Shop.Thumbprint", "none yet");
    world.map("ShopTls", "shop-kv/certificates/tls").settings = vec!["Shop.Thumbprint".to_owned()];
    let update = world.planned();
    assert_eq!(update.settings, []);
    assert!(update.warnings[0].contains("does not repeat thumbprint"), "{:?}", update.warnings);
}

#[test]
fn a_named_setting_that_holds_it_within_a_longer_text_is_blocked() {
    let (mut world, old, _) = renewed();
    world.setting("Web", "Shop.Find", &format!("Store=My;Find={}", old.thumbprint()));
    world.map("ShopTls", "shop-kv/certificates/tls").settings = vec!["Shop.Find".to_owned()];
    let violations = world.blocked();
    assert!(violations[0].found.contains("only within a longer text"), "{}", violations[0]);
    assert!(violations[0].hint.contains("`settings`"), "{}", violations[0].hint);
}

#[test]
fn settings_follow_the_certificate_of_their_own_role() {
    // Both roles held one certificate under one name; each gets its own, and each role's setting follows it.
    let (mut world, old, web) = renewed();
    let worker = leaf("shop.contoso.com", 2026);
    let thumbprint = old.thumbprint().to_string();
    world.holds("worker/1", &worker).role("Worker", &[("ShopTls", &old)]);
    world.role("Monitor", &[]);
    for role in ["Web", "Worker"] {
        world.setting(role, "Shop.Thumbprint", &thumbprint);
    }
    for (role, source) in [("Web", "tls"), ("Worker", "worker")] {
        let mapping = world.map("ShopTls", &format!("shop-kv/certificates/{source}"));
        mapping.role = Some(RoleName::new(role));
        mapping.settings = vec!["Shop.Thumbprint".to_owned()];
    }
    let update = world.planned();
    let changes: Vec<_> = update.settings.iter().map(|setting| (setting.role.as_str(), setting.to)).collect();
    assert_eq!(changes, [("Web", web.thumbprint()), ("Worker", worker.thumbprint())]);
    assert_eq!(update.warnings, [] as [String; 0]);
    world.after(&update).assert_current();
    // A role without such a certificate cannot tell which of the two is meant.
    world.setting("Monitor", "Shop.Thumbprint", &thumbprint);
    world.blocked();
}

#[test]
fn the_setting_of_a_role_whose_certificate_stays_stays_too() {
    let (mut world, old, new) = renewed();
    let other = leaf("shop.contoso.com", 2026);
    world.holds("web/1", &other).role("Worker", &[("Other", &old)]);
    world.object("shop-kv", "tls").versions.pop();
    for role in ["Web", "Worker"] {
        world.setting(role, "Shop.Thumbprint", &old.thumbprint().to_string());
    }
    world.map("ShopTls", "shop-kv/certificates/web").settings = vec!["Shop.Thumbprint".to_owned()];
    let update = world.planned();
    assert_eq!(update.settings.len(), 1);
    assert_eq!(update.settings[0].role.as_str(), "Web");
    assert_ne!(update.settings[0].to, new.thumbprint());
}
