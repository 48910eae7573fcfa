//! `certroll doctor`: each fault planted in the simulated Azure, and what the program says of it.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use certroll_core::doctor::Check;
use certroll_simulator::arm::rights::{Deploy, Rights};
use certroll_simulator::clock::Pace;
use certroll_simulator::cloud::Cloud;
use certroll_simulator::entra::{DeliveryToken, TokenVersion};
use certroll_simulator::names::Names;
use certroll_simulator::pki::{self, Authority, KeyKind, LeafRequest};
use certroll_simulator::publisher::{Provisioning, SubscriptionRequest};
use certroll_simulator::scenario::{self, ServicePlan, shop};
use certroll_simulator::service::model::{ProvisioningState, UpgradeMode};
use certroll_simulator::vault::{Access, Permission};
use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio_rustls::TlsAcceptor;

use super::snapshot;
use crate::support::live::Live;
use crate::support::written::assert_current;

/// The shop's leaf has twelve days left.
const FAR: &str = "[notify.near_expiry]\npercent = 1\ndays = 1\n";
const DOCUMENT: &str = "docs/doctor.md";
const BEGIN: &str = "<!-- checks: begin -->\n";
const END: &str = "<!-- checks: end -->\n";
fn plain_shop() -> Cloud {
    planned_shop(|plan| plan)
}

fn planned_shop(change: impl FnOnce(ServicePlan) -> ServicePlan) -> Cloud {
    shop::shop_in(Names::china(), shop::LOCATION, Pace::Automatic, Timestamp::now(), change).0
}

fn with(change: impl FnOnce(&mut Cloud)) -> Cloud {
    let mut cloud = plain_shop();
    change(&mut cloud);
    cloud
}

fn without(missing: Permission, by_roles: bool) -> Cloud {
    with(|cloud| {
        let left = scenario::every_permission().into_iter().filter(|one| *one != missing).collect();
        let grants = [(scenario::OBJECT_ID.to_owned(), left)].into();
        let vault = cloud.vault_mut(shop::VAULT).unwrap();
        vault.access = if by_roles { Access::Rbac(grants) } else { Access::Policies(grants) };
    })
}

/// The shop some days after it was made.
fn after(days: i64) -> Cloud {
    let then = Timestamp::now() - SignedDuration::from_hours(24 * days);
    let mut cloud = shop::shop(Pace::Automatic, then).0;
    cloud.advance(Duration::from_secs(days.unsigned_abs() * 24 * 60 * 60));
    cloud
}

/// A subscription that somebody made for the webhook at a public address.
fn subscribed(change: impl FnOnce(SubscriptionRequest) -> SubscriptionRequest, state: Provisioning) -> Cloud {
    with(|cloud| {
        let endpoint = "https://certroll.contoso.com/events".parse().unwrap();
        cloud.publisher.found(change(SubscriptionRequest::new("certroll", shop::VAULT, endpoint)), state);
    })
}

/// One planted fault.
struct Planted {
    check: Check,
    what: &'static str,
    cloud: Cloud,
    sections: String,
    arguments: &'static [&'static str],
    /// What is done to the program's directory.
    place: Box<dyn FnOnce(&mut Live)>,
}

fn planted(check: Check, what: &'static str, cloud: Cloud) -> Planted {
    Planted { check, what, cloud, sections: FAR.to_owned(), arguments: &["doctor"], place: Box::new(|_| {}) }
}

/// With a webhook that is configured and does not run.
fn webhook(what: &'static str, events: &str, cloud: Cloud) -> Planted {
    let sections = format!("{FAR}[events]\nlisten = \"127.0.0.1:9\"\n{events}");
    Planted { sections, ..planted(Check::Subscription, what, cloud) }
}

const HEADER: &str = "[events.shared_secret]\nheader = \"X-Certroll-Secret\"\nsecret_env = \"SHOP_SECRET\"\n";
const OPEN: &str = "authentication = \"none\"\n";

fn entra() -> String {
    format!(
        "[events.entra]\ntenant_id = \"{}\"\naudiences = [\"api://certroll\"]\napplication_id = \"4962773b-9cdb-44cf-a8bf-237846a00ab7\"\n",
        scenario::TENANT
    )
}

/// Days before or after now.
fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

