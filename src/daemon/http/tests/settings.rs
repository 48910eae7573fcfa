//! `[events]` of the configuration: what it asks for, and what contradicts itself.

use std::path::Path;

use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::entra::{Authority, TENANT};
use super::world::StoppedClock;
use crate::config::{ConfigError, Environment, EventsSettings, load};
use crate::http::assembly;

const GOOD: &str = "0123456789abcdef0123456789abcdef";

/// A directory with a secret, and a certificate with its key.
fn place() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(place.path().join(name), text).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["certroll.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    put("chain.pem", &certificate.pem());
    put("key.pem", &key.serialize_pem());
    put("other.pem", &KeyPair::generate().unwrap().serialize_pem());
    put("secret", &format!("{GOOD}\n"));
    put("previous", "fedcba9876543210fedcba9876543210");
    put("short", "hunter2");
    put("encoded", "0123456789abcdef+/==");
    close(&place.path().join("key.pem"));
    close(&place.path().join("secret"));
    close(&place.path().join("previous"));
    place
}

#[cfg(unix)]
fn close(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[cfg(not(unix))]
fn close(_: &Path) {}

fn read(place: &TempDir, text: &str) -> Result<Option<EventsSettings>, ConfigError> {
    let file = place.path().join("certroll.toml");
    std::fs::write(&file, text).unwrap();
    let environment = Environment::from([("EVENTS_SECRET", GOOD)]);
    load(&file, &environment, Timestamp::from_second(super::world::NOW).unwrap())
        .map(|settings| settings.events)
}

#[test]
fn without_an_address_there_is_no_webhook() {
    assert_eq!(read(&place(), "").unwrap(), None);
}

#[test]
fn everything_that_can_be_asked_for() {
    let place = place();
    let settings = read(
        &place,
        "cloud = \"usgov\"\n[events]\nlisten = \"[::]:8443\"\ncertificate_file = \"chain.pem\"\nkey_file = \"key.pem\"\n\
         body_limit_kib = 2048\nconnections = 100\n\
         [events.shared_secret]\nheader = \"X-Secret\"\nquery = \"code\"\nsecret_env = \"EVENTS_SECRET\"\n\
         previous_secret_file = \"previous\"\n\
         [events.entra]\ntenant_id = \"0B1F6471-1bf0-4dda-aec3-cb9272f09590\"\n\
         audiences = [\"1F9A4C33-6c0e-4b0e-9d8b-6f4c1a52b7aa\", \"api://CertRoll\"]\n",
    )
    .unwrap()
    .unwrap();
    let entra = settings.entra.clone().unwrap();
    assert_eq!(entra.tenant_id, TENANT);
    assert_eq!(entra.audiences, ["1f9a4c33-6c0e-4b0e-9d8b-6f4c1a52b7aa", "api://CertRoll"]);
    assert_eq!(entra.application_id, "54316b56-3481-47f9-8f30-0300f5542a7b");
    assert_eq!(settings.origins, ["eventgrid.azure.us"]);
    let secret = settings.shared_secret.clone().unwrap();
    assert_eq!(secret.current.reveal(), GOOD);
    assert!(secret.previous.is_some());
    let listener = assembly::listener(&settings);
    assert_eq!((listener.limits.connections, settings.body_limit), (100, 2048 * 1024));
    assert_eq!(listener.tls.unwrap().key, place.path().join("key.pem"));
    let azure = std::sync::Arc::new(Authority::default()).azure();
    let clock: std::sync::Arc<dyn certroll_core::ports::Clock> = std::sync::Arc::new(StoppedClock);
    let authentication = assembly::authentication(&settings, &azure, &clock);
    assert!(authentication.secret.is_some() && authentication.entra.is_some());
    let shown = format!("{settings:?} {authentication:?}");
    assert!(!shown.contains(GOOD) && !shown.contains("fedcba"), "{shown}");
}

#[test]
fn a_loopback_address_may_do_without() {
    let place = place();
    for address in ["127.0.0.1:8080", "[::1]:8080"] {
        let text = format!("[events]\nlisten = \"{address}\"\nauthentication = \"none\"\n");
        assert!(read(&place, &text).unwrap().is_some(), "{address}");
    }
}

const LISTEN: &str = "[events]\nlisten = \"0.0.0.0:8443\"\n";

#[test]
fn contradictions_are_named() {
    let place = place();
    let secret = |keys: &str| format!("{LISTEN}[events.shared_secret]\n{keys}");
    let entra = |keys: &str| format!("{LISTEN}[events.entra]\n{keys}");
    let tenant = format!("tenant_id = \"{TENANT}\"\n");
    for (text, said) in [
        (LISTEN.to_owned(), "everybody could deliver events"),
        (LISTEN.replace("0.0.0.0:8443", "localhost:8443"), "`localhost:8443` is no address with a port"),
        (LISTEN.replace("0.0.0.0:8443", "0.0.0.0"), "`0.0.0.0` is no address with a port"),
        (format!("{LISTEN}authentication = \"none\"\n"), "`0.0.0.0:8443` can be reached by others"),
        (
            format!(
                "{LISTEN}authentication = \"none\"\n[events.shared_secret]\nheader = \"X\"\nsecret_file = \"secret\"\n"
            ),
            "`authentication` is `none`, and there is a table",
        ),
        ("[events]\ncertificate_file = \"chain.pem\"\n".to_owned(), "nothing is listened on"),
        (
            "[events.entra]\naudiences = [\"x\"]\n".to_owned(),
            "`events.entra` is here, and nothing is listened on",
        ),
        (format!("{LISTEN}certificate_file = \"chain.pem\"\n"), "`events.key_file` is missing"),
        (format!("{LISTEN}key_file = \"key.pem\"\n"), "`events.certificate_file` is missing"),
        (
            format!("{LISTEN}certificate_file = \"chain.pem\"\nkey_file = \"other.pem\"\n"),
            "cannot be used with the certificate",
        ),
        (format!("{LISTEN}certificate_file = \"key.pem\"\nkey_file = \"key.pem\"\n"), "holds no certificate"),
        (secret("secret_file = \"secret\"\n"), "the key `header` is missing"),
        (secret("header = \"X\"\n"), "the key `secret_file` is missing"),
        (secret("header = \"X Y\"\nsecret_file = \"secret\"\n"), "`X Y` is no name of a header"),
        (secret("query = \"a=b\"\nsecret_file = \"secret\"\n"), "`a=b` is no name of a parameter"),
        (
            secret("query = \"code\"\nsecret_file = \"short\"\n"),
            "the secret has 7 characters, which can be guessed",
        ),
        (secret("query = \"code\"\nsecret_file = \"encoded\"\n"), "characters that a URL encodes"),
        (secret("query = \"code\"\nsecret_env = \"NOT_THERE\"\n"), "`NOT_THERE` is not set"),
        (
            secret("query = \"code\"\nsecret_file = \"secret\"\nsecret_env = \"EVENTS_SECRET\"\n"),
            "given twice",
        ),
        (
            secret(&format!(
                "header = \"authorization\"\nsecret_file = \"secret\"\n[events.entra]\n{tenant}audiences = [\"x\"]\n"
            )),
            "`Authorization` is the header of tokens",
        ),
        (entra("audiences = [\"x\"]\n"), "the key `tenant_id` is missing"),
        (entra("tenant_id = \"contoso.com\"\naudiences = [\"x\"]\n"), "`contoso.com` is no GUID"),
        (entra(&tenant), "the key `audiences` is missing"),
        (entra(&format!("{tenant}audiences = []\n")), "the list is empty"),
        (
            format!("cloud = \"china\"\n{}", entra(&format!("{tenant}audiences = [\"x\"]\n"))),
            "the key `application_id` is missing",
        ),
        (format!("{LISTEN}body_limit_kib = 9000\n"), "a whole number from 64 to 8192"),
        (format!("{LISTEN}origins = [\"https://eventgrid.azure.net\"]\n"), "is no host name"),
    ] {
        let error = read(&place, &text).expect_err(&text).to_string();
        assert!(error.contains(said), "{text}\n{said}\n{error}");
        assert!(!error.contains("hunter2") && !error.contains("abcdef+"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_key_that_everybody_can_read_is_worth_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(place.path().join("key.pem"), open).unwrap();
    let file = place.path().join("certroll.toml");
    let text = format!(
        "{LISTEN}certificate_file = \"chain.pem\"\nkey_file = \"key.pem\"\n\
         [events.shared_secret]\nquery = \"code\"\nsecret_file = \"secret\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let now = Timestamp::from_second(super::world::NOW).unwrap();
    let settings = load(&file, &Environment::default(), now).unwrap();
    let warnings: Vec<String> = settings.warnings.iter().map(|warning| warning.message.clone()).collect();
    assert!(warnings.iter().any(|warning| warning.contains("every user can read")), "{warnings:?}");
}
