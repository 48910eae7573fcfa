//! The webhook: whether anything listens, its certificate, and the event subscriptions that deliver to it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use certroll_core::doctor::events::{SubscriptionEvidence, WebhookCredentials, findings as compared, ours};
use certroll_core::doctor::{Az, Check, Finding, Mend, Subject, Verdict};
use certroll_core::id::{ObjectName, SourceVaultId, VaultName};
use certroll_core::ports::Inspection;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use reqwest::Method;
use tokio::net::TcpStream;
use url::Url;

use super::gather::within;
use super::machine;
use crate::config::{EventsSettings, Settings};
use crate::http::tls::ServerCertificate;
use crate::notify::client::{chain, outgoing};

/// Longest wait for a connection on this machine.
const LOCAL: Duration = Duration::from_secs(3);
/// Longest wait for an answer from the public address: Event Grid itself waits 30 s.
const PUBLIC: Duration = Duration::from_secs(30);
/// Public addresses that are greeted: one webhook has one, a second one while it moves.
const ADDRESSES: usize = 4;
/// Vaults whose subscriptions are read beside each other.
const AT_ONCE: usize = 8;

/// What to do where somebody else answers.
const BEHIND: &str = "see what stands in front of the webhook and where it passes `/events` on to";

/// A vault whose events are wanted.
pub(super) struct Vault {
    pub(super) name: VaultName,
    pub(super) id: Option<SourceVaultId>,
    pub(super) followed: Vec<ObjectName>,
}

/// Everything about the webhook.
pub(super) async fn findings(
    settings: &Settings,
    inspection: &dyn Inspection,
    vaults: &[Vault],
    az: &Az,
    reach: bool,
    now: Timestamp,
) -> Vec<Finding> {
    let subject = Subject::Webhook;
    let Some(events) = &settings.events else {
        let what = "none is configured: polls alone find changes, and find all of them";
        return vec![Finding::good(Check::Subscription, &subject, what)];
    };
    let mut found = vec![listening(events.listen).await];
    found.extend(certificate(events, settings, now));
    let evidence: Vec<SubscriptionEvidence> = stream::iter(vaults)
        .map(|vault| async move {
            let subscriptions = match &vault.id {
                Some(id) => {
                    let asked = inspection.event_subscriptions(id);
                    Some((id.clone(), within("listing the vault's event subscriptions", asked).await))
                }
                None => None,
            };
            SubscriptionEvidence {
                vault: vault.name.clone(),
                subscriptions,
                followed: vault.followed.clone(),
            }
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let webhook = credentials(events);
    for one in &evidence {
        found.extend(compared(one, &webhook, az));
    }
    found.extend(public(&evidence, settings, reach).await);
    found
}

fn credentials(events: &EventsSettings) -> WebhookCredentials {
    let secret = events.shared_secret.as_ref();
    WebhookCredentials {
        header: secret.and_then(|secret| Some(secret.header.as_ref()?.as_str().to_owned())),
        query: secret.and_then(|secret| secret.query.clone()),
        entra: events.entra.as_ref().map(|entra| (entra.tenant_id.clone(), entra.audiences.clone())),
    }
}

/// Whether anything takes connections where the daemon would. Nothing is sent.
async fn listening(listen: SocketAddr) -> Finding {
    let address = match listen.ip() {
        IpAddr::V4(any) if any.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listen.port()),
        IpAddr::V6(any) if any.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), listen.port()),
        _ => listen,
    };
    let (check, subject) = (Check::Listening, Subject::Webhook);
    let reason = match tokio::time::timeout(LOCAL, TcpStream::connect(address)).await {
        Ok(Ok(_)) => return Finding::good(check, &subject, format!("`{listen}` takes connections")),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", LOCAL.as_secs()),
    };
    Finding::new(
        check,
        &subject,
        Verdict::Warning,
        format!("nothing takes connections at `{listen}`: {reason}"),
    )
    .mend(Mend::Command("systemctl start certroll".into()))
}

