//! Each finding of a service, by made-up evidence that differs in one thing.

use serde_json::{Value, json};

use super::*;
use crate::cloud::AzureCloud;
use crate::doctor::Principal;
use crate::plan::tests::world::{SERVICE, World, service_policy};
use crate::plan::{Occasion, Reason, Violation};
use crate::ports::{AccessModel, PortFault, VaultResource};

const VAULT: &str = "/subscriptions/s/resourceGroups/shop/providers/Microsoft.KeyVault/vaults/shop-kv";

/// What is known of a service, so that a case can change one thing.
struct Case {
    policy: ServicePolicy,
    model: Result<Value, PortError>,
    instances: Result<usize, PortError>,
    permissions: Result<Vec<PermissionEntry>, PortError>,
    vault: String,
    seen: Result<InspectedVault, PortError>,
    status: Option<Status>,
}

fn fault(kind: FaultKind) -> PortError {
    PortError::Permanent(PortFault {
        doing: "trying".to_owned(),
        kind,
        status: Some(403),
        code: None,
        message: "canary".to_owned(),
        hint: None,
    })
}

fn permitted(actions: &[&str]) -> Vec<PermissionEntry> {
    let actions = actions.iter().map(ToString::to_string).collect();
    vec![PermissionEntry { actions, not_actions: Vec::new() }]
}

fn case(change: impl FnOnce(&mut Case)) -> Vec<Finding> {
    let resource = VaultResource { location: "China East 2".to_owned(), enabled_for_deployment: true };
    let mut case = Case {
        policy: service_policy(SERVICE),
        model: Ok(World::new().model().value().clone()),
        instances: Ok(2),
        permissions: Ok(permitted(&["*"])),
        vault: VAULT.replace("subscriptions/s/", &format!("subscriptions/{}/", subscription())),
        seen: Ok(InspectedVault { resource, access: AccessModel::Roles }),
        status: Some(Status::Current),
    };
    change(&mut case);
    let model = case.model.map(|value| CloudServiceModel::new(value).unwrap());
    let vault: SourceVaultId = case.vault.parse().unwrap();
    let report = case.status.map(|status| {
        let mut report = World::new().report(Occasion::Person).services.remove(0);
        report.status = status;
        report
    });
    let evidence = ServiceEvidence {
        policy: &case.policy,
        model: model.as_ref(),
        instances: case.instances.as_ref().copied(),
        permissions: case.permissions.as_deref(),
        vaults: vec![(&vault, case.seen.as_ref())],
        plan: report.as_ref(),
    };
    let principal = Principal { object: Some("0f00".to_owned()), person: false };
    findings(&evidence, &Az::new(&AzureCloud::china(), principal))
}

fn subscription() -> String {
    SERVICE.parse::<CloudServiceId>().unwrap().subscription().to_owned()
}

fn properties(case: &mut Case) -> &mut Value {
    &mut case.model.as_mut().unwrap()["properties"]
}

fn words(mend: Option<&Mend>) -> &str {
    match mend {
        Some(Mend::Command(words) | Mend::Words(words)) => words,
        None => "",
    }
}

#[test]
fn a_service_that_is_as_it_must_be() {
    let found = case(|_| {});
    assert_eq!(found.len(), 9, "{found:?}");
    assert!(found.iter().all(|one| one.verdict == Verdict::Good && one.mend.is_none()), "{found:?}");
}

