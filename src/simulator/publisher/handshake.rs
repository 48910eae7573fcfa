//! How an endpoint consents to being sent events. Sources: Microsoft's article on endpoint validation, and the
//! specification of CloudEvents' web hooks, which Event Grid follows in that schema.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::event::time;
use super::message::{to_endpoint, with_credentials};
use super::subscription::{
    NotValidated, Provisioning, Schema, Subscription, SubscriptionRefused, SubscriptionRequest,
};
use super::switches::{Callback, ChunkedValidation, RequestRate, Switches, ValidationData};
use super::wire::{Message, Unanswered, WireAnswer};
use super::{Publisher, Validation};
use crate::cloud::Cloud;

/// How long the validation URL can be opened.
const MANUAL_ACTION: Duration = Duration::from_secs(600);
/// Deliveries a minute that are asked for.
const RATE: u32 = 120;

/// A handshake that is under way.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) message: Message,
    request: SubscriptionRequest,
    code: String,
}

impl Cloud {
    /// Begins to create or update a subscription.
    pub(crate) fn open_subscription(
        &mut self,
        request: SubscriptionRequest,
    ) -> Result<Opening, SubscriptionRefused> {
        self.settle();
        request.check()?;
        let vault =
            self.vault(&request.vault).ok_or_else(|| SubscriptionRefused::NoVault(request.vault.clone()))?;
        let (topic, location) = (vault.resource_id(), vault.location.clone());
        if let Some(token) = &request.token
            && !self.entra.tenants.iter().any(|tenant| tenant.eq_ignore_ascii_case(&token.tenant))
        {
            return Err(SubscriptionRefused::NoTenant(token.tenant.clone()));
        }
        let code = Uuid::new_v4().to_string();
        let now = self.now();
        let manual = self.publisher.validation_url(&request, &location, &code, now);
        let switches = self.publisher.switches;
        let message = match request.schema {
            Schema::EventGrid => validation_event(&request, &topic, &code, &manual, &switches, now),
            Schema::CloudEvents => validation_options(&request, &manual, &switches, &self.publisher.origin),
        };
        let message = with_credentials(message, &request, &mut self.entra, now);
        Ok(Opening { message, request, code })
    }

    /// Ends it with what the endpoint answered.
    pub(crate) fn conclude_subscription(
        &mut self,
        opening: Opening,
        answer: &Result<WireAnswer, Unanswered>,
    ) -> Result<Provisioning, SubscriptionRefused> {
        self.settle();
        let now = self.now();
        let Opening { request, code, .. } = opening;
        let judged = judge(&request, &code, answer, &self.publisher.switches, &self.publisher.origin, now);
        let (subscription, status) = (request.name.clone(), answer.as_ref().ok().map(|answer| answer.status));
        let result = judged.clone();
        self.publisher.validations.push(Validation { subscription, at: now, status, result });
        let provisioning = judged?;
        let Self { publisher, vaults, .. } = self;
        let vault = vaults.iter().find(|one| one.name.eq_ignore_ascii_case(&request.vault));
        let vault = vault.ok_or_else(|| SubscriptionRefused::NoVault(request.vault.clone()))?;
        publisher.watch(vault, now);
        if let Some(place) = publisher.place(&request.name) {
            let known = &mut publisher.subscriptions[place];
            *known = Subscription { request, provisioning, code, ..known.clone() };
        } else {
            let current = vault.current_versions();
            let earlier = current.map(|one| (one.name.to_owned(), one.version.to_owned())).collect();
            publisher.subscriptions.push(Subscription {
                request,
                provisioning,
                code,
                earlier,
                queue: Vec::new(),
                failures: 0,
                probation: None,
            });
        }
        Ok(provisioning)
    }

    /// Deletes a subscription. Its endpoint is told by the message that is given; what waited for it is gone.
    pub(crate) fn delete_subscription(&mut self, name: &str) -> Option<Message> {
        self.settle();
        let now = self.now();
        let place = self.publisher.place(name)?;
        let request = self.publisher.subscriptions.remove(place).request;
        let topic = self.vault(&request.vault).map(crate::vault::Vault::resource_id).unwrap_or_default();
        let switches = &self.publisher.switches;
        let id = format!("{topic}/providers/Microsoft.EventGrid/eventSubscriptions/{}", request.name);
        let body = json!([{
            "id": Uuid::new_v4().to_string(),
            "topic": topic,
            "subject": "",
            "data": { "eventSubscriptionId": id },
            "eventType": "Microsoft.EventGrid.SubscriptionDeletedEvent",
            "eventTime": time(now, switches.event_time),
            "metadataVersion": "1",
            "dataVersion": "1",
        }]);
        let mut message = to_endpoint(&request, "POST", "SubscriptionDeletion", switches);
        message.header("content-type", "application/json; charset=utf-8");
        message.body = body.to_string().into_bytes();
        Some(with_credentials(message, &request, &mut self.entra, now))
    }
}