/// The identity proves itself by a certificate that Entra ID knows.
fn identity(what: &'static str, not_after: Timestamp) -> Planted {
    let request = LeafRequest::server("certroll", Timestamp::now()).key(KeyKind::Rsa2048);
    let certificate = request.valid(Timestamp::now() - days(30), not_after).self_signed();
    let cloud = with(|cloud| cloud.entra.applications[0].certificates.push(certificate.der.clone()));
    let place = Box::new(move |live: &mut Live| {
        live.place.file("client.pem", certificate.pem());
        let text = std::fs::read_to_string(live.place.path().join("certroll.toml")).unwrap();
        let text = text.replace("kind = \"client_secret\"", "kind = \"client_certificate\"");
        let text =
            text.replace("client_secret_env = \"SHOP_SECRET\"", "client_certificate_file = \"client.pem\"");
        live.place.file("certroll.toml", text);
    });
    Planted { place, ..planted(Check::IdentityCertificate, what, cloud) }
}

/// The webhook serves TLS itself.
fn webhook_certificate(what: &'static str, not_after: Timestamp) -> Planted {
    let request = LeafRequest::server("certroll.contoso.com", Timestamp::now());
    let certificate = request.valid(Timestamp::now() - days(30), not_after).self_signed();
    let place = Box::new(move |live: &mut Live| {
        live.place.file("webhook.pem", pki::pem("CERTIFICATE", &certificate.der));
        live.place.file("webhook.key", pki::pem("PRIVATE KEY", &certificate.key_pkcs8));
    });
    let tls = format!("{OPEN}certificate_file = \"webhook.pem\"\nkey_file = \"webhook.key\"\n");
    let cloud = subscribed(|request| request, Provisioning::Succeeded);
    Planted { check: Check::WebhookCertificate, place, ..webhook(what, &tls, cloud) }
}

/// Somebody at the address that a subscription names.
struct Somebody {
    address: SocketAddr,
    authority: String,
}

/// Listens at a free port of this machine. `answer` is what is said over TLS; without it there is nobody.
fn somebody(answer: Option<&'static str>) -> Somebody {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let authority = Authority::root("Public Root", Timestamp::now());
    let Some(answer) = answer else { return Somebody { address, authority: authority.certificate_pem() } };
    let leaf = authority.issue(&LeafRequest::server("localhost", Timestamp::now()));
    let chain = leaf.full_chain().into_iter().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::Pkcs8(leaf.key_pkcs8.into());
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut asked = BufReader::new(&mut stream).lines();
                let mut head = Vec::new();
                while let Ok(Some(line)) = asked.next_line().await {
                    if line.is_empty() {
                        break;
                    }
                    head.push(line.to_ascii_lowercase());
                }
                // What is asked without credentials is asked as Event Grid does it; anything else is nobody's.
                let expected = head[0] == "options /events http/1.1"
                    && head.iter().any(|line| line.starts_with("webhook-request-origin: eventgrid.azure."))
                    && head.iter().all(|line| !line.starts_with("authorization"));
                let answer = if expected { answer } else { "HTTP/1.1 500 Unexpected\r\n\r\n" };
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    Somebody { address, authority: authority.certificate_pem() }
}

const REACH: [&str; 2] = ["doctor", "--reach-webhook"];
const ELSE: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";

