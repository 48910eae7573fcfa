//! Whatever comes in: an answer, soon, and no panic.

use proptest::prelude::*;

use super::super::super::fixtures::{PASSWORD, PFX, cer, pfx, secret};
use super::super::pkcs12;
use super::super::*;

/// Forms whose structure is in the open, so that changes reach the parsers and not only the MAC.
const OPEN: [&str; 6] = ["empty-plain-no-mac", "null-plain", "nested", "two-chains", "ber", "enveloped"];

#[test]
fn every_truncation_is_refused() {
    for name in OPEN {
        let bytes = pfx(name);
        for length in 0..bytes.len() {
            assert!(open_file(&bytes[..length], Some("")).is_err(), "{name} cut to {length}");
        }
    }
    let der = cer("ec").der().to_vec();
    for length in 0..der.len() {
        assert!(Certificate::parse(&der[..length]).is_err());
    }
}

/// A MAC would refuse most changes before they are parsed: what is without one is changed byte by byte.
#[test]
fn no_changed_byte_panics() {
    let bytes = pfx("empty-plain-no-mac");
    for at in 0..bytes.len() {
        for value in [[0x00, 0x80, 0x84, 0xff][at % 4], bytes[at].wrapping_add(1)] {
            let mut changed = bytes.to_vec();
            changed[at] = value;
            let _ = open_file(&changed, None);
        }
    }
    let der = cer("issuing").der().to_vec();
    for at in 0..der.len() {
        for bit in 0..8 {
            let mut changed = der.clone();
            changed[at] ^= 1 << bit;
            if let Ok(certificate) = Certificate::parse(&changed) {
                let _ = (certificate.subject(), certificate.key(), certificate.serial());
            }
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    for depth in [100, 100_000] {
        assert!(open_file(&[0x30, 0x80].repeat(depth), None).is_err());
        assert!(open(&r#"{"a":"#.repeat(depth), None).is_err());
        let pieces = [&[0x30, 0x80, 2, 1, 3][..], &[0x24, 0x80].repeat(depth)].concat();
        assert!(open_file(&pieces, None).is_err());
    }
    let error = pkcs12::open(&nested_bags(6), "", Keep::Nothing).err().unwrap();
    assert_eq!(error.to_string(), "its contents are nested deeper than 4 levels");
    assert!(pkcs12::open(&nested_bags(4), "", Keep::Nothing).is_ok());
}

#[test]
fn a_crowd_of_bags_is_refused() {
    let bag = tlv(0x30, &[tlv(0x06, CRL_BAG), tlv(0xa0, &[])].concat());
    assert!(pkcs12::open(&container(&bag.repeat(256)), "", Keep::Nothing).is_ok());
    let error = pkcs12::open(&container(&bag.repeat(257)), "", Keep::Nothing).err().unwrap();
    assert_eq!(
        error.to_string(),
        "it holds more than 256 certificates, keys and other items; expected the chain of one certificate"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = open_file(&bytes, None);
        let _ = open_file(&[&[0x30, 0x82, 0x02, 0x00, 2, 1, 3], bytes.as_slice()].concat(), None);
        let _ = Certificate::parse(&bytes);
    }

    #[test]
    fn random_text_is_answered(text in "(-----BEGIN [A-Z ]{0,12}-----|-----END |[{}\":,=A-Za-z0-9+/\n\\\\ -]|data|password|.){0,60}") {
        let _ = open(&text, Some(&text));
    }

    #[test]
    fn several_changes_at_once_are_answered(
        form in 0..PFX.len(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (name, bytes) = PFX[form];
        // It may ask for work just below the limit after a change.
        prop_assume!(name != "endless");
        let mut bytes = bytes.to_vec();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = open_file(&bytes, Some(if name.starts_with("null") { "" } else { PASSWORD }));
    }

    #[test]
    fn changed_pem_is_answered(at in any::<proptest::sample::Index>(), value in any::<u8>()) {
        let mut bytes = secret("pkcs1.pem").to_vec();
        let at = at.index(bytes.len());
        bytes[at] = value;
        let _ = open_file(&bytes, None);
    }
}

const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const CRL_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x04];
const SAFE_CONTENTS_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x06];

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x84], &length[..], content].concat()
}

/// A container of these bags without encryption and MAC.
fn container(bags: &[u8]) -> Vec<u8> {
    let content_info =
        |content: &[u8]| tlv(0x30, &[tlv(0x06, DATA), tlv(0xa0, &tlv(0x04, &tlv(0x30, content)))].concat());
    tlv(0x30, &[vec![2, 1, 3], content_info(&content_info(bags))].concat())
}

fn nested_bags(depth: usize) -> Vec<u8> {
    let mut bags = Vec::new();
    for _ in 0..depth {
        bags = tlv(0x30, &[tlv(0x06, SAFE_CONTENTS_BAG), tlv(0xa0, &tlv(0x30, &bags))].concat());
    }
    container(&bags)
}
