use jiff::Timestamp;

use super::events::{SubscriptionEvidence, WebhookCredentials};
use super::permission::{PermissionEntry, matches, permits};
use super::process::{DirectoryEvidence, Holder, JournalEvidence, ahead};
use super::vault::VaultEvidence;
use super::*;
use crate::cloud::AzureCloud;
use crate::notice::NearExpiry;
use crate::ports::{
    AccessModel, EventSubscription, InspectedVault, JournalError, JournalFault, PortFault, ServerTime,
    VaultResource,
};

const VAULT_ID: &str =
    "/subscriptions/0b1f6471/resourceGroups/shop(old)/providers/Microsoft.KeyVault/vaults/shop-kv";

fn az() -> Az {
    Az::new(&AzureCloud::china(), Principal { object: Some("0f00".to_owned()), person: false })
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn fault(kind: FaultKind, code: &str) -> PortError {
    PortError::Permanent(PortFault {
        doing: "trying".to_owned(),
        kind,
        status: Some(403),
        code: Some(code.to_owned()),
        message: String::new(),
        hint: None,
    })
}

fn command(finding: &Finding) -> &str {
    match &finding.mend {
        Some(Mend::Command(command)) => command,
        other => panic!("no command: {other:?}"),
    }
}

fn of(findings: &[Finding], check: Check) -> &Finding {
    findings.iter().find(|finding| finding.check == check).unwrap()
}

#[test]
fn patterns_cover_actions() {
    for (pattern, action, covers) in [
        ("*", "Microsoft.Compute/cloudServices/write", true),
        ("*/read", "Microsoft.Compute/cloudServices/read", true),
        ("*/read", "Microsoft.Compute/cloudServices/write", false),
        ("Microsoft.Compute/*/read", "microsoft.compute/cloudServices/roleInstances/read", true),
        ("Microsoft.Compute/*/read", "Microsoft.Compute/read", false),
        ("Microsoft.Compute/cloudServices/*", "Microsoft.Compute/cloudServices/write", true),
        ("Microsoft.Compute/cloudServices/write", "Microsoft.Compute/cloudServices/write", true),
        ("Microsoft.Compute/cloudServices/write", "Microsoft.Compute/cloudServices/writer", false),
        ("Microsoft.Compute/cloudServices/writer", "Microsoft.Compute/cloudServices/write", false),
        ("a*a", "a", false),
        ("a*b*c", "aXbYbZc", true),
        ("", "x", false),
    ] {
        assert_eq!(matches(pattern, action), covers, "{pattern} and {action}");
    }
}

#[test]
fn entries_add_up_and_take_away_from_themselves_only() {
    let entry = |actions: &[&str], not_actions: &[&str]| PermissionEntry {
        actions: actions.iter().map(ToString::to_string).collect(),
        not_actions: not_actions.iter().map(ToString::to_string).collect(),
    };
    let action = "Microsoft.KeyVault/vaults/deploy/action";
    for (entries, permitted) in [
        (vec![], false),
        (vec![entry(&["*"], &[])], true),
        (vec![entry(&["*"], &["Microsoft.KeyVault/*"])], false),
        (vec![entry(&["*"], &["Microsoft.KeyVault/*"]), entry(&[action], &[])], true),
        (vec![entry(&["*/read"], &[]), entry(&["Microsoft.Compute/*"], &[])], false),
    ] {
        assert_eq!(permits(&entries, action), permitted, "{entries:?}");
    }
}

#[test]
fn every_check_has_a_name_of_its_own_and_its_place() {
    let names: std::collections::BTreeSet<&str> = Check::ALL.iter().map(|check| check.name()).collect();
    assert_eq!(names.len(), Check::ALL.len());
    assert!(Check::ALL.is_sorted(), "the order of the list is that of reports");
}

fn vault() -> VaultEvidence {
    let resource = InspectedVault {
        resource: VaultResource { location: "chinaeast2".to_owned(), enabled_for_deployment: true },
        access: AccessModel::Roles,
    };
    VaultEvidence {
        vault: "shop-kv".parse().unwrap(),
        resource: Some((VAULT_ID.parse().unwrap(), Ok(resource))),
        secrets: Ok(3),
        certificates: Ok(1),
        read_secrets: vec![("shop-tls".parse().unwrap(), Ok(()))],
        read_certificates: vec![("shop-tls".parse().unwrap(), Ok(()))],
        permissions: Some(Ok(vec![PermissionEntry { actions: vec!["*".to_owned()], not_actions: vec![] }])),
        is_deployed_from: true,
    }
}

#[test]
fn a_vault_that_is_as_it_must_be() {
    let findings = vault::findings(&vault(), &az());
    assert_eq!(worst(&findings), Verdict::Good, "{findings:?}");
    assert_eq!(findings.len(), 7);
}

#[test]
fn each_fault_of_a_vault_has_its_command() {
    type Change = fn(&mut VaultEvidence);
    let cases: [(Change, Check, Verdict, &str); 8] = [
        (
            |vault| vault.certificates = Err(fault(FaultKind::Forbidden, "Forbidden/ForbiddenByRbac")),
            Check::CertificatesList,
            Verdict::Failure,
            "az role assignment create --assignee-object-id 0f00 --assignee-principal-type ServicePrincipal --role \
             'Key Vault Certificate User' --scope '/subscriptions/0b1f6471/resourceGroups/shop(old)/providers/Microsoft.KeyVault/vaults/shop-kv'",
        ),
        (
            |vault| {
                vault.read_certificates.clear();
                vault.secrets = Err(fault(FaultKind::Forbidden, "Forbidden/ForbiddenByRbac"));
            },
            Check::SecretsList,
            Verdict::Failure,
            "--role 'Key Vault Secrets User'",
        ),
        (
            |vault| {
                if let Some((_, Ok(seen))) = &mut vault.resource {
                    seen.access = AccessModel::Policies;
                }
                vault.read_certificates[0].1 = Err(fault(FaultKind::Forbidden, "Forbidden"));
            },
            Check::CertificatesGet,
            Verdict::Failure,
            "az keyvault set-policy --name shop-kv --object-id 0f00 --certificate-permissions get list \
             --secret-permissions get list",
        ),
        (
            |vault| {
                vault.resource = None;
                vault.read_secrets[0].1 = Err(fault(FaultKind::Forbidden, "Forbidden/ForbiddenByPolicy"));
            },
            Check::SecretsGet,
            Verdict::Failure,
            "az keyvault set-policy --name shop-kv --object-id 0f00 --secret-permissions get list",
        ),
        (
            |vault| vault.secrets = Err(fault(FaultKind::Firewall, "Forbidden/ForbiddenByFirewall")),
            Check::SecretsList,
            Verdict::Failure,
            "az keyvault network-rule add --name shop-kv --ip-address '<address of this machine>'",
        ),
        (
            |vault| {
                if let Some((_, Ok(seen))) = &mut vault.resource {
                    seen.resource.enabled_for_deployment = false;
                }
            },
            Check::EnabledForDeployment,
            Verdict::Failure,
            "az keyvault update --name shop-kv --enabled-for-deployment true",
        ),
        (
            |vault| vault.permissions = Some(Ok(Vec::new())),
            Check::Deploy,
            Verdict::Failure,
            "--role 'Key Vault Contributor'",
        ),
        (
            |vault| {
                vault.resource.as_mut().unwrap().1 = Err(fault(FaultKind::Forbidden, "AuthorizationFailed"));
            },
            Check::VaultRead,
            Verdict::Warning,
            "--role Reader",
        ),
    ];
    for (change, check, verdict, expected) in cases {
        let mut vault = vault();
        change(&mut vault);
        let findings = vault::findings(&vault, &az());
        let finding = of(&findings, check);
        assert_eq!(finding.verdict, verdict, "{finding:?}");
        assert!(command(finding).contains(expected), "{}: {}", check.name(), command(finding));
    }
}

#[test]
fn what_could_not_be_asked_is_never_a_pass() {
    let mut vault = vault();
    vault.resource = None;
    vault.permissions = None;
    vault.secrets = Err(fault(FaultKind::Unreachable, "x"));
    let findings = vault::findings(&vault, &az());
    for finding in &findings {
        let expected =
            if finding.check == Check::SecretsList { Verdict::Failure } else { Verdict::NotChecked };
        assert_eq!(finding.verdict, expected, "{finding:?}");
    }
    assert_eq!(findings.len(), 7);
}

#[test]
fn a_vault_of_secrets_alone_needs_no_permission_on_certificates() {
    let mut vault = vault();
    vault.read_certificates.clear();
    vault.certificates = Err(fault(FaultKind::Forbidden, "Forbidden"));
    assert_eq!(worst(&vault::findings(&vault, &az())), Verdict::Notice);
}

#[test]
fn a_clock_is_judged_by_what_the_network_cannot_explain() {
    let time = |asked: &str, answered: &str, server: &str| ServerTime {
        asked: at(asked),
        answered: at(answered),
        server: at(server),
    };
    for (time, seconds, verdict) in [
        (time("2026-11-23T08:00:00.9Z", "2026-11-23T08:00:01.2Z", "2026-11-23T08:00:00Z"), 0, Verdict::Good),
        (time("2026-11-23T08:00:00Z", "2026-11-23T08:00:20Z", "2026-11-23T08:00:10Z"), 0, Verdict::Good),
        (time("2026-11-23T08:02:01Z", "2026-11-23T08:02:02Z", "2026-11-23T08:00:00Z"), 120, Verdict::Warning),
        (
            time("2026-11-23T08:00:00Z", "2026-11-23T08:00:01Z", "2026-11-23T09:00:01Z"),
            -3600,
            Verdict::Failure,
        ),
    ] {
        assert_eq!(ahead(&time).as_secs(), seconds, "{time:?}");
        assert_eq!(process::clock(&[("a".to_owned(), Ok(time))]).verdict, verdict, "{time:?}");
    }
    let unknown = process::clock(&[("a".to_owned(), Err(fault(FaultKind::Unreachable, "x")))]);
    assert_eq!(unknown.verdict, Verdict::NotChecked);
}

#[test]
fn a_journal_says_what_is_wrong_with_it() {
    let good = JournalEvidence {
        path: "/var/lib/certroll".to_owned(),
        directory: DirectoryEvidence::Present { mode: 0o700, writable: true },
        opened: Ok(()),
        holder: None,
        free: Ok(1 << 40),
    };
    assert_eq!(worst(&process::journal(&good)), Verdict::Good);
    let holder = |runs| {
        let (program, host) = ("certroll run".to_owned(), "h".to_owned());
        Some(Holder { program, pid: 7, host, since: at("2026-11-23T08:00:00Z"), runs })
    };
    type Change<'a> = Box<dyn Fn(&mut JournalEvidence) + 'a>;
    let cases: [(Change<'_>, Verdict); 9] = [
        (
            Box::new(|j| j.directory = DirectoryEvidence::Present { mode: 0o755, writable: true }),
            Verdict::Warning,
        ),
        (
            Box::new(|j| j.directory = DirectoryEvidence::Present { mode: 0o700, writable: false }),
            Verdict::Failure,
        ),
        (
            Box::new(|j| {
                j.directory = DirectoryEvidence::Absent { above: "/var".to_owned(), writable: false }
            }),
            Verdict::Failure,
        ),
        (Box::new(|j| j.holder = holder(Some(true))), Verdict::Good),
        (Box::new(|j| j.holder = holder(Some(false))), Verdict::Notice),
        (Box::new(|j| j.opened = Err(JournalError::new(JournalFault::Absent, "none"))), Verdict::Good),
        (Box::new(|j| j.opened = Err(JournalError::new(JournalFault::Newer, "newer"))), Verdict::Failure),
        (Box::new(|j| j.free = Ok(1024)), Verdict::Failure),
        (Box::new(|j| j.free = Err("no".to_owned())), Verdict::NotChecked),
    ];
    for (index, (change, verdict)) in cases.iter().enumerate() {
        let mut journal = good.clone();
        change(&mut journal);
        assert_eq!(worst(&process::journal(&journal)), *verdict, "case {index}");
    }
}

#[test]
fn subscriptions_are_compared_with_the_webhook() {
    let fits = EventSubscription {
        name: "certroll".to_owned(),
        state: Some("Succeeded".to_owned()),
        base_url: Some("https://certroll.contoso.com/events".to_owned()),
        event_types: Some(events::WANTED.map(str::to_owned).to_vec()),
        schema: Some("CloudEventSchemaV1_0".to_owned()),
        ..EventSubscription::default()
    };
    let entra = WebhookCredentials {
        entra: Some(("t1".to_owned(), vec!["api://app".to_owned()])),
        ..WebhookCredentials::default()
    };
    let header = WebhookCredentials { header: Some("X-Secret".to_owned()), ..WebhookCredentials::default() };
    let query = WebhookCredentials { query: Some("code".to_owned()), ..header.clone() };
    let open = WebhookCredentials::default();
    let with = |change: &dyn Fn(&mut EventSubscription)| {
        let mut changed = fits.clone();
        change(&mut changed);
        vec![changed]
    };
    for (listed, webhook, expected) in [
        (with(&|_| ()), &open, ""),
        (with(&|one| one.event_types = None), &open, ""),
        (with(&|_| ()), &query, ""),
        (with(&|one| one.headers = vec!["x-secret".to_owned()]), &header, ""),
        (with(&|_| ()), &header, "does not send the header `X-Secret`"),
        (with(&|_| ()), &entra, "sends no credentials"),
        (
            with(&|one| {
                one.tenant = Some("t2".to_owned());
                one.application = Some("app".to_owned());
            }),
            &entra,
            "tokens of tenant `t2`",
        ),
        (
            with(&|one| {
                one.tenant = Some("T1".to_owned());
                one.application = Some("APP".to_owned());
            }),
            &entra,
            "",
        ),
        (
            with(&|one| {
                one.tenant = Some("t1".to_owned());
                one.application = Some("other".to_owned());
            }),
            &entra,
            "tokens for `other`",
        ),
        (with(&|one| one.state = Some("AwaitingManualAction".to_owned())), &open, "`AwaitingManualAction`"),
        (with(&|one| one.schema = Some("CustomInputSchema".to_owned())), &open, "`CustomInputSchema`"),
        (
            with(&|one| {
                one.event_types = Some(vec!["Microsoft.KeyVault.SecretNewVersionCreated".to_owned()]);
            }),
            &open,
            "leaves out `Microsoft.KeyVault.CertificateNewVersionCreated`",
        ),
        (with(&|one| one.subject_begins = "other".to_owned()), &open, "filters events of `shop-tls`"),
        (with(&|one| one.base_url = Some("https://hub.contoso.com/hook".to_owned())), &open, "none of the 1"),
        (Vec::new(), &open, "has no event subscription"),
    ] {
        let evidence = SubscriptionEvidence {
            vault: "shop-kv".parse().unwrap(),
            subscriptions: Some((VAULT_ID.parse().unwrap(), Ok(listed))),
            followed: vec!["shop-tls".parse().unwrap()],
        };
        let findings = events::findings(&evidence, webhook, &az());
        let verdict = if expected.is_empty() { Verdict::Good } else { Verdict::Warning };
        assert_eq!((findings.len(), findings[0].verdict), (1, verdict), "{expected}: {findings:?}");
        assert!(findings[0].what.contains(expected), "{expected}: {findings:?}");
    }
}

#[test]
fn the_end_of_a_certificate_comes_near() {
    let near = NearExpiry { percent: 20, days: 30 };
    let (from, until) = (at("2026-01-01T00:00:00Z"), at("2026-04-11T00:00:00Z"));
    for (now, verdict) in [
        ("2025-12-31T00:00:00Z", Verdict::Failure),
        ("2026-02-01T00:00:00Z", Verdict::Good),
        ("2026-04-01T00:00:00Z", Verdict::Warning),
        ("2026-04-11T00:00:00Z", Verdict::Failure),
    ] {
        let place = (Check::CertificateLife, &Subject::Machine);
        assert_eq!(life::of(place, "x", (from, until), &near, at(now)).verdict, verdict, "{now}");
    }
}

#[test]
fn commands_are_for_the_cloud_and_for_whom_it_is() {
    let person = Principal { object: None, person: true };
    for (cloud, expected) in [
        (AzureCloud::public(), "az cloud set --name AzureCloud"),
        (AzureCloud::china(), "az cloud set --name AzureChinaCloud"),
        (AzureCloud::us_government(), "az cloud set --name AzureUSGovernment"),
        (AzureCloud::of("airgap", "a", "b", "c", "d"), "az cloud set --name '<name of the cloud>'"),
    ] {
        let az = Az::new(&cloud, person.clone());
        assert_eq!(az.select_cloud(), expected);
        let Mend::Command(command) = az.assign("Reader", "/s") else { panic!("a command") };
        assert!(
            command.contains("--assignee-object-id '<object id>' --assignee-principal-type User"),
            "{command}"
        );
    }
    assert_eq!(mend::quoted("it's"), r"'it'\''s'");
}
