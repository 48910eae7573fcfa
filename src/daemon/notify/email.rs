//! A notice as mail: plain text and simple HTML, over a connection that is encrypted or is not made.

use std::time::{Duration, SystemTime};

use certroll_core::notice::{Notice, Severity};
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::SendError;
use super::client::{authorities, chain};
use crate::config::{EmailSettings, HttpSettings, MailSecurity};

/// Column at which the values of facts begin in plain text, at most: longer labels push theirs to the right.
const COLUMN: usize = 24;

/// Sends mail by one server.
pub(super) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

/// Tells other programs that no person wrote this, so that none answers that its owner is on leave (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl Mail {
    /// Makes it ready, with the authorities of `[http]` besides the system's.
    pub(super) fn new(
        settings: &EmailSettings,
        http: &HttpSettings,
        timeout: Duration,
    ) -> Result<Self, String> {
        let mut tls = TlsParameters::builder(settings.host.clone());
        if certroll_azure::public_roots().embedded {
            tls = tls.certificate_store(CertificateStore::WebpkiRoots);
        }
        let pem = authorities(http)?;
        if !pem.is_empty() {
            let certificate = Certificate::from_pem(&pem)
                .map_err(|fault| format!("`[http] ca_file` is damaged: {}", chain(&fault)))?;
            tls = tls.add_root_certificate(certificate);
        }
        let tls = tls.build().map_err(|fault| format!("TLS cannot be set up: {}", chain(&fault)))?;
        let tls = match settings.security {
            MailSecurity::Starttls => Tls::Required(tls),
            MailSecurity::Tls => Tls::Wrapper(tls),
        };
        // Its name says that it encrypts nothing by itself; `tls` above does.
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.clone())
            .port(settings.port)
            .timeout(Some(timeout))
            .tls(tls);
        if let Some((user, password)) = &settings.credentials {
            transport = transport.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
        }
        Ok(Self { transport: transport.build(), from: settings.from.clone(), to: settings.to.clone() })
    }

    /// Sends it to all recipients at once: the server takes it for all of them or for none.
    pub(super) async fn send(&self, notice: &Notice) -> Result<(), SendError> {
        let message = message(notice, &self.from, &self.to)
            .map_err(|fault| SendError::new(format!("the mail cannot be made: {}", chain(&fault))))?;
        self.transport.send(message).await.map(drop).map_err(|fault| SendError::new(chain(&fault)))
    }
}

/// The mail.
pub(super) fn message(
    notice: &Notice,
    from: &Mailbox,
    to: &[Mailbox],
) -> Result<Message, lettre::error::Error> {
    let seconds = u64::try_from(notice.at.as_second()).unwrap_or(0);
    let mut message = Message::builder()
        .from(from.clone())
        .subject(format!("[certroll] {}: {}", notice.severity, notice.title))
        .date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
        // The same for each attempt: mail programs show a repetition once.
        .message_id(Some(format!("<{}.certroll@{}>", notice.id(), from.email.domain())))
        .header(AutoSubmitted);
    for to in to {
        message = message.to(to.clone());
    }
    message.multipart(MultiPart::alternative_plain_html(text(notice), html(notice)))
}

/// The plain text.
pub(super) fn text(notice: &Notice) -> String {
    let mut text = format!("{}\n\n{}\n", notice.title, notice.text);
    if !notice.facts.is_empty() {
        let longest = notice.facts.iter().map(|fact| fact.label.chars().count()).max().unwrap_or(0);
        let width = (longest + 2).min(COLUMN);
        text.push('\n');
        for fact in &notice.facts {
            text.push_str(&format!(
                "{:<width$}{}\n",
                format!("{}:", fact.label),
                spaced(&fact.value, &fact.label, width)
            ));
        }
    }
    text.push_str(&format!("\n-- \ncertroll, {} ({}), {:.0}\n", notice.severity, notice.kind, notice.at));
    text
}

/// A value behind a label that fills its column needs a space of its own.
fn spaced(value: &str, label: &str, width: usize) -> String {
    if label.chars().count() + 1 >= width { format!(" {value}") } else { value.to_owned() }
}

/// The HTML: no image, no style that a mail program would refuse, nothing that is fetched.
pub(super) fn html(notice: &Notice) -> String {
    let colour = match notice.severity {
        Severity::Info => "#2e7d32",
        Severity::Warning => "#b26a00",
        Severity::Critical => "#b71c1c",
    };
    let mut html = format!(
        "<!doctype html>\n<html><body style=\"font-family: sans-serif\">\n<h2 style=\"color: {colour}\">{}</h2>\n",
        escaped(&notice.title)
    );
    for line in notice.text.lines() {
        html.push_str(&format!("<p>{}</p>\n", escaped(line)));
    }
    if !notice.facts.is_empty() {
        html.push_str("<table>\n");
        for fact in &notice.facts {
            html.push_str(&format!(
                "<tr><th align=\"left\" valign=\"top\">{}</th><td>{}</td></tr>\n",
                escaped(&fact.label),
                escaped(&fact.value)
            ));
        }
        html.push_str("</table>\n");
    }
    html.push_str(&format!(
        "<p style=\"color: #666\">certroll, {} ({}), {:.0}</p>\n</body></html>\n",
        notice.severity, notice.kind, notice.at
    ));
    html
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
