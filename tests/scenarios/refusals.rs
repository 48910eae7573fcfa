//! What the service itself refuses, at once or by an operation that fails: how the rollout ends, and what a person reads.

use certroll_core::plan::PlannedUpdate;
use certroll_core::rollout::Ending;
use certroll_core::target::cloud_service::OsProfile;
use certroll_simulator::arm::rights::{Deploy, Rights};
use certroll_simulator::cloud::Cloud;
use certroll_simulator::scenario::shop::{self, Shop};
use certroll_simulator::scenario::{SUBSCRIPTION, certificate_of};
use certroll_simulator::switches::{MissingThumbprints, SecretErrors, Switches, UnchangedReferences};
use certroll_simulator::vault::{Kind, Material};
use serde_json::{Value, json};

use crate::support::azure::{Azure, Deployed, renewed_shop, shop_service};

/// When the service refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusing {
    AtOnce,
    Later,
}

fn switches(refusing: Refusing) -> Switches {
    match refusing {
        Refusing::AtOnce => Switches {
            missing_thumbprints: MissingThumbprints::Sync,
            secret_errors: SecretErrors::Sync,
            ..Switches::documented()
        },
        Refusing::Later => Switches {
            missing_thumbprints: MissingThumbprints::Operation,
            secret_errors: SecretErrors::Operation,
            ..Switches::documented()
        },
    }
}

struct Refused {
    azure: Azure,
    before: Deployed,
    ending: Ending,
}

/// Plans the renewed set, lets something change, and carries it.
async fn refused(
    refusing: Refusing,
    prepare: impl FnOnce(&mut Cloud, &mut Shop),
    relax: &str,
    change: impl FnOnce(&mut Cloud, &Shop, &mut PlannedUpdate),
) -> Refused {
    let (mut cloud, mut shop) = renewed_shop();
    cloud.switches = switches(refusing);
    prepare(&mut cloud, &mut shop);
    let relaxed = format!("[service.guards]\nrelax = [{relax}]\n");
    let azure = Azure::start(cloud, |simulator| shop_service(simulator, &relaxed)).await;
    let before = azure.deployed();
    let mut update = azure.planned().await;
    azure.with(|cloud| change(cloud, &shop, &mut update));
    let ending = azure.roll_out(update).await;
    Refused { azure, before, ending }
}

impl Refused {
    /// Refused at once: nothing was changed, and the person reads why.
    fn is_abandoned(&self, words: &[&str]) {
        assert!(matches!(self.ending, Ending::Abandoned { .. }), "{:?}", self.ending);
        self.says(words);
        assert_eq!(self.azure.deployed(), self.before);
        assert_eq!((self.azure.puts(), self.azure.puts_in_effect()), (1, 0));
    }

    /// The operation failed: the old state is back.
    fn is_restored(&self, words: &[&str]) {
        assert!(matches!(self.ending, Ending::Restored { .. }), "{:?}", self.ending);
        self.says(words);
        assert_eq!(self.azure.deployed(), self.before);
        assert_eq!((self.azure.puts(), self.azure.puts_into_an_operation()), (2, 0));
    }

    fn says(&self, words: &[&str]) {
        let message = self.ending.cause().unwrap().to_string();
        for word in words {
            assert!(message.contains(word), "{word}: {message}");
        }
    }

    fn is(&self, refusing: Refusing, words: &[&str]) {
        match refusing {
            Refusing::AtOnce => self.is_abandoned(words),
            Refusing::Later => self.is_restored(words),
        }
    }
}

