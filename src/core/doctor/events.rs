//! The event subscriptions of a vault, against the settings of the webhook.

use super::vault::short;
use super::{Az, Check, Finding, Mend, Subject, Verdict};
use crate::id::{ObjectName, SourceVaultId, VaultName};
use crate::ports::{EventSubscription, FaultKind, PortError};

/// The types of events that `docs/events.md` subscribes to.
pub const WANTED: [&str; 3] = [
    "Microsoft.KeyVault.CertificateNewVersionCreated",
    "Microsoft.KeyVault.SecretNewVersionCreated",
    "Microsoft.KeyVault.VaultAccessPolicyChanged",
];
/// Those without which a new version is not told.
const NEEDED: [&str; 2] = [WANTED[0], WANTED[1]];
/// The one path that the webhook answers.
const PATH: &str = "/events";

/// What the webhook believes. Without any of them it believes everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookCredentials {
    /// The header that holds the shared secret.
    pub header: Option<String>,
    /// The parameter of the query that holds it.
    pub query: Option<String>,
    /// The tenant whose tokens are believed, and for whom they may be.
    pub entra: Option<(String, Vec<String>)>,
}

/// What was asked about one vault.
#[derive(Clone, Debug)]
pub struct SubscriptionEvidence {
    /// The vault.
    pub vault: VaultName,
    /// Its subscriptions with its id, where that is known.
    pub subscriptions: Option<(SourceVaultId, Result<Vec<EventSubscription>, PortError>)>,
    /// The objects of it that are followed.
    pub followed: Vec<ObjectName>,
}

/// The subscriptions of a vault that deliver to an address like the webhook's.
pub fn ours(subscriptions: &[EventSubscription]) -> impl Iterator<Item = &EventSubscription> {
    subscriptions.iter().filter(|one| {
        let path = one.base_url.as_deref().and_then(|url| url.split_once("://")).map(|(_, rest)| {
            let rest = rest.split(['?', '#']).next().unwrap_or_default();
            rest.find('/').map_or("", |at| rest[at..].trim_end_matches('/'))
        });
        path.is_some_and(|path| path == PATH)
    })
}

/// What the subscriptions of one vault come to.
pub fn findings(evidence: &SubscriptionEvidence, webhook: &WebhookCredentials, az: &Az) -> Vec<Finding> {
    let check = Check::Subscription;
    let subject = Subject::Webhook;
    let vault = &evidence.vault;
    let Some((id, listed)) = &evidence.subscriptions else {
        return vec![Finding::not_checked(
            check,
            &subject,
            format!("the resource id of vault `{vault}` is not known"),
        )];
    };
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => {
            let what = format!("the event subscriptions of vault `{vault}` cannot be read: {}", short(error));
            let finding = Finding::not_checked(check, &subject, what);
            return vec![if error.kind() == FaultKind::Forbidden {
                finding.mend(az.assign("Reader", id.as_str()))
            } else {
                finding
            }];
        }
    };
    let judged: Vec<(&EventSubscription, Vec<Finding>)> =
        ours(listed).map(|one| (one, problems(one, evidence, id, webhook, az))).collect();
    if let Some((good, _)) = judged.iter().find(|(_, problems)| problems.is_empty()) {
        let schema = good.schema.as_deref().unwrap_or("EventGridSchema");
        let unseen = if webhook.query.is_some() && webhook.header.is_none() && webhook.entra.is_none() {
            "; the secret in its query is not shown"
        } else {
            ""
        };
        let what =
            format!("subscription `{}` of vault `{vault}` fits the webhook ({schema}{unseen})", good.name);
        return vec![Finding::good(check, &subject, what)];
    }
    match judged.into_iter().next() {
        Some((_, problems)) => problems,
        None => {
            let what = match listed.len() {
                0 => format!("vault `{vault}` has no event subscription"),
                count => {
                    format!("none of the {count} event subscriptions of vault `{vault}` delivers to `{PATH}`")
                }
            };
            let credentials = flags(webhook);
            vec![Finding::new(check, &subject, Verdict::Warning, what).mend(az.subscribe(
                "certroll",
                id.as_str(),
                &credentials,
            ))]
        }
    }
}

