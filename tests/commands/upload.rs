//! `certroll upload` as a person runs it, against the simulated vault and the simulated service.

use std::path::Path;
use std::time::Duration;

use certroll_simulator::call::Call;
use certroll_simulator::clock::Pace;
use certroll_simulator::cloud::Cloud;
use certroll_simulator::faults::{Effect, Fault};
use certroll_simulator::names::Names;
use certroll_simulator::pfx::{self, Contents, Lock};
use certroll_simulator::pki::{self, Authority, Issued, KeyKind, LeafRequest};
use certroll_simulator::scenario::{self, shop};
use certroll_simulator::switches::BareCertificateInPfx;
use certroll_simulator::vault::{Access, JsonSecret, Permission, Reading};
use jiff::Timestamp;
use serde_json::Value;

use super::snapshot;
use crate::support::live::{Live, steady};
use crate::support::program::{Place, Ran};

const PASSWORD: &str = "correct horse";
const LEAF: &str = "shop-kv/certificates/shop-tls";
const INTERMEDIATE: &str = "shop-kv/secrets/contoso-intermediate";
const ROOT: &str = "shop-kv/secrets/contoso-root";

/// The shop as it was a while ago: versions that were made in one second cannot be told apart.
fn aged(change: impl FnOnce(&mut Cloud, &mut shop::Shop)) -> (Cloud, shop::Shop) {
    const WHILE: Duration = Duration::from_secs(120);
    let (mut cloud, mut shop) =
        shop::shop_in(Names::china(), shop::LOCATION, Pace::Automatic, Timestamp::now() - WHILE, |plan| plan);
    change(&mut cloud, &mut shop);
    cloud.advance(WHILE);
    (cloud, shop)
}

/// A renewed leaf below the shop's own intermediate.
fn renewed(shop: &shop::Shop) -> Issued {
    shop.intermediate.issue(&LeafRequest::server(shop::DNS_NAME, Timestamp::now()))
}

/// A PFX as OpenSSL 3 exports it, and the file of its password.
fn pfx_of(place: &Place, issued: &Issued) {
    place.file("leaf.pfx", pfx::write_modern(&Contents::from(issued), PASSWORD));
    place.file("leaf.password", format!("{PASSWORD}\n"));
}

const PFX: [&str; 4] = ["upload", "leaf.pfx", "--password-file", "leaf.password"];

fn upload(live: &Live, file: &[&str], more: &[&str]) -> Ran {
    let arguments: Vec<&str> = file.iter().chain(more).copied().collect();
    let ran = live.run(&arguments);
    assert!(!ran.shown().contains(PASSWORD), "a password was shown");
    ran
}

/// Writes that the vault was sent.
fn writes(live: &Live) -> usize {
    let ledger = live.simulator.ledger();
    ledger.count("POST", |path| path.contains("/certificates/"))
        + ledger.count("PUT", |path| path.starts_with("/secrets/"))
}

fn versions(live: &Live, name: &str) -> usize {
    live.simulator.with(|cloud| cloud.vault(shop::VAULT).unwrap().versions(name).len())
}

/// Without what changes from day to day.
fn still(text: &str) -> String {
    let is_date = |word: &str| word.parse::<jiff::civil::Date>().is_ok();
    let mut shown = String::new();
    for line in steady(text).split_inclusive('\n') {
        let mut dated = false;
        for piece in line.split_inclusive(' ') {
            let word = piece.trim_end();
            let number = dated && !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
            let bare = word.trim_end_matches(',');
            if is_date(bare) {
                shown.push_str(&piece.replace(bare, "[DATE]"));
                dated = true;
            } else if number {
                shown.push_str("[N] ");
                dated = false;
            } else {
                shown.push_str(piece);
            }
        }
    }
    shown
}

#[test]
fn the_help() {
    snapshot!("help_upload", Place::new().run(&["upload", "--help"]).shown());
}

