//! Headers and a body of a delivery, as the webhook reads them. The input's first lines are headers, up to an empty
//! line; what follows is the body.

#![no_main]

use certroll_core::event::{Delivery, EVENTS, Told, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let end = input.windows(2).position(|two| two == b"\n\n");
    let (head, body) = end.map_or((&[][..], input), |end| (&input[..end], &input[end + 2..]));
    let head = String::from_utf8_lossy(head);
    let headers: Vec<(&str, &str)> = head.lines().filter_map(|line| line.split_once(':')).collect();
    let header = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let told = read(&Delivery { header: &header, body });
    match &told {
        Ok(Told::Events { notices, ignored }) => {
            assert!(notices.len() + ignored <= EVENTS);
            for notice in notices {
                assert!((3..=24).contains(&notice.vault.as_str().len()));
                assert!(notice.object.as_ref().is_none_or(|name| !name.is_empty() && name.len() <= 127));
            }
        }
        // What is echoed is short.
        Ok(Told::Validation { code, .. }) => assert!(!code.is_empty() && code.len() <= 256),
        Ok(Told::Unsubscribed) => {}
        // A message is a line, and repeats nothing of the body.
        Err(error) => assert!(error.to_string().len() < 200),
    }
    // The same bytes mean the same.
    assert_eq!(told, read(&Delivery { header: &header, body }));
    // The body is JSON that was understood: written anew it means the same, whatever its spaces and escapes were.
    if let (Ok(told), Ok(value)) = (&told, serde_json::from_slice::<serde_json::Value>(body)) {
        let written = value.to_string();
        assert_eq!(Ok(told), read(&Delivery { header: &header, body: written.as_bytes() }).as_ref());
    }
});