fn certificate(events: &EventsSettings, settings: &Settings, now: Timestamp) -> Option<Finding> {
    let files = events.tls.as_ref()?;
    let place = (Check::WebhookCertificate, &Subject::Webhook);
    // A key of another certificate is found by loading both.
    Some(match ServerCertificate::load(files.clone()) {
        Ok(_) => {
            machine::of_file(place, "the webhook's certificate", &files.certificate, None, settings, now)
        }
        Err(error) => Finding::new(place.0, place.1, Verdict::Failure, error.to_string()),
    })
}

/// The addresses that event subscriptions name. They are spoken to only when asked for: what stands there is somebody
/// else's word.
async fn public(evidence: &[SubscriptionEvidence], settings: &Settings, reach: bool) -> Vec<Finding> {
    let (check, subject) = (Check::PublicAddress, Subject::Webhook);
    let listed = evidence.iter().filter_map(|one| one.subscriptions.as_ref()?.1.as_ref().ok());
    let named: BTreeSet<&str> =
        listed.flat_map(|all| ours(all)).filter_map(|one| one.base_url.as_deref()).collect();
    if named.is_empty() {
        let why = "no event subscription that could be read names an address of the webhook";
        return if reach { vec![Finding::not_checked(check, &subject, why)] } else { Vec::new() };
    }
    if !reach {
        let hosts: BTreeSet<String> = named.iter().filter_map(|url| host(url)).collect();
        let hosts = hosts.into_iter().collect::<Vec<_>>().join("`, `");
        let what = format!("`{hosts}` was not greeted: `--reach-webhook` does");
        return vec![Finding::new(check, &subject, Verdict::Notice, what)];
    }
    let mut found = Vec::new();
    for url in named.into_iter().take(ADDRESSES) {
        let shown = host(url).unwrap_or_else(|| "its address".to_owned());
        found.push(match greet(url, settings).await {
            Ok(Greeted { status: 200, consents: false }) => {
                let what = format!("`{shown}` answers without consent: it is not the webhook");
                Finding::new(check, &subject, Verdict::Warning, what).mend(Mend::Words(BEHIND.into()))
            }
            // Without credentials the webhook refuses, which is an answer.
            Ok(Greeted { status, .. }) if matches!(status, 200 | 401 | 403 | 405 | 503) => {
                Finding::good(check, &subject, format!("`{shown}` answers (status {status})"))
            }
            Ok(Greeted { status, .. }) => {
                let what = format!("`{shown}` answers with status {status}, which the webhook never does");
                Finding::new(check, &subject, Verdict::Warning, what).mend(Mend::Words(BEHIND.into()))
            }
            Err(reason) => {
                let what = format!("`{shown}` does not answer from here: {reason}");
                Finding::new(check, &subject, Verdict::Warning, what).mend(Mend::Words(
                    "see that the name is known, the port open, and a public authority's certificate with its chain presented"
                        .into(),
                ))
            }
        });
    }
    found
}

fn host(url: &str) -> Option<String> {
    Url::parse(url).ok()?.host_str().map(str::to_owned)
}

/// What somebody said who was greeted.
struct Greeted {
    status: u16,
    /// Whether deliveries from where the greeting came from are allowed.
    consents: bool,
}

/// Asks for consent as Event Grid does, by `OPTIONS` and without any credentials. Nothing comes of it but an answer.
async fn greet(url: &str, settings: &Settings) -> Result<Greeted, String> {
    let mut url = Url::parse(url).map_err(|error| error.to_string())?;
    if url.scheme() != "https" {
        return Err("expected an https address".to_owned());
    }
    url.set_query(None);
    // An address with credentials is none that Event Grid takes.
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the address holds credentials".to_owned());
    }
    let client =
        outgoing(&settings.http)?.timeout(PUBLIC).build().map_err(|error| chain(&error.without_url()))?;
    let origin = settings.cloud.event_grid_origin.as_deref().unwrap_or("eventgrid.azure.net");
    let request = client.request(Method::OPTIONS, url).header("webhook-request-origin", origin);
    let answer = request.send().await.map_err(|error| chain(&error.without_url()))?;
    let consents = answer.headers().contains_key("webhook-allowed-origin");
    Ok(Greeted { status: answer.status().as_u16(), consents })
}
