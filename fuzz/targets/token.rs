//! A bearer token, as the webhook reads and judges it. The input's parts are plain: header, claims and signature, each on
//! a line. They are encoded here, since a fuzzer does not find its way through base64. Without line ends the input is the
//! token itself.

#![no_main]

use certroll_core::event::{Denied, SigningKey, TokenPolicy, UnverifiedToken};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let text = if input.contains(&b'\n') {
        input.splitn(3, |byte| *byte == b'\n').map(base64url).collect::<Vec<_>>().join(".")
    } else {
        String::from_utf8_lossy(input).into_owned()
    };
    let Ok(token) = UnverifiedToken::read(&text) else { return };
    assert!(text.len() <= 16 * 1024 && text.split('.').count() == 3);
    assert!(!token.key().is_empty());
    // Never shown: neither claims nor signature.
    assert!(format!("{token:?}").len() < 2 * token.key().len() * 6 + 100);
    let key = SigningKey {
        issuer: "https://sts.windows.net/tenant/".to_owned(),
        id: token.key().to_owned(),
        modulus: vec![0xab; 256],
        exponent: vec![1, 0, 1],
    };
    let policy = TokenPolicy {
        tenant: "tenant".to_owned(),
        audiences: vec!["api://certroll".to_owned()],
        applications: vec!["event-grid".to_owned()],
        role: "AzureEventGridSecureWebhookSubscriber".to_owned(),
    };
    let now = Timestamp::from_second(1_795_421_730).unwrap_or_default();
    // Nobody holds the key: whatever it says, it is not believed, and nothing but its signature is judged.
    assert_eq!(token.verify(&key, &policy, now), Err(Denied::Signature));
});

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk.iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
        let number = number << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(LETTERS[number >> (18 - 6 * place) & 63]));
        }
    }
    text
}
