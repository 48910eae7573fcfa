//! The names that a certificate serves, and whether a new one serves what the old one served.

use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

/// A name in a certificate that a TLS client can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectName {
    /// A host name or a wildcard, in lower case and without a trailing dot.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

impl SubjectName {
    /// A host as people and configurations write it: a DNS name in any case, with or without a trailing dot, or an
    /// address, an IPv6 address with or without brackets.
    pub fn of_host(host: &str) -> Self {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        match bare.parse() {
            Ok(address) => Self::Ip(address),
            Err(_) => Self::dns(host),
        }
    }

    pub(super) fn dns(name: &str) -> Self {
        Self::Dns(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase())
    }

    /// The name of the kind, if a common name reads like one: old certificates name their host only there.
    pub(super) fn of_common_name(common_name: &str) -> Option<Self> {
        let name = Self::of_host(common_name);
        match &name {
            Self::Ip(_) => Some(name),
            Self::Dns(text) => {
                let like_a_host = text.split('.').enumerate().all(|(n, label)| {
                    n == 0 && label == "*"
                        || !label.is_empty()
                            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                });
                like_a_host.then_some(name)
            }
        }
    }

    /// Whether a certificate with this name serves `host`. A wildcard stands for exactly one label, the first
    /// (RFC 6125, 6.4.3); what is asked for may itself be a wildcard, which only the same wildcard serves.
    fn serves(&self, host: &Self) -> bool {
        if self == host {
            return true;
        }
        let (Self::Dns(offered), Self::Dns(wanted)) = (self, host) else { return false };
        let Some(domain) = offered.strip_prefix("*.") else { return false };
        wanted
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && label != "*" && rest == domain)
    }
}

/// Whether one of the offered names serves a host, which may be an address.
pub fn covers(offered: &[SubjectName], host: &str) -> bool {
    let host = SubjectName::of_host(host);
    offered.iter().any(|name| name.serves(&host))
}

/// The names served until now that the offered ones do not serve: what would break.
pub fn missing_names(served: &[SubjectName], offered: &[SubjectName]) -> Vec<SubjectName> {
    served.iter().filter(|host| !offered.iter().any(|name| name.serves(host))).cloned().collect()
}

impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

impl Serialize for SubjectName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<SubjectName> {
        texts.iter().map(|text| SubjectName::of_host(text)).collect()
    }

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let offered = names(&["Contoso.com", "*.shop.contoso.com.", "10.0.0.1", "2001:db8::1"]);
        for (host, covered) in [
            ("contoso.com", true),
            ("CONTOSO.COM.", true),
            ("www.contoso.com", false),
            ("www.shop.contoso.com", true),
            ("WWW.Shop.contoso.com.", true),
            ("a.www.shop.contoso.com", false),
            ("shop.contoso.com", false),
            (".shop.contoso.com", false),
            ("*.shop.contoso.com", true),
            ("*.contoso.com", false),
            ("10.0.0.1", true),
            ("10.0.0.2", false),
            ("[2001:DB8:0::1]", true),
            ("", false),
        ] {
            assert_eq!(covers(&offered, host), covered, "{host}");
        }
        assert!(!covers(&names(&["*.0.0.1"]), "10.0.0.1"));
        assert!(!covers(&names(&["w*.contoso.com"]), "www.contoso.com"));
    }

    #[test]
    fn what_a_renewal_dropped_is_named() {
        let served = names(&["contoso.com", "www.contoso.com", "*.api.contoso.com", "10.0.0.1"]);
        let offered = names(&["*.contoso.com", "v1.api.contoso.com"]);
        let missing: Vec<_> = missing_names(&served, &offered).iter().map(ToString::to_string).collect();
        assert_eq!(missing, ["contoso.com", "*.api.contoso.com", "10.0.0.1"]);
        assert_eq!(missing_names(&served, &served), []);
    }

    #[test]
    fn a_common_name_counts_if_it_reads_like_a_host() {
        for (common_name, counts) in [
            ("shop.contoso.com", true),
            ("*.contoso.com", true),
            ("localhost", true),
            ("10.0.0.1", true),
            ("Contoso Root CA", false),
            ("a..b", false),
            ("a.*.b", false),
            ("", false),
        ] {
            assert_eq!(SubjectName::of_common_name(common_name).is_some(), counts, "{common_name}");
        }
    }
}