fn problems(
    one: &EventSubscription,
    evidence: &SubscriptionEvidence,
    id: &SourceVaultId,
    webhook: &WebhookCredentials,
    az: &Az,
) -> Vec<Finding> {
    let named = format!("subscription `{}` of vault `{}`", one.name, evidence.vault);
    let mut found = Vec::new();
    let mut add = |what: String, mend: Mend| {
        let what = format!("{named} {what}");
        found.push(Finding::new(Check::Subscription, &Subject::Webhook, Verdict::Warning, what).mend(mend));
    };
    let update = |change: String| az.resubscribe(&one.name, id.as_str(), &change);
    if let Some(state) = one.state.as_deref().filter(|state| !state.eq_ignore_ascii_case("Succeeded")) {
        add(
            format!("does not deliver: its state is `{state}`"),
            update("--endpoint '<address of the webhook>'".to_owned()),
        );
    }
    let schema = one.schema.as_deref().unwrap_or("EventGridSchema");
    if !["EventGridSchema", "CloudEventSchemaV1_0"].iter().any(|known| known.eq_ignore_ascii_case(schema)) {
        add(
            format!("delivers in the schema `{schema}`, which the webhook does not read"),
            Mend::Words(
                "delete it and make it anew with the schema `EventGridSchema` or `CloudEventSchemaV1_0`"
                    .into(),
            ),
        );
    }
    // None means all types.
    if let Some(types) = &one.event_types {
        let has = |wanted: &str| types.iter().any(|one| one.eq_ignore_ascii_case(wanted));
        let missing: Vec<&str> = NEEDED.into_iter().filter(|wanted| !has(wanted)).collect();
        if !missing.is_empty() {
            add(
                format!("leaves out `{}`", missing.join("` and `")),
                update(format!("--included-event-types {}", WANTED.join(" "))),
            );
        }
    }
    // The subject of an event is the object's name.
    let kept_out = evidence.followed.iter().find(|name| {
        let name = name.as_str().to_ascii_lowercase();
        !name.starts_with(&one.subject_begins.to_ascii_lowercase())
            || !name.ends_with(&one.subject_ends.to_ascii_lowercase())
    });
    if let Some(name) = kept_out {
        add(
            format!("filters events of `{name}` out by their subject"),
            update("--subject-begins-with '' --subject-ends-with ''".to_owned()),
        );
    }
    // `update` takes no tenant: it is made anew under its name.
    if let Some(what) = credentials(one, webhook) {
        add(what, az.subscribe(&one.name, id.as_str(), &flags(webhook)));
    }
    found
}

/// The flags by which a subscription sends what the webhook believes.
fn flags(webhook: &WebhookCredentials) -> String {
    match (&webhook.header, &webhook.entra) {
        (_, Some((tenant, audiences))) => format!(
            " --azure-active-directory-tenant-id {tenant} --azure-active-directory-application-id-or-uri {}",
            audiences.first().map_or("'<application>'", String::as_str)
        ),
        (Some(header), None) => format!(" --delivery-attribute-mapping {header} static '<the secret>' true"),
        (None, None) => String::new(),
    }
}

/// What is wrong with the credentials that a subscription sends, if anything that can be seen is.
fn credentials(one: &EventSubscription, webhook: &WebhookCredentials) -> Option<String> {
    // Azure shows addresses without their query: a secret there gets the benefit of the doubt.
    let believes_everybody = webhook.header.is_none() && webhook.entra.is_none();
    if webhook.query.is_some() || believes_everybody {
        return None;
    }
    let has_header = |wanted: &String| one.headers.iter().any(|header| header.eq_ignore_ascii_case(wanted));
    if webhook.header.as_ref().is_some_and(has_header) {
        return None;
    }
    let Some((tenant, audiences)) = &webhook.entra else {
        let header = webhook.header.as_deref().unwrap_or_default();
        return Some(format!("does not send the header `{header}`, which the webhook asks for"));
    };
    let bare = |audience: &str| audience.trim_start_matches("api://").to_ascii_lowercase();
    match (&one.tenant, &one.application) {
        (Some(found), _) if !found.eq_ignore_ascii_case(tenant) => {
            Some(format!("sends tokens of tenant `{found}`; the webhook believes `{tenant}`"))
        }
        (Some(_), Some(found)) if !audiences.iter().any(|audience| bare(audience) == bare(found)) => {
            Some(format!("sends tokens for `{found}`; the webhook takes `{}`", audiences.join("`, `")))
        }
        (Some(_), _) => None,
        (None, _) => Some("sends no credentials; the webhook asks for a token of Entra ID".to_owned()),
    }
}