/// A subscription that delivers to somebody.
fn public(what: &'static str, somebody: Somebody) -> Planted {
    let cloud = with(|cloud| {
        let endpoint = format!("https://localhost:{}/events?key=1", somebody.address.port());
        let request = SubscriptionRequest::new("certroll", shop::VAULT, endpoint.parse().unwrap());
        cloud.publisher.found(request, Provisioning::Succeeded);
    });
    let place = Box::new(move |live: &mut Live| {
        let trusted = std::fs::read_to_string(live.place.path().join("ca.pem")).unwrap();
        live.place.file("ca.pem", format!("{trusted}{}", somebody.authority));
        let place = std::mem::replace(&mut live.place, crate::support::program::Place::new());
        live.place = place.env("CERTROLL__HTTP__NO_PROXY", "[\"localhost\"]");
    });
    Planted { check: Check::PublicAddress, arguments: &REACH, place, ..webhook(what, OPEN, cloud) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_s_address_is_greeted_only_when_asked_for() {
    const CONSENT: &str =
        "HTTP/1.1 200 OK\r\nwebhook-allowed-origin: eventgrid.azure.cn\r\ncontent-length: 0\r\n\r\n";
    const WITHOUT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    const REFUSED: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
    let unknown = || Somebody { authority: String::new(), ..somebody(Some(CONSENT)) };
    for (somebody, expected) in [
        (somebody(Some(CONSENT)), "good: webhook: public-address: `localhost` answers (status 200)"),
        (somebody(Some(REFUSED)), "good: webhook: public-address: `localhost` answers (status 401)"),
        (somebody(Some(WITHOUT)), "warning: webhook: public-address: `localhost` answers without consent"),
        (somebody(Some(ELSE)), "warning: webhook: public-address: `localhost` answers with status 404"),
        (somebody(None), "warning: webhook: public-address: `localhost` does not answer from here: "),
        (unknown(), "warning: webhook: public-address: `localhost` does not answer from here: "),
    ] {
        let Planted { cloud, sections, place, .. } = public("", somebody);
        let mut live = Live::start_with(cloud, &sections, "").await;
        place(&mut live);
        let ran = live.run(&["doctor", "--all"]);
        assert!(ran.stdout.contains("`localhost` was not greeted: `--reach-webhook` does"), "{}", ran.stdout);
        let ran = live.run(&[&REACH[..], &["--all"]].concat());
        assert!(ran.stdout.contains(expected), "{expected}\n{}", ran.stdout);
        assert!(!ran.shown().contains("key=1"), "what the address holds besides may be a secret");
    }
}

fn all() -> Vec<Planted> {
    let rights = |rights: Rights| with(|cloud| cloud.default_rights = rights);
    let no_secret = || with(|cloud| cloud.entra.applications[0].secrets.clear());
    let extension = json!({ "name": "rotation", "properties": {
        "publisher": "Microsoft.Azure.KeyVault", "type": "KeyVaultForPaaS", "typeHandlerVersion": "1.0" } });
    let token =
        DeliveryToken::new(TokenVersion::Two, "11111111-2222-3333-4444-555555555555", "api://certroll");
    let mut found = vec![
        planted(
            Check::TokenForResourceManager,
            "the client secret is no longer the application's",
            no_secret(),
        ),
        planted(Check::TokenForVaults, "the same", no_secret()),
        planted(
            Check::VaultRead,
            "no role on the vault's resource",
            rights(Rights { read_vaults: false, ..Rights::all() }),
        ),
        planted(Check::SecretsList, "no permission to list secrets", without(Permission::SecretsList, true)),
        planted(
            Check::SecretsList,
            "the vault's firewall keeps this machine out",
            with(|cloud| cloud.vault_mut(shop::VAULT).unwrap().firewall_closed = true),
        ),
        planted(Check::SecretsGet, "no permission to get secrets", without(Permission::SecretsGet, true)),
        planted(
            Check::CertificatesList,
            "no permission to list certificates",
            without(Permission::CertificatesList, true),
        ),
        planted(
            Check::CertificatesGet,
            "no permission to get certificates",
            without(Permission::CertificatesGet, true),
        ),
        planted(
            Check::CertificatesGet,
            "the same, in a vault with access policies",
            without(Permission::CertificatesGet, false),
        ),
        planted(
            Check::EnabledForDeployment,
            "the vault is not enabled for deployment",
            with(|cloud| cloud.vault_mut(shop::VAULT).unwrap().enabled_for_deployment = false),
        ),
        planted(
            Check::Deploy,
            "no permission to deploy from the vault",
            rights(Rights { deploy: Deploy::Vaults(Vec::new()), ..Rights::all() }),
        ),
        planted(Check::ServiceRead, "no role at all", rights(Rights::none())),
        planted(
            Check::ServiceWrite,
            "no permission to write the service",
            rights(Rights { write: false, ..Rights::all() }),
        ),
        planted(
            Check::UpgradeMode,
            "the service is in Manual mode",
            planned_shop(|plan| plan.upgrade_mode(UpgradeMode::Manual)),
        ),
        planted(
            Check::Extension,
            "the Key Vault extension is on the service",
            planned_shop(|plan| plan.extension(extension)),
        ),
        planted(
            Check::VaultSubscription,
            "the vault is in another subscription",
            planned_shop(|plan| plan.at("7b2d7f0e-1111-4222-8333-944455556666", "shop")),
        ),
        planted(
            Check::VaultRegion,
            "the vault is in another region",
            with(|cloud| cloud.vault_mut(shop::VAULT).unwrap().location = "chinanorth3".to_owned()),
        ),
        planted(Check::Plan, "the new leaf lacks a name that is served", {
            let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
            shop.renew_leaf_with_a_name_lost(&mut cloud);
            cloud
        }),
        Planted {
            sections: String::new(),
            ..planted(Check::CertificateLife, "the certificate ends soon", plain_shop())
        },
        planted(Check::CertificateLife, "the certificate has ended", after(13)),
        Planted {
            check: Check::Listening,
            ..webhook("the daemon does not run", OPEN, subscribed(|request| request, Provisioning::Succeeded))
        },
        webhook("the vault has no event subscription", HEADER, plain_shop()),
        webhook(
            "the subscription lacks the secret's header",
            HEADER,
            subscribed(|request| request, Provisioning::Succeeded),
        ),
        webhook(
            "the subscription sends tokens of another tenant",
            &entra(),
            subscribed(|request| request.token(token), Provisioning::Succeeded),
        ),
        webhook(
            "the subscription leaves new versions out",
            OPEN,
            subscribed(
                |request| SubscriptionRequest {
                    event_types: vec!["Microsoft.KeyVault.SecretNearExpiry".to_owned()],
                    ..request
                },
                Provisioning::Succeeded,
            ),
        ),
        webhook(
            "nobody has consented to the subscription",
            OPEN,
            subscribed(|request| request, Provisioning::Failed),
        ),
        planted(
            Check::Clock,
            "this machine's clock is an hour behind",
            with(|cloud| cloud.advance(Duration::from_secs(60 * 60))),
        ),
    ];
    let journal = |what: &'static str, check: Check, place: fn(&mut Live)| Planted {
        place: Box::new(place),
        ..planted(check, what, plain_shop())
    };
    found.push(identity("the client certificate has ended", Timestamp::now() - days(1)));
    found.push(identity(
        "the client certificate ends in two hours",
        Timestamp::now() + SignedDuration::from_hours(2),
    ));
    let soon = Timestamp::now() + SignedDuration::from_hours(2);
    found.push(webhook_certificate("the webhook's certificate ends in two hours", soon));
    found.push(webhook_certificate("the webhook's certificate has ended", Timestamp::now() - days(1)));
    found.push(public("somebody else answers at the public address", somebody(Some(ELSE))));
    found.push(public("nobody answers at the public address", somebody(None)));
    found.push(planted(
        Check::ServiceState,
        "the last operation on the service failed",
        with(|cloud| cloud.service_mut(shop::SERVICE).unwrap().ended(ProvisioningState::Failed)),
    ));
    found.push(planted(
        Check::BelowService,
        "a role that leaves the role instances out",
        rights(Rights { read_instances: false, ..Rights::all() }),
    ));
    // A file system of the system's own, which has no room for anybody.
    #[cfg(target_os = "linux")]
    found.push(journal("the file system has no room", Check::JournalSpace, |live| {
        let place = std::mem::replace(&mut live.place, crate::support::program::Place::new());
        live.place = place.env("CERTROLL__JOURNAL__DIRECTORY", "/proc/certroll");
    }));
    found.push(journal("the journal's directory cannot be made", Check::JournalDirectory, |live| {
        let place = std::mem::replace(&mut live.place, crate::support::program::Place::new());
        live.place = place.env("CERTROLL__JOURNAL__DIRECTORY", "ca.pem/journal");
    }));
    #[cfg(unix)]
    found.push(journal("others may enter the journal's directory", Check::JournalDirectory, |live| {
        use std::os::unix::fs::PermissionsExt;
        let path = live.place.path().join("journal");
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }));
    found.push(journal("the journal is no journal", Check::Journal, |live| {
        live.place.file("journal/journal.db", "this is no database");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let path = live.place.path().join("journal");
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
        }
    }));
    found
}

