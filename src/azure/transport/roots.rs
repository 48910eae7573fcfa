//! Whom TLS trusts: the authorities of the system, or those of Mozilla that were built in.

use std::sync::Once;

use rustls::RootCertStore;

/// The authorities that a certificate of a public host can come from.
#[derive(Debug)]
pub struct PublicRoots {
    /// Them, to add others to.
    pub store: RootCertStore,
    /// Whether the system has none, so that those of Mozilla are taken that were built in with `webpki-roots`: a
    /// container from scratch, a machine without `ca-certificates`.
    pub embedded: bool,
}

/// Reads the authorities of the system, as `SSL_CERT_FILE` and `SSL_CERT_DIR` or the system's habit have it. Says once
/// in the life of a process when there are none.
pub fn public_roots() -> PublicRoots {
    static TOLD: Once = Once::new();
    let mut system = RootCertStore::empty();
    system.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let roots = or_embedded(system);
    if roots.embedded {
        TOLD.call_once(|| tracing::info!("the system has no root certificates, the embedded ones are used"));
    }
    roots
}

fn or_embedded(system: RootCertStore) -> PublicRoots {
    if !system.is_empty() {
        return PublicRoots { store: system, embedded: false };
    }
    PublicRoots { store: webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(), embedded: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_roots_take_the_place_of_none_and_are_never_added() {
        let none = or_embedded(RootCertStore::empty());
        assert!(none.embedded && none.store.len() > 50, "{}", none.store.len());
        let one: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().take(1).cloned().collect();
        let kept = or_embedded(one);
        assert!(!kept.embedded);
        assert_eq!(kept.store.len(), 1);
    }
}