/// The plan's secrets, changed as JSON.
fn edit_secrets(update: &mut PlannedUpdate, edit: impl FnOnce(&mut Value)) {
    let mut value = update.wanted.os_profile.to_value();
    edit(&mut value);
    update.wanted.os_profile = OsProfile::read(Some(&value)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn thumbprints_without_a_secret() {
    for refusing in [Refusing::AtOnce, Refusing::Later] {
        let result = refused(
            refusing,
            |_, _| {},
            "",
            |_, shop, update| {
                let (root, old) = (shop.stored_root.url.clone(), update.expected.os_profile.to_value());
                edit_secrets(update, |value| {
                    let list = value["secrets"][0]["vaultCertificates"].as_array_mut().unwrap();
                    list.retain(|one| one["certificateUrl"].as_str().unwrap() != root);
                    assert!(list.len() < old["secrets"][0]["vaultCertificates"].as_array().unwrap().len());
                });
            },
        )
        .await;
        let missing = "The thumbprints specified in the CSCFG do not have corresponding certificates";
        result.is(refusing, &[missing, "Missing thumbprints: Web|"]);
    }
}

/// What becomes of the new version's secret between plan and PUT.
type Spoil = fn(&mut Cloud, &Shop);

fn broken_secrets() -> Vec<(&'static str, Spoil, &'static str)> {
    vec![
        (
            "disabled",
            |cloud, shop| {
                let now = cloud.now();
                let vault = cloud.vault_mut(shop::VAULT).unwrap();
                vault.set_enabled(Kind::Certificate, shop::LEAF, &shop.stored_leaf.version, false, now);
            },
            "is disabled",
        ),
        (
            "the vault was moved",
            |cloud, _| {
                cloud.vault_mut(shop::VAULT).unwrap().location = "chinanorth3".to_owned();
            },
            "must be in the same location",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_break_between_plan_and_put() {
    for refusing in [Refusing::AtOnce, Refusing::Later] {
        for (name, spoil, says) in broken_secrets() {
            println!("{refusing:?}: {name}");
            let trusted = |cloud: &mut Cloud, _: &mut Shop| {
                cloud.switches.unchanged_references = UnchangedReferences::Trusted;
            };
            let result = refused(refusing, trusted, "", |cloud, shop, _| spoil(cloud, shop)).await;
            result.is(refusing, &[says]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_secret() {
    for refusing in [Refusing::AtOnce, Refusing::Later] {
        let result = refused(
            refusing,
            |_, _| {},
            "",
            |_, shop, update| {
                let url = shop.stored_root.url.clone();
                let gone = url.replace(&shop.stored_root.version, "00000000000000000000000000000000");
                edit_secrets(update, |value| {
                    let text = value.to_string().replace(&url, &gone);
                    *value = serde_json::from_str(&text).unwrap();
                });
            },
        )
        .await;
        result.is(refusing, &["KeyVaultSecretDoesNotExist", "does not exist"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_is_closed_for_deployment_meanwhile_also_stops_the_way_back() {
    let close = |cloud: &mut Cloud, _: &Shop, _: &mut PlannedUpdate| {
        cloud.vault_mut(shop::VAULT).unwrap().enabled_for_deployment = false;
    };
    let says = "either has not been enabled for deployment or the vault id provided";
    refused(Refusing::AtOnce, |_, _| {}, "", close).await.is_abandoned(&[says]);

    let result = refused(Refusing::Later, |_, _| {}, "", close).await;
    assert!(matches!(result.ending, Ending::Stuck { .. }), "{:?}", result.ending);
    result.says(&["the old state could not be put back", says, "it was to be put back because"]);
    assert!(result.azure.puts() <= 4 && result.azure.puts_into_an_operation() == 0);
    assert_eq!(result.azure.leaves().len(), 1, "no instance was touched");

    // What the service holds already it need not fetch again: then the way back is open.
    let trusted = |cloud: &mut Cloud, _: &mut Shop| {
        cloud.switches.unchanged_references = UnchangedReferences::Trusted;
    };
    refused(Refusing::AtOnce, trusted, "", close).await.is_abandoned(&[says]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_a_form_that_the_service_does_not_take() {
    let pem = |cloud: &mut Cloud, shop: &mut Shop| {
        let material = Material::pem(&shop.leaf);
        shop.stored_leaf = certificate_of(cloud, shop::VAULT, shop::LEAF, &shop.leaf, &material);
    };
    for refusing in [Refusing::AtOnce, Refusing::Later] {
        let result = refused(refusing, pem, "\"form\"", |_, _, _| {}).await;
        result.is(refusing, &["CertificateImproperlyFormatted"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_of_another_subscription() {
    let other = "0e3b1c77-52a4-4d0e-9a11-7f6b2c9d4e85";
    let move_vault = |cloud: &mut Cloud, _: &mut Shop| {
        let vault = cloud.vault_mut(shop::VAULT).unwrap();
        vault.subscription = other.to_owned();
        let id = vault.resource_id();
        cloud.service_mut(shop::SERVICE).unwrap().model.secrets[0].vault_id = id;
    };
    let result = refused(Refusing::AtOnce, move_vault, "\"placement\"", |_, _, _| {}).await;
    result.is_abandoned(&[&format!("The SubscriptionId:'{SUBSCRIPTION}' of the request must match"), other]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_the_service_holds_twice_is_sent_once() {
    let twice = |cloud: &mut Cloud, _: &mut Shop| {
        let service = cloud.service_mut(shop::SERVICE).unwrap();
        let mut second = service.model.secrets[0].clone();
        second.vault_id = second.vault_id.to_ascii_uppercase().replace("/SUBSCRIPTIONS/", "/subscriptions/");
        second.certificates = vec![service.model.secrets[0].certificates.pop().unwrap()];
        service.model.secrets.push(second);
    };
    let result = refused(Refusing::AtOnce, twice, "", |_, _, _| {}).await;
    assert_eq!(result.ending, Ending::Verified);
    let put = &result.azure.put_exchanges()[0].request_body;
    assert_eq!(put["properties"]["osProfile"]["secrets"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_members() {
    let result = refused(
        Refusing::AtOnce,
        |_, _| {},
        "",
        |_, _, update| {
            edit_secrets(update, |value| {
                value["secrets"][0]["vaultCertificates"][0]["certificateStore"] = json!("My");
            });
        },
    )
    .await;
    result.is_abandoned(&["InvalidRequestContent", "Could not find member 'certificateStore'"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_names_of_certificates() {
    let result = refused(
        Refusing::AtOnce,
        |_, _| {},
        "",
        |_, _, update| {
            update.wanted.configuration =
                update.wanted.configuration.replace("\"ContosoRoot\"", "\"ContosoRoots\"");
        },
    )
    .await;
    result.is_abandoned(&["The CSCFG did not match the CSDEF", "certificate 'ContosoRoots' for role 'Web'"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_rights() {
    let cases: [(Rights, &str, &str); 2] = [
        (
            Rights { deploy: Deploy::Vaults(Vec::new()), ..Rights::all() },
            "LinkedAuthorizationFailed",
            "vaults/deploy/action",
        ),
        (Rights { write: false, ..Rights::all() }, "a permission is missing", "cloudServices/write"),
    ];
    for (rights, code, action) in cases {
        let result =
            refused(Refusing::AtOnce, |_, _| {}, "", |cloud, _, _| cloud.default_rights = rights).await;
        result.is_abandoned(&[code, action]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_gone() {
    let result = refused(
        Refusing::AtOnce,
        |_, _| {},
        "",
        |cloud, _, _| {
            cloud.default_rights = Rights::none();
        },
    )
    .await;
    assert!(matches!(result.ending, Ending::Abandoned { .. }));
    result.says(&["the service could not be read", "a permission is missing"]);
    assert_eq!(result.azure.puts(), 0);
}
