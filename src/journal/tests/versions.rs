//! What is remembered of vault versions, and what is forgotten.

use std::path::Path;

use certroll_core::certificate::Certificate;
use certroll_core::id::SecretIdentifier;
use certroll_core::plan::{Form, KeyPresence, VaultContent};
use certroll_core::ports::VersionMemory;
use rcgen::{CertificateParams, KeyPair};
use rusqlite::Connection;

use super::samples::secret;
use crate::VersionStore;

fn certificate(host: &str) -> Certificate {
    let key = KeyPair::generate().unwrap();
    let made = CertificateParams::new(vec![host.to_owned()]).unwrap().self_signed(&key).unwrap();
    Certificate::parse(made.der()).unwrap()
}

fn content() -> VaultContent {
    VaultContent {
        leaf: certificate("shop.contoso.com"),
        bundled: vec![certificate("issuing"), certificate("root")],
        key: KeyPresence::Matches,
        form: Form::Accepted,
    }
}

fn same(a: &VaultContent, b: &VaultContent) -> bool {
    a.leaf == b.leaf && a.bundled == b.bundled && a.key == b.key && a.form == b.form
}

async fn holds(store: &VersionStore, version: &SecretIdentifier, content: &VaultContent) -> bool {
    store.recall(version).await.is_some_and(|found| same(&found, content))
}

fn plant(directory: &Path, sql: &str) {
    Connection::open(directory.join("versions.db")).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn what_was_remembered_is_recalled_by_a_later_process() {
    let directory = tempfile::tempdir().unwrap();
    let store = VersionStore::open(directory.path()).unwrap();
    let mut all = Vec::new();
    for key in [KeyPresence::NotRead, KeyPresence::Absent, KeyPresence::Matches] {
        for form in [
            Form::NotRead,
            Form::Accepted,
            Form::Uncertain("the documents contradict each other".to_owned()),
            Form::Refused("PEM, größer".to_owned()),
        ] {
            let version = secret("shop-tls", u32::try_from(all.len()).unwrap());
            all.push((version, VaultContent { key, form, ..content() }));
        }
    }
    all.push((secret("root", 1), VaultContent { bundled: Vec::new(), ..content() }));
    for (version, content) in &all {
        assert!(store.recall(version).await.is_none());
        store.remember(version, content).await;
    }
    drop(store);
    let store = VersionStore::open(directory.path()).unwrap();
    for (version, content) in &all {
        assert!(holds(&store, version, content).await, "{version}");
    }
    // As the service may spell it.
    let spelt = "https://SHOP-kv.vault.azure.cn:443/secrets/Root/00000000000000000000000000000001";
    assert!(holds(&store, &spelt.parse().unwrap(), &all.last().unwrap().1).await);
}

#[tokio::test]
async fn several_processes_may_use_it() {
    let directory = tempfile::tempdir().unwrap();
    let [one, two] = [(); 2].map(|()| VersionStore::open(directory.path()).unwrap());
    let content = content();
    one.remember(&secret("shop-tls", 1), &content).await;
    two.remember(&secret("shop-tls", 2), &content).await;
    for store in [one, two] {
        assert!(holds(&store, &secret("shop-tls", 1), &content).await);
        assert!(holds(&store, &secret("shop-tls", 2), &content).await);
    }
}

#[tokio::test]
async fn a_damaged_row_is_forgotten_and_no_other() {
    // A byte of the certificate, the key presence, the row of another version, a column of another type.
    for sql in [
        "UPDATE versions SET content = CAST(substr(content, 1, 300) || x'00' || substr(content, 302) AS BLOB) WHERE secret LIKE '%1'",
        "UPDATE versions SET content = CAST(x'01' || substr(content, 2) AS BLOB) WHERE secret LIKE '%1'",
        "UPDATE versions SET (content, digest) = (SELECT content, digest FROM versions WHERE secret LIKE '%2') \
         WHERE secret LIKE '%1'",
        "UPDATE versions SET digest = x'' WHERE secret LIKE '%1'",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let store = VersionStore::open(directory.path()).unwrap();
        let contents = [content(), content()];
        for (n, content) in (1..).zip(&contents) {
            store.remember(&secret("shop-tls", n), content).await;
        }
        plant(directory.path(), sql);
        assert!(store.recall(&secret("shop-tls", 1)).await.is_none(), "{sql}");
        assert!(holds(&store, &secret("shop-tls", 2), &contents[1]).await, "{sql}");
        store.remember(&secret("shop-tls", 1), &contents[0]).await;
        assert!(holds(&store, &secret("shop-tls", 1), &contents[0]).await, "{sql}");
    }
}

#[tokio::test]
async fn another_format_is_begun_anew() {
    for sql in [
        "PRAGMA user_version = 2",
        "PRAGMA application_id = 1",
        "ALTER TABLE versions ADD COLUMN more TEXT",
        "DROP TABLE versions",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let content = content();
        VersionStore::open(directory.path()).unwrap().remember(&secret("shop-tls", 1), &content).await;
        plant(directory.path(), sql);
        let store = VersionStore::open(directory.path()).unwrap();
        assert!(store.recall(&secret("shop-tls", 1)).await.is_none(), "{sql}");
        store.remember(&secret("shop-tls", 1), &content).await;
        assert!(holds(&store, &secret("shop-tls", 1), &content).await, "{sql}");
    }
}

#[tokio::test]
async fn a_damaged_file_is_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("versions.db");
    std::fs::write(&file, "a letter, much longer than the first bytes of a database").unwrap();
    let store = VersionStore::open(directory.path()).unwrap();
    let content = content();
    store.remember(&secret("shop-tls", 1), &content).await;
    assert!(holds(&store, &secret("shop-tls", 1), &content).await);
    // While it is open.
    plant(directory.path(), "DROP TABLE versions");
    assert!(store.recall(&secret("shop-tls", 1)).await.is_none());
    store.remember(&secret("shop-tls", 1), &content).await;
    assert!(holds(&store, &secret("shop-tls", 1), &content).await);
    // It may be deleted at any time: the file goes on without a name.
    std::fs::remove_file(&file).unwrap();
    store.remember(&secret("shop-tls", 2), &content).await;
    assert!(VersionStore::open(directory.path()).unwrap().recall(&secret("shop-tls", 2)).await.is_none());
}