#[test]
fn each_finding_has_its_verdict_and_its_way_out() {
    use Verdict::{Failure, Good, NotChecked, Notice, Warning};
    type Row = (fn(&mut Case), Check, Verdict, &'static str, &'static str);
    let rows: [Row; 24] = [
        (
            |case| case.permissions = Ok(permitted(&["*/read"])),
            Check::ServiceWrite,
            Failure,
            "`Microsoft.Compute/cloudServices/write` is not permitted",
            "--role Contributor",
        ),
        (
            |case| {
                case.permissions = Ok(permitted(&["*/read"]));
                case.policy.mode = Mode::Observe;
            },
            Check::ServiceWrite,
            Notice,
            "the service is only observed",
            "--role Contributor",
        ),
        (
            |case| {
                case.permissions = Ok(permitted(&[WRITE]));
                properties(case)["upgradeMode"] = json!("Manual");
            },
            Check::ServiceWrite,
            Failure,
            "updateDomains/write` is not permitted",
            "--role Contributor",
        ),
        (|case| case.permissions = Ok(permitted(&[WRITE])), Check::ServiceWrite, Good, "may be changed", ""),
        (
            |case| case.permissions = Err(fault(FaultKind::Forbidden)),
            Check::ServiceWrite,
            NotChecked,
            "permissions cannot be read: a permission is missing (403)",
            "",
        ),
        (|case| case.instances = Ok(0), Check::BelowService, Notice, "no role instances", ""),
        (
            |case| case.instances = Err(fault(FaultKind::Forbidden)),
            Check::BelowService,
            Failure,
            "a permission is missing (403)",
            "--role Reader",
        ),
        (
            |case| case.instances = Err(fault(FaultKind::Throttled)),
            Check::BelowService,
            NotChecked,
            "too many calls",
            "",
        ),
        (
            |case| properties(case)["provisioningState"] = json!("Failed"),
            Check::ServiceState,
            Warning,
            "the last operation on the service did not succeed",
            "activity log",
        ),
        (
            |case| properties(case)["provisioningState"] = json!("Updating"),
            Check::ServiceState,
            Notice,
            "an operation runs (`Updating`)",
            "",
        ),
        (
            |case| drop(properties(case).as_object_mut().unwrap().remove("provisioningState")),
            Check::ServiceState,
            NotChecked,
            "has no `provisioningState`",
            "",
        ),
        (
            |case| properties(case)["upgradeMode"] = json!("Manual"),
            Check::UpgradeMode,
            Notice,
            "certroll walks the update domains itself",
            "",
        ),
        (
            |case| properties(case)["upgradeMode"] = json!("Simultaneous"),
            Check::UpgradeMode,
            Warning,
            "all instances restart at once",
            "[service.window]",
        ),
        (extended, Check::Extension, Failure, "`KeyVaultForPaaS` rotates", "the extension off the service"),
        (
            |case| {
                extended(case);
                case.policy.guards.relaxed.insert(Guard::Extension);
            },
            Check::Extension,
            Notice,
            "the guard `extension` is relaxed",
            "",
        ),
        (
            |case| case.vault = VAULT.replace("subscriptions/s/", "subscriptions/other/"),
            Check::VaultSubscription,
            Failure,
            "vault `shop-kv` is in subscription `other`",
            "the service's own subscription and region",
        ),
        (
            |case| case.seen.as_mut().unwrap().resource.location = "chinanorth3".to_owned(),
            Check::VaultRegion,
            Failure,
            "vault `shop-kv` is in region `chinanorth3`, the service in `chinaeast2`",
            "the service's own subscription and region",
        ),
        (
            |case| case.seen = Err(fault(FaultKind::Forbidden)),
            Check::VaultRegion,
            NotChecked,
            "the resource of vault `shop-kv` cannot be read",
            "",
        ),
        (
            |case| drop(case.model.as_mut().unwrap().as_object_mut().unwrap().remove("location")),
            Check::VaultRegion,
            NotChecked,
            "has no region",
            "",
        ),
        (
            |case| case.status = Some(blocked(2)),
            Check::Plan,
            Warning,
            "blocked by `names`: it: expected a, found b (and 1 more)",
            "do that",
        ),
        (|case| case.status = Some(blocked(0)), Check::Plan, Warning, "blocked by ", ""),
        (
            |case| {
                let message = "the vault is away".to_owned();
                case.status = Some(Status::Unreadable { reasons: vec![Reason { message, hint: None }] });
            },
            Check::Plan,
            Failure,
            "unreadable: the vault is away",
            "",
        ),
        (
            |case| case.model = Err(fault(FaultKind::Forbidden)),
            Check::ServiceRead,
            Failure,
            "a permission is missing (403)",
            "--role Reader",
        ),
        (
            |case| case.model = Err(fault(FaultKind::NotFound)),
            Check::ServiceRead,
            Failure,
            "it does not exist",
            "",
        ),
    ];
    for (change, check, verdict, what, mend) in rows {
        let found = case(change);
        let one = found.iter().find(|one| one.check == check).unwrap();
        assert_eq!(one.verdict, verdict, "{one:?}");
        assert!(one.what.contains(what), "{what}: {one:?}");
        let way_out = words(one.mend.as_ref());
        assert!(way_out.contains(mend) && way_out.is_empty() == mend.is_empty(), "{mend}: {one:?}");
    }
}

#[test]
fn a_service_that_cannot_be_read_is_nowhere_a_pass() {
    let found = case(|case| {
        case.model = Err(fault(FaultKind::Forbidden));
        case.permissions = Err(fault(FaultKind::Forbidden));
        case.status = None;
    });
    assert_eq!(found.len(), 8, "{found:?}");
    assert!(found.iter().all(|one| one.verdict >= Verdict::NotChecked), "{found:?}");
    assert!(!found.iter().any(|one| one.check == Check::Plan), "nobody planned");
}

#[test]
fn a_service_without_a_vault_has_no_place_to_be_compared_with() {
    let policy = service_policy(SERVICE);
    let model = World::new().model();
    let evidence = ServiceEvidence {
        policy: &policy,
        model: Ok(&model),
        instances: Ok(1),
        permissions: Ok(&[]),
        vaults: Vec::new(),
        plan: None,
    };
    let found = findings(&evidence, &Az::new(&AzureCloud::public(), Principal::default()));
    for check in [Check::VaultSubscription, Check::VaultRegion] {
        let one = found.iter().find(|one| one.check == check).unwrap();
        assert_eq!(
            (one.verdict, one.what.as_str()),
            (Verdict::NotChecked, "the service references no vault")
        );
    }
}

fn extended(case: &mut Case) {
    properties(case)["extensionProfile"] =
        json!({ "extensions": [{ "name": "kv", "properties": { "type": "KeyVaultForPaaS" } }] });
}

fn blocked(count: usize) -> Status {
    let violation = Violation {
        guard: "names".to_owned(),
        subject: "it".to_owned(),
        expected: "a".to_owned(),
        found: "b".to_owned(),
        hint: "do that".to_owned(),
    };
    Status::Blocked { violations: vec![violation; count] }
}
