//! Which of the certificates is meant, which key is its, and which are its issuers.

use super::super::chain;
use super::super::x509::Certificate;
use super::{Key, OpenedSecret, PrivateKey, SecretError, SecretForm};

/// Finds the leaf by its key; without one by the chain, as the certificate that issued none of the others.
pub(super) fn pair(
    form: SecretForm,
    mut certificates: Vec<Certificate>,
    mut keys: Vec<PrivateKey>,
) -> Result<OpenedSecret, SecretError> {
    drop_copies(&mut certificates);
    if certificates.is_empty() {
        return Err(SecretError::NoCertificate { keys: keys.len() });
    }
    let leaf = certificates.remove(choose_leaf(&certificates, &keys)?);
    let own = keys.iter().position(|key| key.matches(&leaf));
    let key = match own {
        Some(at) => Key::Matches(keys.swap_remove(at)),
        None if keys.is_empty() => Key::None,
        None => Key::Foreign(keys.swap_remove(0)),
    };
    let chain: Vec<Certificate> = chain::order(&leaf, &certificates).into_iter().cloned().collect();
    certificates.retain(|certificate| !chain.contains(certificate));
    Ok(OpenedSecret { form, leaf, chain, unrelated: certificates, key, other_keys: keys.len() })
}

fn choose_leaf(certificates: &[Certificate], keys: &[PrivateKey]) -> Result<usize, SecretError> {
    let all: Vec<usize> = (0..certificates.len()).collect();
    let keyed = narrowed(&all, |at| keys.iter().any(|key| key.matches(&certificates[at])));
    // An authority that is exported with its key beside a leaf with its key is not the one that is meant.
    let ends = narrowed(&keyed, |at| {
        !keyed.iter().any(|other| *other != at && certificates[at].issued(&certificates[*other]))
    });
    // A stray authority that issued nothing here is not meant either, if there is a certificate that is none.
    let leaves = narrowed(&ends, |at| !is_authority(&certificates[at]));
    match leaves.as_slice() {
        [leaf] => Ok(*leaf),
        _ => Err(SecretError::Ambiguous {
            candidates: leaves
                .iter()
                .map(|at| (certificates[*at].thumbprint(), certificates[*at].subject().to_owned()))
                .collect(),
        }),
    }
}

/// Says that it is one or, as roots of version 1 cannot say so, is self-signed and names no host.
fn is_authority(certificate: &Certificate) -> bool {
    certificate.is_ca() || certificate.names().is_empty() && chain::is_self_signed(certificate)
}

/// Those that hold, or all of them if none does.
fn narrowed(from: &[usize], holds: impl Fn(usize) -> bool) -> Vec<usize> {
    let kept: Vec<usize> = from.iter().copied().filter(|at| holds(*at)).collect();
    if kept.is_empty() { from.to_vec() } else { kept }
}

/// Exports repeat certificates: the chain of each leaf has the same root.
fn drop_copies(certificates: &mut Vec<Certificate>) {
    let mut seen = Vec::new();
    certificates.retain(|certificate| {
        let new = !seen.contains(&certificate.thumbprint());
        seen.push(certificate.thumbprint());
        new
    });
}