#[tokio::test]
async fn what_was_not_used_for_longest_goes_first() {
    let directory = tempfile::tempdir().unwrap();
    let store = VersionStore::with_limit(directory.path(), 20).unwrap();
    let content = content();
    for n in 0..50 {
        store.remember(&secret("shop-tls", n), &content).await;
        // The first is in use all the time.
        assert!(holds(&store, &secret("shop-tls", 0), &content).await, "{n}");
    }
    let mut kept = Vec::new();
    for n in 0..50 {
        if holds(&store, &secret("shop-tls", n), &content).await {
            kept.push(n);
        }
    }
    let expected: Vec<u32> = std::iter::once(0).chain(31..50).collect();
    assert_eq!(kept, expected);
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let store = VersionStore::open(directory.path()).unwrap();
    let content = content();
    store.remember(&secret("shop-tls", 1), &content).await;
    store.with(|connection, _| connection.pragma_update(None, "query_only", true).map(Some)).await.unwrap();
    store.remember(&secret("shop-tls", 2), &content).await;
    assert!(holds(&store, &secret("shop-tls", 1), &content).await);
    assert!(store.recall(&secret("shop-tls", 2)).await.is_none());
}

#[test]
fn that_it_cannot_be_opened_is_told() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("versions.db")).unwrap();
    let error = VersionStore::open(directory.path()).unwrap_err();
    assert!(error.message.contains("versions.db` is not a plain file"), "{error}");
}