impl Publisher {
    /// Somebody opens the URL of a validation event, or the callback of CloudEvents. Whether that validates anything.
    pub fn open_validation_url(&mut self, url: &str) -> bool {
        let Ok(url) = Url::parse(url) else { return false };
        let Some((_, code)) = url.query_pairs().find(|(name, _)| name == "id") else { return false };
        let waiting = self.subscriptions.iter_mut().find(|one| one.code == code);
        let Some(waiting) = waiting else { return false };
        // One whose time is over has failed already.
        let waits = matches!(waiting.provisioning, Provisioning::AwaitingManualAction(_));
        if waits {
            waiting.provisioning = Provisioning::Succeeded;
        }
        waits
    }

    fn validation_url(
        &self,
        request: &SubscriptionRequest,
        location: &str,
        code: &str,
        now: Timestamp,
    ) -> String {
        let origin = &self.origin;
        let time = time(now, self.switches.event_time);
        format!(
            "https://rp-{location}.{origin}:553/eventsubscriptions/{}/validate?id={code}&t={time}&\
             apiVersion=2020-06-01&token=opaque",
            request.name.to_ascii_lowercase()
        )
    }
}

fn validation_event(
    request: &SubscriptionRequest,
    topic: &str,
    code: &str,
    url: &str,
    switches: &Switches,
    now: Timestamp,
) -> Message {
    let data = json!({ "validationCode": code, "validationUrl": url });
    let data = match switches.validation_data {
        ValidationData::Object => data,
        ValidationData::Text => json!(data.to_string()),
    };
    let body = json!([{
        "id": Uuid::new_v4().to_string(),
        "topic": topic,
        "subject": "",
        "data": data,
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": time(now, switches.event_time),
        "metadataVersion": "1",
        "dataVersion": "2",
    }]);
    let mut message = to_endpoint(request, "POST", "SubscriptionValidation", switches);
    message.header("content-type", "application/json; charset=utf-8");
    message.body = body.to_string().into_bytes();
    message
}

fn validation_options(
    request: &SubscriptionRequest,
    callback: &str,
    switches: &Switches,
    origin: &str,
) -> Message {
    let mut message = Message::new("OPTIONS", request.endpoint.clone(), request.address());
    message.header("webhook-request-origin", origin);
    if switches.callback == Callback::Offered {
        message.header("webhook-request-callback", callback);
    }
    if switches.request_rate == RequestRate::Requested {
        message.header("webhook-request-rate", &RATE.to_string());
    }
    message
}

fn judge(
    request: &SubscriptionRequest,
    code: &str,
    answer: &Result<WireAnswer, Unanswered>,
    switches: &Switches,
    origin: &str,
    now: Timestamp,
) -> Result<Provisioning, NotValidated> {
    let answer = answer.as_ref().map_err(|unanswered| NotValidated::NoAnswer(unanswered.to_string()))?;
    let later = Provisioning::AwaitingManualAction(now + MANUAL_ACTION);
    match request.schema {
        Schema::EventGrid => {
            // 202 is not taken either.
            if answer.status != 200 {
                return Err(NotValidated::Status(answer.status));
            }
            if switches.chunked_validation == ChunkedValidation::Refused
                && answer.header("content-length").is_none()
            {
                return Err(NotValidated::Chunked);
            }
            let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
            match body.as_ref().and_then(|body| body.get("validationResponse")) {
                Some(response) if response == code => Ok(Provisioning::Succeeded),
                Some(_) => Err(NotValidated::WrongCode),
                None => Ok(later),
            }
        }
        // Consent is in the header, whatever the status.
        Schema::CloudEvents => {
            let allowed = answer.header("webhook-allowed-origin");
            if !allowed.is_some_and(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin)) {
                let offered = switches.callback == Callback::Offered && allowed.is_none();
                return if offered && (200..300).contains(&answer.status) {
                    Ok(later)
                } else {
                    Err(NotValidated::NoConsent(allowed.map(str::to_owned)))
                };
            }
            let rate = answer.header("webhook-allowed-rate");
            let is_rate =
                rate.is_some_and(|rate| rate == "*" || rate.parse::<u32>().is_ok_and(|rate| rate > 0));
            match switches.request_rate {
                RequestRate::Requested if !is_rate => Err(NotValidated::NoRate(rate.map(str::to_owned))),
                RequestRate::Requested | RequestRate::Absent => Ok(Provisioning::Succeeded),
            }
        }
    }
}