/// Leaf as vault certificate, intermediate and root as secrets: three uploads, a plan and an apply, whatever Azure makes
/// of bare certificates and of AES.
#[tokio::test(flavor = "multi_thread")]
async fn three_files_become_a_renewed_service() {
    for (bare, aes) in [
        (BareCertificateInPfx::Accepted, Reading::Allowed),
        (BareCertificateInPfx::Refused, Reading::Refused),
    ] {
        let (mut cloud, _shop) = aged(|_, _| {});
        cloud.switches.bare_certificate_in_pfx = bare;
        cloud.vault_mut(shop::VAULT).unwrap().behaviour.aes_pfx = aes;
        let live = Live::start(cloud, "").await;
        let now = Timestamp::now();
        let root = Authority::root("Contoso Root 2", now);
        let intermediate = root.intermediate("Contoso Issuing 2", now);
        let leaf = intermediate.issue(&LeafRequest::server(shop::DNS_NAME, now));
        live.place.file("root.pem", root.certificate_pem());
        live.place.file("intermediate.cer", intermediate.certificate_der());
        pfx_of(&live.place, &leaf);

        let ran = upload(&live, &["upload", "root.pem"], &["--to", ROOT, "--yes"]);
        assert_eq!(ran.code, 0, "{}", ran.shown());
        let ran = upload(&live, &["upload", "intermediate.cer"], &["--to", INTERMEDIATE, "--yes"]);
        assert_eq!(ran.code, 0, "{}", ran.shown());
        let ran = upload(&live, &PFX, &["--to", LEAF, "--yes"]);
        assert_eq!(ran.code, 0, "{}", ran.shown());
        assert_eq!(writes(&live), 3);

        let planned = live.run(&["plan"]);
        assert_eq!(planned.code, 2, "{}", planned.shown());
        let applied = live.run(&["apply", "--yes"]);
        assert_eq!(applied.code, 0, "{}", applied.shown());
        assert_eq!((live.puts(), live.run(&["plan"]).code), (1, 0));
        live.simulator.with(|cloud| {
            let held = cloud.service(shop::SERVICE).unwrap().model.configuration.clone();
            for der in [root.certificate_der(), intermediate.certificate_der(), &leaf.der] {
                assert!(held.contains(&pki::thumbprint(der)), "{bare:?}");
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_what_it_would_upload_and_ends() {
    let (cloud, shop) = aged(|_, _| {});
    let live = Live::start(cloud, "").await;
    pfx_of(&live.place, &renewed(&shop));
    let ran = upload(&live, &PFX, &["--to", LEAF, "--dry-run"]);
    snapshot!("upload_dry_run", still(&ran.shown()));
    let intermediate = shop.root.intermediate("Contoso Issuing 2", Timestamp::now());
    let text: String = intermediate.chain().iter().map(|der| pki::pem("CERTIFICATE", der)).collect();
    live.place.file("bundle.pem", format!("{}{text}", intermediate.certificate_pem()));
    let ran = upload(&live, &["upload", "bundle.pem"], &["--to", INTERMEDIATE, "--dry-run"]);
    snapshot!("upload_dry_run_secret", still(&ran.shown()));
    // Nobody can answer here.
    let ran = upload(&live, &PFX, &["--to", LEAF]);
    assert!(ran.code == 64 && ran.stderr.contains("nothing was uploaded"), "{}", ran.shown());
    assert_eq!(writes(&live), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stores_what_a_service_takes_and_names_it() {
    let (cloud, shop) = aged(|_, _| {});
    let live = Live::start(cloud, "").await;
    let leaf = renewed(&shop);
    pfx_of(&live.place, &leaf);
    let ran = upload(&live, &PFX, &["--to", LEAF, "--yes", "--tag", "owner=shop"]);
    let stdout = Ran { stderr: String::new(), ..ran };
    snapshot!("upload_stored", still(&stdout.shown()));

    // As a secret with its key, as JSON.
    let ran =
        upload(&live, &PFX, &["--to", "shop-kv/secrets/other-tls", "--yes", "--json", "--tag", "owner=shop"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&told["replaces"], &told["followed_by"]), (&Value::Null, &serde_json::json!([])));
    assert_eq!(told["stored"]["verified"], true);
    assert_eq!(told["thumbprint"], leaf.thumbprint());
    let bodies = live.simulator.with(|cloud| {
        let vault = cloud.vault(shop::VAULT).unwrap();
        let version = vault.versions("other-tls").pop().unwrap();
        let url = vault.secret_url("other-tls", &version);
        assert_eq!(told["stored"]["certificate_url"], url);
        vault.deployment_secret(&url, "other-tls", &version, false, cloud.now()).unwrap()
    });
    assert_eq!((bodies.thumbprint, bodies.chain.len()), (leaf.thumbprint(), 2));
    assert_eq!(bodies.key_pkcs8.unwrap(), leaf.key_pkcs8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_may_come_by_standard_input() {
    let (cloud, shop) = aged(|_, _| {});
    let live = Live::start(cloud, "").await;
    let leaf = renewed(&shop);
    let arguments = ["upload", "-", "--to", LEAF, "--yes"];
    let ran = tokio::task::block_in_place(|| live.place.run_with_input(&arguments, leaf.pem().as_bytes()));
    assert_eq!((ran.code, versions(&live, shop::LEAF)), (0, 2), "{}", ran.shown());
    assert!(
        ran.stdout.contains(&leaf.thumbprint()) && !ran.shown().contains("PRIVATE KEY"),
        "{}",
        ran.shown()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_with_apply_for_the_services_that_follow() {
    let (cloud, shop) = aged(|_, _| {});
    let live = Live::start(cloud, "").await;
    pfx_of(&live.place, &renewed(&shop));
    let ran = upload(&live, &PFX, &["--to", LEAF, "--yes", "--then", "apply"]);
    assert_eq!((ran.code, live.puts()), (0, 1), "{}", ran.shown());
    assert!(ran.stdout.contains("verified"), "{}", ran.stdout);
    let ran = upload(&live, &PFX, &["--to", "shop-kv/certificates/unused", "--yes", "--then", "apply"]);
    assert!(ran.code == 0 && ran.stderr.contains("nothing to apply"), "{}", ran.shown());
    assert_eq!(live.puts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn upload_and_apply_are_one_document() {
    let (cloud, shop) = aged(|_, _| {});
    let live = Live::start(cloud, "").await;
    let told = |to: &str, code: i32| -> Value {
        pfx_of(&live.place, &renewed(&shop));
        let ran = upload(&live, &PFX, &["--to", to, "--yes", "--then", "apply", "--json"]);
        assert_eq!(ran.code, code, "{}", ran.shown());
        serde_json::from_str(&ran.stdout).unwrap()
    };
    let both = told(LEAF, 0);
    assert_eq!(both["upload"]["stored"]["verified"], true);
    assert_eq!(both["apply"]["services"][0]["ending"], "verified");
    let alone = told("shop-kv/certificates/unused", 0);
    assert_eq!((&alone["upload"]["stored"]["verified"], &alone["apply"]), (&true.into(), &Value::Null));

    // Nothing can be recorded, so that nothing begins: what was stored is told all the same.
    live.place.file("journal/journal.db", "this is no database");
    let both = told(LEAF, 65);
    assert_eq!((&both["upload"]["stored"]["verified"], &both["apply"]), (&true.into(), &Value::Null));
    assert_eq!(live.puts(), 1);
}

/// The file of a leaf that a guard refuses.
fn leaf_of(live: &Live, shop: &shop::Shop, change: impl FnOnce(LeafRequest) -> LeafRequest) {
    let request = change(LeafRequest::server(shop::DNS_NAME, Timestamp::now()));
    pfx_of(&live.place, &shop.intermediate.issue(&request));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_plan_would_refuse_is_refused_here() {
    let (cloud, shop) = aged(|_, _| {});
    let live = Live::start(cloud, "").await;
    leaf_of(&live, &shop, |request| request.dns_names(&["other.contoso.com"]));
    let ran = upload(&live, &PFX, &["--to", LEAF, "--yes"]);
    assert_eq!(ran.code, 65);
    snapshot!("upload_refused", still(&ran.shown()));

    let now = Timestamp::now();
    let day = jiff::SignedDuration::from_hours(24);
    for (guard, change) in [
        (
            "validity",
            Box::new(|request: LeafRequest| request.valid(now - day, now + day / 2)) as Box<dyn Fn(_) -> _>,
        ),
        ("validity", Box::new(|request: LeafRequest| request.valid(now + day, now + day * 100))),
        ("age", Box::new(|request: LeafRequest| request.valid(now - day, now + day * 5))),
        ("server_auth", Box::new(LeafRequest::without_server_auth)),
        ("role", Box::new(LeafRequest::authority)),
        ("strength", Box::new(|request: LeafRequest| request.key(KeyKind::Rsa2048))),
    ] {
        leaf_of(&live, &shop, change);
        let ran = upload(&live, &PFX, &["--to", LEAF, "--yes"]);
        assert_eq!(ran.code, 65, "{guard}: {}", ran.shown());
        let expected = format!("blocked by guard `{guard}`: certificate `ShopTls` of role `Web`");
        assert!(ran.stderr.contains(&expected), "{guard}: {}", ran.stderr);
        assert!(ran.stderr.contains(&format!("`--allow {guard}`")), "{guard}: {}", ran.stderr);
    }
    live.place.file("leaf.cer", &renewed(&shop).der);
    live.simulator.with(|cloud| {
        let (now, value) = (cloud.now(), pfx::write(&Contents::from(&shop.leaf), Lock::Password("")));
        let value = JsonSecret::new(&value, "").value();
        cloud.vault_mut(shop::VAULT).unwrap().set_secret("held", &value, None, now - day);
    });
    let ran = upload(&live, &["upload", "leaf.cer"], &["--to", "shop-kv/secrets/held", "--yes"]);
    assert!(ran.code == 65 && ran.stderr.contains("blocked by guard `key`"), "{}", ran.shown());
    assert_eq!(writes(&live), 0);

    leaf_of(&live, &shop, LeafRequest::without_server_auth);
    let ran = upload(&live, &PFX, &["--to", LEAF, "--yes", "--allow", "server_auth"]);
    assert!(ran.code == 0 && ran.stderr.contains("guard `server_auth` is relaxed"), "{}", ran.shown());
    assert_eq!(writes(&live), 1);
    let ran = upload(&live, &PFX, &["--to", LEAF, "--yes", "--allow", "everything"]);
    assert!(ran.code == 64 && ran.stderr.contains("is no guard"), "{}", ran.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_certificate_is_not_stored_again_unless_in_a_better_form() {
    let (cloud, shop) = aged(|_, _| {});
    let live = Live::start(cloud, "").await;
    pfx_of(&live.place, &shop.leaf);
    let ran = upload(&live, &PFX, &["--to", LEAF, "--yes"]);
    assert_eq!((ran.code, writes(&live)), (65, 0), "{}", ran.shown());
    assert!(ran.stderr.contains("expected: another certificate than"), "{}", ran.stderr);
    // A bare certificate in the document is in doubt: the same certificate as PKCS#12 is worth a version.
    live.simulator.with(|cloud| {
        let value = JsonSecret::new(shop.root.certificate_der(), "").az_value();
        let now = cloud.now();
        let vault = cloud.vault_mut(shop::VAULT).unwrap();
        vault.set_secret(shop::ROOT, &value, None, now - Duration::from_secs(30));
    });
    live.place.file("root.pem", shop.root.certificate_pem());
    let ran = upload(&live, &["upload", "root.pem"], &["--to", ROOT, "--yes"]);
    assert_eq!((ran.code, writes(&live)), (0, 1), "{}", ran.shown());
    let ran = upload(&live, &["upload", "root.pem"], &["--to", ROOT, "--yes"]);
    assert_eq!((ran.code, writes(&live)), (65, 1), "{}", ran.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_become_the_object_is_refused_before_anything_is_asked() {
    let (cloud, shop) = aged(|_, _| {});
    let live = Live::start(cloud, "").await;
    live.place.file("root.pem", shop.root.certificate_pem());
    pfx_of(&live.place, &renewed(&shop));
    let mut all = String::new();
    for arguments in [
        &["upload", "root.pem", "--to", LEAF, "--yes"][..],
        &["upload", "leaf.pfx", "--to", LEAF, "--yes"],
        &["upload", "absent.pfx", "--to", LEAF, "--yes"],
        &["upload", "root.pem", "--to", "shop-kv/keys/shop", "--yes"],
        &["upload", "root.pem", "--to", ROOT, "--yes", "--tag", "owner"],
        &["upload", "root.pem", "--to", ROOT, "--yes", "--tag", "a=1", "--tag", "a=2"],
    ] {
        let ran = live.run(arguments);
        all.push_str(&format!("$ certroll {}\n{}\n", arguments.join(" "), still(&ran.shown())));
    }
    snapshot!("upload_unsuitable", all);
    assert_eq!(live.simulator.ledger().count("GET", |path| path.contains("/secrets/")), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_is_looked_for_and_nothing_is_sent_twice() {
    let (mut cloud, shop) = aged(|_, _| {});
    for call in [Call::ImportCertificate, Call::SetSecret] {
        cloud.fault(Fault::next(call, Effect::CutAfter));
    }
    let live = Live::start(cloud, "").await;
    pfx_of(&live.place, &renewed(&shop));
    for (to, name) in [(LEAF, shop::LEAF), ("shop-kv/secrets/copy", "copy")] {
        let before = versions(&live, name);
        let ran = upload(&live, &PFX, &["--to", to, "--yes"]);
        assert_eq!(ran.code, 0, "{}", ran.shown());
        assert_eq!(versions(&live, name), before + 1);
        let newest = live.simulator.with(|cloud| cloud.vault(shop::VAULT).unwrap().versions(name).pop());
        assert!(ran.stdout.contains(&newest.unwrap()), "{}", ran.stdout);
    }
    assert_eq!(writes(&live), 2);

    live.simulator.with(|cloud| cloud.fault(Fault::next(Call::SetSecret, Effect::CutBefore)));
    let ran = upload(&live, &PFX, &["--to", "shop-kv/secrets/another", "--yes"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (75, ""), "{}", ran.shown());
    assert!(ran.stderr.contains("not known whether the version was stored"), "{}", ran.stderr);
    assert_eq!(versions(&live, "another"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_vault_refuses_is_told_with_the_way_out() {
    let (mut cloud, shop) = aged(|_, _| {});
    let vault = cloud.vault_mut(shop::VAULT).unwrap();
    vault.set_secret("gone", "x", None, Timestamp::now());
    vault.delete("gone");
    let live = Live::start(cloud, "").await;
    pfx_of(&live.place, &renewed(&shop));
    let ran = upload(&live, &PFX, &["--to", "shop-kv/secrets/gone", "--yes"]);
    assert_eq!(ran.code, 65, "{}", ran.shown());
    assert!(ran.stderr.contains("az keyvault secret recover --vault-name shop-kv"), "{}", ran.stderr);
    let ran = upload(&live, &PFX, &["--to", "shop-kv/secrets/shop-tls", "--yes"]);
    assert!(ran.code == 65 && ran.stderr.contains("--to shop-kv/certificates/shop-tls"), "{}", ran.shown());

    let grant = |live: &Live, permissions: &[Permission]| {
        live.simulator.with(|cloud| {
            let vault = cloud.vault_mut(shop::VAULT).unwrap();
            vault.access = Access::Rbac(Default::default());
            vault.grant(scenario::OBJECT_ID, permissions);
        });
    };
    grant(&live, &Permission::READ);
    let ran = upload(&live, &PFX, &["--to", LEAF, "--yes"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (77, ""), "{}", ran.shown());
    assert!(ran.stderr.contains("Key Vault Certificates Officer"), "{}", ran.stderr);
    // Who may only write stores, and is told that nothing could be compared and nothing verified.
    grant(&live, &[Permission::SecretsSet]);
    let ran = upload(&live, &PFX, &["--to", "shop-kv/secrets/blind", "--yes"]);
    assert_eq!((ran.code, versions(&live, "blind")), (77, 1), "{}", ran.shown());
    assert!(ran.stderr.contains("was stored and is not verified"), "{}", ran.stderr);
    assert!(ran.stderr.contains("a version that is not compared"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_without_a_configuration() {
    if Path::new("/etc/certroll/certroll.toml").exists() {
        // A machine on which certroll is installed has a configuration.
        return;
    }
    let (cloud, shop) = aged(|_, _| {});
    let live = Live::start(cloud, "").await;
    pfx_of(&live.place, &renewed(&shop));
    let proxy = live.simulator.proxy_url().to_string();
    let run = |more: &[&str]| {
        let mut command = live.place.command(&PFX);
        command
            .args(["--to", LEAF, "--cloud", "china"])
            .args(more)
            .env_remove("CERTROLL_CONFIG")
            .env("CERTROLL__HTTP__PROXY", &proxy)
            .env("CERTROLL__HTTP__CA_FILE", live.place.path().join("ca.pem"))
            .env("CERTROLL__IDENTITY__KIND", "client_secret")
            .env("CERTROLL__IDENTITY__TENANT_ID", scenario::TENANT)
            .env("CERTROLL__IDENTITY__CLIENT_ID", scenario::CLIENT_ID)
            .env("CERTROLL__IDENTITY__CLIENT_SECRET_ENV", "SHOP_SECRET");
        tokio::task::block_in_place(|| command.output().unwrap())
    };
    let ran = run(&["--yes"]);
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(0), "{told}");
    assert!(told.contains("nobody knows: there is no configuration"), "{told}");
    assert_eq!(versions(&live, shop::LEAF), 2);
    // What goes on needs one.
    let ran = run(&["--yes", "--then", "apply"]);
    assert_eq!(ran.status.code(), Some(78));
    // Without services, the newest version is what the guards compare with.
    leaf_of(&live, &shop, |request| request.dns_names(&["other.contoso.com"]));
    let ran = run(&["--yes"]);
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.code() == Some(65) && told.contains("blocked by guard `names`"), "{told}");
    assert!(told.contains("the next version of vault certificate"), "{told}");
    assert_eq!(writes(&live), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_and_no_password_is_kept_or_logged() {
    let (cloud, shop) = aged(|_, _| {});
    let mut live = Live::start(cloud, "").await;
    live.place = live.place.env("LEAF_PASSWORD", PASSWORD);
    let leaf = renewed(&shop);
    pfx_of(&live.place, &leaf);
    let key = base64(&leaf.key_pkcs8);
    let ran = upload(
        &live,
        &["upload", "leaf.pfx", "--password-env", "LEAF_PASSWORD", "-vv"],
        &["--to", "shop-kv/secrets/copy", "--yes", "--json"],
    );
    assert_eq!(ran.code, 0, "{}", ran.shown());
    // Base64 of DER and of a JSON document begin like this.
    for secret in [&key[..40], "MII", "eyJkYXRh", PASSWORD] {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{secret}");
    }
    let files = |place: &Place| -> Vec<String> {
        let entries = std::fs::read_dir(place.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let mut left = files(&live.place);
    left.sort();
    assert_eq!(left, ["ca.pem", "certroll.toml", "leaf.password", "leaf.pfx"]);
}

fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}
