//! Mail, over connections that are encrypted.

use super::pki::Pki;
use super::smtp::{Encryption, Smtp};
use super::{channel, http, notice};
use crate::config::{ChannelKind, EmailSettings, MailSecurity, Secret};
use crate::notify::SendError;
use crate::notify::channel::Channel;

fn settings(port: u16, security: MailSecurity, credentials: Option<(&str, &str)>) -> EmailSettings {
    EmailSettings {
        host: "localhost".to_owned(),
        port,
        security,
        credentials: credentials.map(|(user, password)| (user.to_owned(), Secret::new(password))),
        from: "certroll <certroll@corp.example>".parse().unwrap(),
        to: vec!["ops@corp.example".parse().unwrap(), "Jürgen <j@corp.example>".parse().unwrap()],
    }
}

async fn send(pki: &Pki, settings: EmailSettings) -> Result<(), SendError> {
    let mail = channel("mail", ChannelKind::Email(settings));
    let ready = Channel::new(&mail, &http(Some(&pki.ca_file()))).unwrap();
    ready.send(&notice("a"), mail.timeout).await
}

#[tokio::test]
async fn by_starttls_nothing_but_the_wish_for_it_goes_in_clear() {
    let pki = Pki::new();
    let mut smtp = Smtp::start(Encryption::Starttls(pki.acceptor.clone())).await;
    send(&pki, settings(smtp.port, MailSecurity::Starttls, Some(("me", "hunter2")))).await.unwrap();
    let session = smtp.session().await;
    assert_eq!(session.clear.len(), 2, "{:?}", session.clear);
    assert!(session.clear[0].starts_with("EHLO ") && session.clear[1] == "STARTTLS");
    let said = |start: &str| session.encrypted.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!((said("AUTH PLAIN"), said("MAIL FROM:<certroll@corp.example>"), said("RCPT TO:")), (1, 1, 2));
    for header in [
        "From: certroll <certroll@corp.example>",
        "To: ops@corp.example, =?utf-8?b?SsO8cmdlbg==?= <j@corp.example>",
        "Auto-Submitted: auto-generated",
        "Date: Mon, 23 Nov 2026 12:00:00 +0000",
        &format!("Message-ID: <{}.certroll@corp.example>", notice("a").id()),
        "Content-Type: multipart/alternative;",
    ] {
        assert!(
            session.mail.lines().any(|line| line.trim_end().starts_with(header)),
            "{header}\n{}",
            session.mail
        );
    }
    assert!(
        session.mail.contains("Subject: [certroll] critical: shop: a person is needed"),
        "{}",
        session.mail
    );
}

#[tokio::test]
async fn by_tls_nothing_goes_in_clear_and_nobody_has_to_say_who_he_is() {
    let pki = Pki::new();
    let mut smtp = Smtp::start(Encryption::Tls(pki.acceptor.clone())).await;
    send(&pki, settings(smtp.port, MailSecurity::Tls, None)).await.unwrap();
    let session = smtp.session().await;
    assert!(session.clear.is_empty());
    assert!(!session.encrypted.iter().any(|line| line.starts_with("AUTH")), "{:?}", session.encrypted);
    assert!(session.mail.contains("text/plain") && session.mail.contains("text/html"), "{}", session.mail);
}

#[tokio::test]
async fn a_server_without_starttls_gets_neither_password_nor_mail() {
    let pki = Pki::new();
    let mut smtp = Smtp::start(Encryption::None).await;
    let sent = send(&pki, settings(smtp.port, MailSecurity::Starttls, Some(("me", "hunter2")))).await;
    let error = sent.unwrap_err().to_string();
    assert!(error.contains("STARTTLS"), "{error}");
    let session = smtp.session().await;
    assert!(
        session.clear.iter().all(|line| line.starts_with("EHLO") || line == "QUIT"),
        "{:?}",
        session.clear
    );
    assert_eq!(session.mail, "");
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_gets_nothing() {
    let (pki, other) = (Pki::new(), Pki::new());
    for security in [MailSecurity::Tls, MailSecurity::Starttls] {
        let encryption = match security {
            MailSecurity::Tls => Encryption::Tls(other.acceptor.clone()),
            MailSecurity::Starttls => Encryption::Starttls(other.acceptor.clone()),
        };
        let mut smtp = Smtp::start(encryption).await;
        let error = send(&pki, settings(smtp.port, security, None)).await.unwrap_err().to_string();
        assert!(error.contains("certificate"), "{error}");
        assert_eq!(smtp.session().await.mail, "");
    }
}
