//! What was found in a secret, in words and as JSON. No key and no password is part of it.

use certroll_core::certificate::{
    Certificate, Charset, Container, Deployable, JsonForm, JsonPassword, Key, MacForm, OpenedSecret,
    PasswordForm, Pkcs12Form, ServerAuth, Wrapping, missing_issuer,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli::elapsed::days_until;
use crate::cli::table::Table;
use crate::cli::terminal::{Terminal, printable};

/// For people.
pub(super) fn text(opened: &OpenedSecret, name: &str, now: Timestamp, terminal: &Terminal) -> String {
    let (accepted, reason) = match opened.deployable() {
        Deployable::Yes => (terminal.good("accepted"), ""),
        Deployable::Uncertain(reason) => (terminal.notable("uncertain"), reason),
        Deployable::No(reason) => (terminal.bad("not accepted"), reason),
    };
    let separator = if reason.is_empty() { "" } else { ": " };
    format!(
        "{}{}\n{}",
        holds(opened, name, now, terminal),
        line("as a secret", &format!("{accepted} by Cloud Services{separator}{reason}"), terminal),
        certificates(opened, now, terminal)
    )
}

/// A line under a heading.
pub(in crate::cli) fn line(heading: &str, value: &str, terminal: &Terminal) -> String {
    /// Width of the longest heading.
    const HEADINGS: usize = 11;
    let text = format!("{}  {value}\n", terminal.heading(&format!("{heading:<HEADINGS$}")));
    terminal.wrapped(&text, HEADINGS + 2)
}

/// What it holds and how, line by line.
pub(in crate::cli) fn holds(
    opened: &OpenedSecret,
    name: &str,
    now: Timestamp,
    terminal: &Terminal,
) -> String {
    let mut shown = String::new();
    let mut line = |heading: &str, value: &str| shown.push_str(&line(heading, value, terminal));
    let leaf = &opened.leaf;
    line("input", name);
    line("wrapping", &wrapping(&opened.form.wrapping));
    line("container", &container(&opened.form.container));
    line("key", &key(opened, terminal));
    line("names", &names(leaf));
    line("validity", &validity(leaf, now, terminal));
    line("serves tls", server_auth(leaf));
    line("chain", &chain(opened, terminal));
    shown
}

/// The table of its certificates.
pub(in crate::cli) fn certificates(opened: &OpenedSecret, now: Timestamp, terminal: &Terminal) -> String {
    let mut table = Table::new(["", "THUMBPRINT", "SUBJECT", "UNTIL", "DAYS", "KEY", "SIGNATURE"])
        .never_cut("THUMBPRINT")
        .never_cut("UNTIL")
        .spared("SIGNATURE")
        .spared("KEY")
        .spared("DAYS");
    for (place, certificate) in placed(opened) {
        table.row([
            place.to_owned(),
            certificate.thumbprint().to_string(),
            certificate.subject().to_owned(),
            date(certificate.not_after()),
            days_until(certificate.not_after(), now).to_string(),
            certificate.key().to_string(),
            certificate.signature().to_string(),
        ]);
    }
    table.render(terminal)
}

/// For programs.
pub(in crate::cli) fn json(opened: &OpenedSecret, now: Timestamp) -> Value {
    let certificates: Vec<Value> = placed(opened)
        .map(|(place, certificate)| {
            json!({
                "place": place,
                "thumbprint": certificate.thumbprint(),
                "subject": certificate.subject(),
                "issuer": certificate.issuer(),
                "serial": certificate.serial(),
                "names": certificate.names(),
                "not_before": certificate.not_before().to_string(),
                "not_after": certificate.not_after().to_string(),
                "days_left": days_until(certificate.not_after(), now),
                "key": certificate.key(),
                "signature": certificate.signature(),
                "is_ca": certificate.is_ca(),
            })
        })
        .collect();
    let private_key = match &opened.key {
        Key::None => "none",
        Key::Matches(_) => "matches",
        Key::Foreign(_) => "foreign",
    };
    json!({
        "form": opened.form,
        "deployable": opened.deployable(),
        "private_key": private_key,
        "other_keys": opened.other_keys,
        "missing_issuer": missing_issuer(&opened.leaf, &opened.chain),
        "certificates": certificates,
    })
}

fn placed(opened: &OpenedSecret) -> impl Iterator<Item = (&'static str, &Certificate)> {
    let chain = opened.chain.iter().map(|certificate| ("chain", certificate));
    let unrelated = opened.unrelated.iter().map(|certificate| ("unrelated", certificate));
    let first = if opened.leaf.is_ca() { "authority" } else { "leaf" };
    std::iter::once((first, &opened.leaf)).chain(chain).chain(unrelated)
}

fn wrapping(wrapping: &Wrapping) -> String {
    match wrapping {
        Wrapping::None => "none".to_owned(),
        Wrapping::Base64(_) => "base64".to_owned(),
        Wrapping::Json(form) => json_form(form),
    }
}

fn json_form(form: &JsonForm) -> String {
    let mut parts = Vec::new();
    parts.push(
        if form.encoded.is_some() { "base64 of a JSON document" } else { "a JSON document" }.to_owned(),
    );
    match form.charset {
        Charset::Utf8 => {}
        Charset::Utf8WithMark => parts.push("in UTF-8 after a byte order mark".to_owned()),
        Charset::Utf16 => parts.push("in UTF-16".to_owned()),
    }
    parts.push(match &form.data_type {
        Some(kind) => format!("`dataType` is `{}`", kind.escape_debug()),
        None => "without `dataType`".to_owned(),
    });
    let password = match form.password {
        JsonPassword::Missing => "without `password`",
        JsonPassword::Null => "`password` is null",
        JsonPassword::Empty => "`password` is empty",
        JsonPassword::Set => "with a `password`",
    };
    parts.push(password.to_owned());
    parts.join(", ")
}

fn container(container: &Container) -> String {
    match container {
        Container::Pkcs12(form) => pkcs12(form),
        Container::Pem => "PEM".to_owned(),
        Container::Der => "a certificate in DER".to_owned(),
    }
}

fn pkcs12(form: &Pkcs12Form) -> String {
    let ciphers: Vec<String> = form.ciphers.iter().map(ToString::to_string).collect();
    let ciphers = if ciphers.is_empty() { "not encrypted".to_owned() } else { ciphers.join(" and ") };
    let mac = match form.mac {
        MacForm::None => "no MAC".to_owned(),
        MacForm::Hmac(hash) => format!("MAC with {hash}"),
        MacForm::Pbmac1(hash) => format!("PBMAC1 with {hash}"),
    };
    let password = match form.password {
        PasswordForm::Given => "opens with the password",
        PasswordForm::Empty => "opens with the empty password, written as two zero bytes",
        PasswordForm::Null => "opens with the empty password, written as no bytes",
        PasswordForm::Unused => "needs no password",
    };
    format!("PKCS#12, {ciphers}, {mac}, {password}")
}

fn key(opened: &OpenedSecret, terminal: &Terminal) -> String {
    let mut shown = match &opened.key {
        Key::None => "no private key".to_owned(),
        Key::Matches(key) => format!("{}, {}", key.kind(), terminal.good("belongs to the leaf")),
        Key::Foreign(key) => {
            format!("{}, {}", key.kind(), terminal.bad("belongs to none of the certificates"))
        }
    };
    match opened.other_keys {
        0 => {}
        1 => shown.push_str(", and 1 more key"),
        more => shown.push_str(&format!(", and {more} more keys")),
    }
    shown
}

fn names(leaf: &Certificate) -> String {
    let names: Vec<String> = leaf.names().iter().map(ToString::to_string).collect();
    if names.is_empty() { "none".to_owned() } else { printable(&names.join(", ")) }
}

fn validity(leaf: &Certificate, now: Timestamp, terminal: &Terminal) -> String {
    let days = days_until(leaf.not_after(), now);
    let left = if leaf.not_before() > now {
        terminal.bad("not yet valid")
    } else if days < 0 {
        terminal.bad(&format!("expired {} days ago", -days))
    } else {
        format!("{days} days left")
    };
    format!("{} to {}, {left}", date(leaf.not_before()), date(leaf.not_after()))
}

fn date(at: Timestamp) -> String {
    TimeZone::UTC.to_datetime(at).date().to_string()
}

fn server_auth(leaf: &Certificate) -> &'static str {
    if leaf.is_ca() {
        return "no, it is an authority's certificate";
    }
    match leaf.server_auth() {
        ServerAuth::Stated => "yes, its extended key usage says so",
        ServerAuth::Unrestricted => "yes, its extended key usage does not restrict it",
        ServerAuth::Excluded => "no, its extended key usage excludes it",
    }
}

fn chain(opened: &OpenedSecret, terminal: &Terminal) -> String {
    match missing_issuer(&opened.leaf, &opened.chain) {
        None => terminal.good("complete up to the root"),
        Some(issuer) => {
            let issuer = printable(&issuer);
            format!("{}, the certificate of `{issuer}` is not in it", terminal.notable("incomplete"))
        }
    }
}
