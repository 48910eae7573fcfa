//! Which certificates belong together: the issuers of a leaf in order, and the first that is missing.

use super::x509::Certificate;

/// Longest chain that is followed. Public chains have three or four certificates.
const CHAIN_LIMIT: usize = 16;

/// Most certificates that a search for a root visits. Only cross-signed authorities make it longer than the chain.
const SEARCH_LIMIT: usize = 4 * CHAIN_LIMIT;

/// The issuers of the leaf that the pool holds, nearest first. Where two certificates of one authority fit (a root
/// and its cross-signed twin), the self-signed one is taken, then the one that lasts longest: that gives the chain
/// that ends soonest. The leaf itself and copies of it are passed over.
pub fn order<'a>(leaf: &Certificate, pool: &'a [Certificate]) -> Vec<&'a Certificate> {
    let mut chain: Vec<&'a Certificate> = Vec::new();
    while chain.len() < CHAIN_LIMIT {
        let last = chain.last().copied().unwrap_or(leaf);
        if is_self_signed(last) {
            break;
        }
        let next = pool
            .iter()
            .filter(|candidate| *candidate != leaf && !chain.contains(candidate) && candidate.issued(last))
            .max_by_key(|candidate| (is_self_signed(candidate), candidate.not_after()));
        match next {
            Some(issuer) => chain.push(issuer),
            None => break,
        }
    }
    chain
}

/// The name of the first issuer that the set lacks; `None` if some path from the leaf ends in a self-signed
/// certificate of the set. The leaf need not be in the set; a self-signed one needs nobody.
pub fn missing_issuer(leaf: &Certificate, set: &[Certificate]) -> Option<String> {
    if reaches_a_root(leaf, set, &mut vec![leaf]) {
        return None;
    }
    let chain = order(leaf, set);
    Some(chain.last().copied().unwrap_or(leaf).issuer().to_owned())
}

/// Whether the set holds every issuer of the leaf, its root included.
pub fn is_complete(leaf: &Certificate, set: &[Certificate]) -> bool {
    missing_issuer(leaf, set).is_none()
}

/// Whether it is a root: its own issuer.
pub(super) fn is_self_signed(certificate: &Certificate) -> bool {
    certificate.is_self_issued() && certificate.issued(certificate)
}

/// Looks along every path. Each certificate is visited once, so that loops of cross-signed authorities end.
fn reaches_a_root<'a>(
    from: &'a Certificate,
    set: &'a [Certificate],
    seen: &mut Vec<&'a Certificate>,
) -> bool {
    if is_self_signed(from) {
        return true;
    }
    if seen.len() > SEARCH_LIMIT {
        return false;
    }
    for issuer in set {
        if !seen.contains(&issuer) && issuer.issued(from) {
            seen.push(issuer);
            if reaches_a_root(issuer, set, seen) {
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{cer, made};
    use super::*;

    #[test]
    fn issuers_come_nearest_first_whatever_the_order_of_the_pool() {
        let (leaf, issuing, root) = (cer("rsa"), cer("issuing"), cer("root"));
        let pool = [root.clone(), leaf.clone(), cer("other"), issuing.clone()];
        assert_eq!(order(&leaf, &pool), [&issuing, &root]);
        assert_eq!(order(&root, &pool), [] as [&Certificate; 0]);
    }

    #[test]
    fn the_missing_issuer_is_named() {
        let (leaf, issuing, root) = (cer("ec"), cer("issuing"), cer("root"));
        assert!(is_complete(&leaf, &[issuing.clone(), root.clone()]));
        assert!(is_complete(&cer("other"), &[]));
        assert!(is_complete(&cer("weak"), &[]));
        let missing = |set: &[Certificate]| missing_issuer(&leaf, set).unwrap();
        assert_eq!(missing(&[issuing]), "C=US, O=Contoso, CN=Contoso Root");
        assert_eq!(missing(&[root]), "C=US, O=Contoso, CN=Contoso Issuing CA");
    }

    #[test]
    fn authorities_that_signed_each_other_end_the_walk() {
        let (a, b) = (made::authority("A"), made::authority("B"));
        let (a_by_b, b_by_a) = (made::cross(&a, &b), made::cross(&b, &a));
        let leaf = made::leaf(&a, "shop.contoso.com");
        let loop_only = [a_by_b.clone(), b_by_a.clone()];
        assert!(!is_complete(&leaf, &loop_only));
        assert_eq!(order(&leaf, &loop_only), [&a_by_b, &b_by_a]);
        let with_root = [a_by_b, b_by_a, b.certificate.clone()];
        assert!(is_complete(&leaf, &with_root));
        assert_eq!(order(&leaf, &with_root), [&with_root[0], &b.certificate]);
    }
}
