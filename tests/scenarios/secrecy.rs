//! What is written anywhere holds no token, password, key or setting, and tokens go to the hosts of the cloud only.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use certroll_core::plan::SavedPlan;
use certroll_core::rollout::Ending;
use certroll_simulator::call::Call;
use certroll_simulator::cloud::Cloud;
use certroll_simulator::faults::{Effect, Fault, Times, Which};
use certroll_simulator::pfx::{Lock, write_certificates};
use certroll_simulator::scenario::CLIENT_SECRET;
use certroll_simulator::scenario::shop::{self, Shop};
use certroll_simulator::vault::JsonSecret;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use crate::support::azure::{Azure, HOUR, renewed_shop, renewed_shop_with};

const PASSWORD: &str = "pfx-password-that-nobody-may-read";
const SETTING: &str = "AccountKey=setting-that-nobody-may-read";

/// Text that was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Written {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A renewed shop whose root is locked with a password, and whose cscfg has a secret setting.
fn shop_with_canaries() -> (Cloud, Shop) {
    let (mut cloud, shop) = renewed_shop_with(|plan| plan.setting("Worker.Storage", SETTING));
    let pfx = write_certificates(std::slice::from_ref(&shop.root.issued().der), Lock::Password(PASSWORD));
    let value = JsonSecret::new(&pfx, PASSWORD).az_value();
    cloud.advance(HOUR);
    let now = cloud.now();
    cloud.vault_mut(shop::VAULT).unwrap().set_secret(shop::ROOT, &value, None, now);
    (cloud, shop)
}

/// Everything that may stand nowhere, by what it is.
fn canaries(azure: &Azure, shop: &Shop) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("client secret", CLIENT_SECRET.to_owned()),
        ("password of a PFX", PASSWORD.to_owned()),
        ("password in base64", STANDARD.encode(PASSWORD)),
    ];
    for token in azure.with(|cloud| cloud.entra.issued_tokens().map(str::to_owned).collect::<Vec<_>>()) {
        let parts: Vec<&str> = token.split('.').collect();
        assert_eq!(parts.len(), 3);
        // Payload and signature, so that a token that is cut or wrapped is found too.
        all.push(("token", parts[1][..40].to_owned()));
        all.push(("signature of a token", parts[2][..40].to_owned()));
    }
    let key = &shop.leaf.key_pkcs8;
    // The private part is in the middle: a head of the DER is the same in every key.
    let secret = &key[key.len() / 3..key.len() / 3 + 24];
    let hex = |upper: bool| {
        secret.iter().fold(String::new(), |mut text, byte| {
            let _ = if upper { write!(text, "{byte:02X}") } else { write!(text, "{byte:02x}") };
            text
        })
    };
    all.push(("key in hex", hex(true)));
    all.push(("key in hex", hex(false)));
    all.push(("key as a list", secret[..8].iter().map(u8::to_string).collect::<Vec<_>>().join(", ")));
    for encoded in [STANDARD.encode(key), URL_SAFE_NO_PAD.encode(key)] {
        let middle = encoded.len() / 3;
        all.push(("key in base64", encoded[middle..middle + 30].to_owned()));
    }
    all
}

fn assert_clean(place: &str, text: &str, canaries: &[(&'static str, String)]) {
    for (what, canary) in canaries {
        if let Some(at) = text.find(canary.as_str()) {
            let line = text[..at].rfind('\n').map_or(0, |at| at + 1);
            let context: String = text[line..].chars().take(400).collect();
            panic!("{place} holds a {what}: {context}");
        }
    }
}

/// One thread, whose subscriber hears of everything down to `trace`, libraries included.
#[tokio::test]
async fn nothing_secret_is_written_anywhere() {
    // With one subscriber alone, an event that another test's thread meets first would be switched off for all.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    for fault in [
        None,
        Some(Fault::next(Call::PutCloudService, Effect::OldCertificatePresented(Which::All))),
        Some(Fault::next(Call::PutCloudService, Effect::MalformedJson)),
        Some(Fault::always(
            Call::PutCloudService,
            Effect::Reply { status: 400, code: "InvalidParameter".to_owned(), retry_after: None },
        )),
        Some(Fault::next(Call::GetSecret, Effect::MalformedJson)),
        Some(Fault::next(Call::Token, Effect::MalformedJson).times(Times::Next(2))),
    ] {
        let (json, text) = (Written::default(), Written::default());
        let subscriber = tracing_subscriber::registry()
            .with(tracing_subscriber::fmt::layer().json().with_writer(json.clone()))
            .with(tracing_subscriber::fmt::layer().with_ansi(false).with_writer(text.clone()));
        let heard = tracing::subscriber::set_default(subscriber);
        let (mut cloud, shop) = shop_with_canaries();
        let name = fault
            .as_ref()
            .map_or("no fault".to_owned(), |fault| format!("{:?} {}", fault.when.call, fault.effect.name()));
        cloud.faults.clear();
        fault.into_iter().for_each(|fault| cloud.fault(fault));
        let azure = Azure::shop(cloud).await;
        let report = azure.plan().await;
        let mut printed =
            format!("{report:?}\n{report:#?}\n{:?}\n{:?}\n", azure.settings, azure.assembled.azure);
        let mut kept = serde_json::to_string(&report).unwrap();
        for update in report.planned() {
            let saved = SavedPlan::new(report.at, vec![update.clone()]);
            kept.push_str(&saved.to_json());
            let _ = writeln!(printed, "{saved:?}");
            let outcome = azure.drive(update.clone()).await;
            let _ = writeln!(printed, "{outcome:?}\n{outcome:#?}");
        }
        for record in azure.journal.records() {
            let _ = writeln!(printed, "{record:?}");
            kept.push_str(&serde_json::to_string(&record).unwrap());
        }
        let _ = writeln!(printed, "{:?}", azure.heard.progress.lock().unwrap());
        drop(heard);

        let canaries = canaries(&azure, &shop);
        let (json, text) = (json.text(), text.text());
        for written in [&json, &text] {
            assert!(
                written.contains("call answered") || report.planned().count() == 0,
                "{name}: nothing was heard"
            );
        }
        // The journal and a saved plan hold the cscfg, settings included, in files that only their owner reads.
        assert_clean(&format!("{name}: what is kept"), &kept, &canaries);
        let mut all = canaries;
        all.push(("setting of the cscfg", SETTING.to_owned()));
        assert_clean(&format!("{name}: the log in JSON"), &json, &all);
        assert_clean(&format!("{name}: the log in text"), &text, &all);
        assert_clean(&format!("{name}: what is printed"), &printed, &all);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_url_elsewhere_is_not_asked() {
    let (mut cloud, _) = renewed_shop();
    cloud.fault(Fault::next(Call::PutCloudService, Effect::ForeignPollUrl("operations.example".to_owned())));
    let azure = Azure::shop(cloud).await;
    let update = azure.planned().await;
    assert_eq!(azure.roll_out(update).await, Ending::Verified);
    assert_eq!(azure.puts(), 1);
    let hosts: BTreeSet<String> =
        azure.simulator.ledger().exchanges().map(|one| one.host().to_owned()).collect();
    let expected = ["login.chinacloudapi.cn", "management.chinacloudapi.cn", "shop-kv.vault.azure.cn"];
    assert_eq!(hosts, expected.map(str::to_owned).into());
}
