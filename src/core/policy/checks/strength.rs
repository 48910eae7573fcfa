//! The guard about cryptographic strength.

use super::{Candidate, Objection};
use crate::certificate::Certificate;

/// Signature and key are not weaker than before, and never SHA-1 or MD5. The signature of a self-issued root is not
/// looked at: nobody relies on it.
pub(super) fn strength(candidate: &Candidate<'_>) -> Option<Objection> {
    let new = &candidate.new.leaf;
    if new.signature().is_weak() && !new.is_self_issued() {
        return Some(Objection {
            expected: "a signature with SHA-256 or better".to_owned(),
            found: format!("a signature with {}", new.signature()),
            way_out: "have the certificate issued again".into(),
        });
    }
    let old = candidate.old_leaf()?;
    let bits = |certificate: &Certificate| certificate.key().strength_bits();
    (bits(new) < bits(old)).then(|| Objection {
        expected: format!(
            "a key not weaker than the deployed one, {} ({} bits of security)",
            old.key(),
            bits(old)
        ),
        found: format!("{} ({} bits of security)", new.key(), bits(new)),
        way_out: "have the certificate issued for a stronger key".into(),
    })
}