/// A text without what differs from run to run: dates, days, seconds of clocks, free space, long identifiers.
fn steady(text: &str) -> String {
    let mut shown: Vec<String> = Vec::new();
    for line in crate::support::live::steady(text).split('\n') {
        let words: Vec<&str> = line.split(' ').collect();
        let mut changed: Vec<String> = Vec::new();
        for (at, word) in words.iter().enumerate() {
            let number = word.chars().all(|c| c.is_ascii_digit()) && !word.is_empty();
            let next = words.get(at + 1).copied().unwrap_or_default();
            let bare = word.trim_end_matches([',', ';', '.']);
            let is_date = bare.len() == 10 && bare.parse::<jiff::civil::Date>().is_ok();
            let is_time = bare.len() == 6 && bare.ends_with('Z') && bare.as_bytes()[2] == b':';
            changed.push(match () {
                () if is_date => word.replace(bare, "[DATE]"),
                () if is_time => word.replace(bare, "[TIME]"),
                () if number
                    && ["days", "days\"", "MiB", "s"].contains(&next.trim_end_matches([',', '.'])) =>
                {
                    "[N]".to_owned()
                }
                () => (*word).to_owned(),
            });
        }
        shown.push(changed.join(" "));
    }
    shown.join("\n").replace("20[DATE]", "[DATE]")
}

