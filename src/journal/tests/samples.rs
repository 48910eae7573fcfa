//! Rollouts as they come, from their opening to their endings.

use certroll_core::id::{CloudServiceId, RoleName, RolloutId, SecretIdentifier, Thumbprint};
use certroll_core::plan::{
    BlastRadius, CertificateChange, CertificateSummary, PlanDigest, PlannedUpdate, RoleRadius, SecretChange,
    ServiceState,
};
use certroll_core::ports::Recorded;
use certroll_core::rollout::{Cause, Ending, Event, Found, Initiator, OperationOutcome, Phase};
use certroll_core::standing::{Decided, Decision};
use certroll_core::target::cloud_service::{
    CloudServiceModel, InstanceState, OperationFailure, OperationHandle, RoleInstance, UpgradeMode,
};
use certroll_core::verify::Evidence;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

/// A time, in seconds after the beginning of the stories.
pub(super) fn at(seconds: i64) -> Timestamp {
    let beginning: Timestamp = "2026-03-01T02:00:00Z".parse().unwrap();
    beginning + SignedDuration::from_secs(seconds)
}

pub(super) fn service(name: &str) -> CloudServiceId {
    format!(
        "/subscriptions/6f1c2a34-0000-4000-8000-1234567890ab/resourceGroups/Shop/providers/Microsoft.Compute/cloudServices/{name}"
    )
    .parse()
    .unwrap()
}

pub(super) fn secret(name: &str, version: u32) -> SecretIdentifier {
    format!("https://shop-kv.vault.azure.cn/secrets/{name}/{version:032x}").parse().unwrap()
}

fn thumbprint(version: u32) -> Thumbprint {
    Thumbprint::of_der(&version.to_be_bytes())
}

/// A service that carries one certificate. `size` is about how many bytes its cscfg has.
pub(super) fn model(service: &CloudServiceId, version: u32, size: usize) -> CloudServiceModel {
    let setting = format!("<Setting name=\"Text\" value=\"{}\" />", "-".repeat(size));
    let cscfg = format!(
        "<ServiceConfiguration serviceName=\"{}\"><Role name=\"Web\"><Instances count=\"2\" />\
         <ConfigurationSettings>{setting}</ConfigurationSettings><Certificates><Certificate name=\"Tls\" \
         thumbprint=\"{}\" thumbprintAlgorithm=\"sha1\" /></Certificates></Role></ServiceConfiguration>",
        service.name(),
        thumbprint(version)
    );
    let resource = json!({
        "id": service.to_string(),
        "name": service.name(),
        "location": "chinaeast2",
        "tags": { "team": "shop" },
        "properties": {
            "configuration": cscfg,
            "osProfile": { "secrets": [{
                "sourceVault": { "id": "/subscriptions/6f1c2a34-0000-4000-8000-1234567890ab/resourceGroups/Shop/providers/Microsoft.KeyVault/vaults/shop-kv" },
                "vaultCertificates": [{ "certificateUrl": secret("shop-tls", version).as_str() }]
            }] },
            "upgradeMode": "Auto",
            "provisioningState": "Succeeded"
        }
    });
    serde_json::from_value(resource).unwrap()
}

fn update(service: &CloudServiceId, from: u32, to: u32, size: usize) -> PlannedUpdate {
    let state = |version| ServiceState::of(&model(service, version, size)).unwrap();
    PlannedUpdate {
        service: service.clone(),
        certificates: vec![CertificateChange {
            role: RoleName::new("Web"),
            name: "Tls".to_owned(),
            line: 1,
            from: Some(thumbprint(from)),
            to: thumbprint(to),
            secret: secret("shop-tls", to),
            source: "shop-kv/certificates/shop-tls".to_owned(),
            before: None,
            after: CertificateSummary {
                thumbprint: thumbprint(to),
                subject: "CN=shop.contoso.com".to_owned(),
                names: vec!["shop.contoso.com".to_owned()],
                not_before: at(-86_400),
                not_after: at(90 * 86_400),
                ca: false,
            },
        }],
        secrets: vec![SecretChange {
            from: Some(secret("shop-tls", from)),
            to: Some(secret("shop-tls", to)),
        }],
        settings: Vec::new(),
        expected: state(from),
        wanted: state(to),
        probes: Vec::new(),
        probe_binding: false,
        blast_radius: BlastRadius {
            roles: vec![RoleRadius { role: RoleName::new("Web"), instances: 2, changes: true }],
            upgrade_mode: UpgradeMode::Auto,
            update_domains: Some(2),
        },
        warnings: Vec::new(),
        stage: 0,
        deployed_until: Some(at(5 * 86_400)),
    }
}

