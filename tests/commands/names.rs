//! A name that was mistyped: whoever typed it is told the nearest one that is known. The commands that ask a running daemon
//! are tried with one; the vault of `upload` beside its code, since a vault that is not there is tried for many seconds.

use certroll_simulator::clock::Pace;
use certroll_simulator::pfx::{self, Contents};
use certroll_simulator::pki::LeafRequest;
use certroll_simulator::scenario::shop;
use jiff::Timestamp;

use crate::support::live::Live;

const CHANNEL: &str = "[[notify.channel]]\nname = \"operators\"\nkind = \"desktop\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn every_command_knows_what_was_meant() {
    let (mut cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    shop.renew(&mut cloud);
    let entry = "[[service.certificate]]\nname = \"ShopTls\"\nsource = \"shop-kv/certificates/shop-tls\"\n\
                 settings = [\"Shop.TlsThumbprint\"]\n";
    let live = Live::start_with(cloud, CHANNEL, entry).await;
    let leaf = shop.intermediate.issue(&LeafRequest::server(shop::DNS_NAME, Timestamp::now()));
    live.place.file("leaf.pfx", pfx::write_modern(&Contents::from(&leaf), ""));
    let ran = live.run(&["apply", "--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let history = live.run(&["history", "--json"]);
    let history: serde_json::Value = serde_json::from_str(&history.stdout).unwrap();
    let rollout = history["rollouts"][0]["rollout"].as_str().unwrap().to_owned();
    let (mistyped, _) = rollout.split_at(rollout.len() - 1);
    let subscription = certroll_simulator::scenario::SUBSCRIPTION;
    let other = format!("{}0", &subscription[..subscription.len() - 1]);

    let upload = ["upload", "leaf.pfx", "--dry-run", "--to"];
    let uploads = |to: &'static str| [&upload[..], &[to]].concat();
    let rows: [(Vec<&str>, i32, &str); 12] = [
        (vec!["plan", "shpo"], 64, "shop"),
        (vec!["apply", "--yes", "shpo"], 64, "shop"),
        (vec!["restore", "--yes", "shpo"], 64, "shop"),
        (vec!["release", "--yes", "shpo"], 64, "shop"),
        (vec!["doctor", "shpo"], 64, "shop"),
        (vec!["history", "shpo"], 66, "shop"),
        (vec!["history", mistyped], 66, &rollout),
        (vec!["notify", "test", "operator"], 64, "operators"),
        (uploads("shop-kv/certificates/shop-tsl"), 0, "shop-kv/certificates/shop-tls"),
        (vec!["discover", "--no-probe", "--subscription", &other], 65, subscription),
        (vec!["discover", "--cloud", "chna"], 64, "china"),
        (vec!["upload", "leaf.pfx", "--cloud", "chna", "--to", "shop-kv/secrets/x"], 64, "china"),
    ];
    for (arguments, code, known) in rows {
        let ran = live.run(&arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.shown());
        // The command line's own parser has words of its own.
        let said = [format!("did you mean `{known}`?"), format!("a similar value exists: '{known}'")];
        assert!(said.iter().any(|said| ran.shown().contains(said)), "{arguments:?}: {}", ran.shown());
    }
    // Nothing is like it, so that nothing is guessed.
    let ran = live.run(&["plan", "desk"]);
    assert!(ran.code == 64 && !ran.stderr.contains("did you mean"), "{}", ran.stderr);
}