/// The line of a check in what was printed, and the line that mends it.
fn line_of(check: Check, shown: &str) -> Option<(String, String)> {
    let mut lines = shown.lines().skip_while(|line| {
        let names = line.split(": ").nth(2).unwrap_or_default();
        !names.split(", ").any(|name| name == check.name()) || line.starts_with("good")
    });
    let line = lines.next()?.to_owned();
    let details = lines.take_while(|line| line.starts_with("  "));
    let mend = details.filter_map(|line| line.strip_prefix("  mend: ")).next().unwrap_or_default();
    Some((line, mend.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_planted_fault_is_found_and_the_document_tells_it() {
    let mut table =
        "| check | looks at | planted | what is printed | mended by |\n|---|---|---|---|---|\n".to_owned();
    let mut seen = std::collections::BTreeSet::new();
    let mut planted = all();
    planted.sort_by_key(|one| one.check);
    for Planted { check, what, cloud, sections, arguments, place } in planted {
        let mut live = Live::start_with(cloud, &sections, "").await;
        place(&mut live);
        let before = files(&live);
        let ran = live.run(arguments);
        assert_eq!(files(&live), before, "{what}: nothing may be written");
        assert_eq!(live.puts(), 0);
        let expected = if check == Check::UpgradeMode { &[0][..] } else { &[1, 3, 4] };
        assert!(expected.contains(&ran.code), "{what}: {}", ran.shown());
        let shown = steady(&ran.stdout);
        let Some((line, mend)) = line_of(check, &shown) else {
            panic!("{what}: not found:\n{}", ran.shown())
        };
        assert!(!line.starts_with("not checked"), "{what}: {line}");
        let looks = if seen.insert(check) { check.looks_at() } else { "" };
        let cell = |text: &str| text.replace('|', "\\|");
        let code = |text: &str| match text {
            "" => String::new(),
            text => format!("`` {} ``", cell(text)),
        };
        let mend =
            if mend.starts_with("az ") || mend.starts_with("certroll ") { code(&mend) } else { cell(&mend) };
        writeln!(table, "| `{}` | {looks} | {what} | {} | {mend} |", check.name(), code(&line)).unwrap();
    }
    assert_eq!(seen.len(), Check::ALL.len(), "a check is not planted");
    let found = std::fs::read_to_string(crate::support::written::repository(DOCUMENT)).unwrap();
    let (before, rest) = found.split_once(BEGIN).expect("a mark where the table begins");
    let (_, after) = rest.split_once(END).expect("a mark where the table ends");
    assert_current(DOCUMENT, &format!("{before}{BEGIN}{table}{END}{after}"));
}

/// Every file of the program's directory, with its size.
fn files(live: &Live) -> Vec<(std::path::PathBuf, u64)> {
    let mut found = Vec::new();
    let mut open = vec![live.place.path().to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let data = entry.metadata().unwrap();
            if data.is_dir() {
                open.push(entry.path());
            }
            found.push((entry.path(), data.len()));
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_world_is_told_at_a_glance() {
    let live = Live::start_with(plain_shop(), FAR, "").await;
    let ran = live.run(&["doctor"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    snapshot!("doctor_healthy", steady(&ran.shown()));
    snapshot!("doctor_healthy_all", steady(&live.run(&["doctor", "--all", "shop"]).shown()));
    assert_eq!(live.run(&["doctor", "shpo"]).code, 64);
    assert_eq!(live.puts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ill_world_is_told_the_worst_first() {
    let cloud = with(|cloud| {
        cloud.default_rights = Rights { write: false, deploy: Deploy::Vaults(Vec::new()), ..Rights::all() };
        let vault = cloud.vault_mut(shop::VAULT).unwrap();
        vault.enabled_for_deployment = false;
        vault.firewall_closed = true;
    });
    let live = Live::start(cloud, "").await;
    let ran = live.run(&["doctor"]);
    assert_eq!(ran.code, 4, "{}", ran.shown());
    snapshot!("doctor_ill", steady(&ran.shown()));
    let ran = live.run(&["doctor", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&report["format"], &report["worst"]), (&json!(1), &json!("failure")));
    let commands: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["mend"]["command"].as_str())
        .collect();
    assert!(
        commands.contains(&"az keyvault update --name shop-kv --enabled-for-deployment true"),
        "{commands:?}"
    );
    assert_eq!(report["before_az"], "az cloud set --name AzureChinaCloud");
}