/// A rollout that is to be told: its service, when it began, and which version it replaces by which.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) service: CloudServiceId,
    pub(super) begins: i64,
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) by: Initiator,
    pub(super) undoes: Option<RolloutId>,
    pub(super) size: usize,
}

/// How it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    Verified,
    Restored,
    Stuck,
    Abandoned,
    Unfinished,
}

impl Story {
    pub(super) fn new(name: &str, begins: i64, from: u32, to: u32) -> Self {
        let by = Initiator::Unattended;
        Self { service: service(name), begins, from, to, by, undoes: None, size: 40 }
    }

    pub(super) fn id(&self) -> RolloutId {
        RolloutId::new(at(self.begins), &self.service)
    }

    /// Its events, ten seconds apart.
    pub(super) fn events(&self, course: Course) -> Vec<Recorded> {
        let model = |version| model(&self.service, version, self.size);
        let examined = |version, state: InstanceState| Event::Examined {
            evidence: Box::new(Evidence {
                state: ServiceState::of(&model(version)).unwrap(),
                instances: vec![RoleInstance { name: "Web_IN_0".to_owned(), update_domain: Some(0), state }],
                probes: Vec::new(),
            }),
        };
        let looked = || Event::Looked { found: Found::Unchanged };
        let accepted = |n: u32| Event::PutAccepted {
            operation: OperationHandle::AsyncOperation(format!("https://management.chinacloudapi.cn/op/{n}")),
            request_id: Some(format!("request-{n}")),
        };
        let failure = || OperationFailure {
            code: "CertificateImproperlyFormatted".to_owned(),
            message: "no PFX".to_owned(),
        };
        let failed = || Event::OperationEnded { outcome: OperationOutcome::Failed { failure: failure() } };
        let succeeded = || Event::OperationEnded { outcome: OperationOutcome::Succeeded };
        let first = || Cause::OperationFailed { failure: failure() };
        let mut events = vec![
            Event::Opened {
                rollout: self.id(),
                update: Box::new(update(&self.service, self.from, self.to, self.size)),
                by: self.by,
                undoes: self.undoes.clone(),
            },
            Event::Captured { model: Box::new(model(self.from)), started: vec!["Web_IN_0".to_owned()] },
        ];
        let put = |phase, n| [looked(), Event::PutStarted { phase }, accepted(n)];
        let back = || {
            let mut events = vec![failed(), Event::TurnedBack { cause: first() }];
            events.extend(put(Phase::Back, 2));
            events
        };
        match course {
            Course::Unfinished => events.extend(put(Phase::Forward, 1)),
            Course::Verified => {
                events.extend(put(Phase::Forward, 1));
                events.extend([succeeded(), examined(self.to, InstanceState::Started)]);
                events.push(Event::Ended { ending: Ending::Verified });
            }
            Course::Restored => {
                events.extend(put(Phase::Forward, 1));
                events.extend(back());
                events.extend([succeeded(), examined(self.from, InstanceState::Started)]);
                events.push(Event::Ended { ending: Ending::Restored { cause: first() } });
            }
            Course::Stuck => {
                events.extend(put(Phase::Forward, 1));
                events.extend(back());
                events.push(failed());
                let cause = Cause::RestoreFailed { first: Box::new(first()), then: Box::new(first()) };
                events.push(Event::Ended { ending: Ending::Stuck { cause } });
            }
            Course::Abandoned => {
                let cause = Cause::Changed { differences: vec!["`tags.team` differs".to_owned()] };
                events.push(Event::Ended { ending: Ending::Abandoned { cause } });
            }
        }
        let record = |(n, event): (usize, Event)| Recorded {
            at: at(self.begins + 10 * n as i64),
            rollout: self.id(),
            event,
        };
        events.into_iter().enumerate().map(record).collect()
    }
}

pub(super) fn released(name: &str, seconds: i64) -> Decided {
    Decided { at: at(seconds), service: service(name), decision: Decision::Released }
}

pub(super) fn approved(name: &str, seconds: i64, plan: &str) -> Decided {
    let plan: PlanDigest = serde_json::from_value(json!(plan)).unwrap();
    Decided { at: at(seconds), service: service(name), decision: Decision::Approved { plan } }
}
