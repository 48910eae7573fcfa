//! A small Azure as plain values: vaults with versions, one service, its policy. [`World::observe`] looks as the engine
//! does: it asks [`needs`] until nothing more is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, SanType, date_time_ymd,
};
use serde_json::{Value, json};

use crate::certificate::{Certificate, VersionFacts};
use crate::id::{CloudServiceId, ObjectKind, SecretIdentifier, SourceVaultId, Thumbprint};
use crate::plan::{
    Form, KeyPresence, Need, NoEnabledVersion, Observation, ObservedObject, ObservedVersion, Occasion,
    PlanReport, PlannedUpdate, ServiceReport, Status, Unreadable, VaultContent, Violation, needs, plan,
};
use crate::policy::{
    CertificateMapping, Follow, Guard, GuardPolicy, Mode, Policy, ProbePolicy, ProbedEndpoint, ServicePolicy,
};
use crate::ports::{ProbeEndpoint, VaultResource};
use crate::standing::Standings;
use crate::target::cloud_service::{CloudServiceModel, InstanceState, RoleInstance};

pub(crate) const NOW: &str = "2026-06-01T12:00:00Z";
pub(crate) const SERVICE: &str = "/subscriptions/11111111-0000-4000-8000-000000000001/resourceGroups/shop/providers/Microsoft.Compute/cloudServices/shop";
pub(crate) const RDP: &str = "Microsoft.WindowsAzure.Plugins.RemoteAccess.PasswordEncryption";

pub(crate) fn now() -> Timestamp {
    NOW.parse().unwrap()
}

pub(crate) fn vault_id(name: &str) -> String {
    format!(
        "/subscriptions/11111111-0000-4000-8000-000000000001/resourceGroups/shop/providers/Microsoft.KeyVault/vaults/{name}"
    )
}

/// `tls/2` in the vault `shop-kv`, `new-kv/tls/2` in another.
pub(crate) fn url(short: &str) -> SecretIdentifier {
    let parts: Vec<&str> = short.split('/').collect();
    let (vault, name, version) = match parts.as_slice() {
        [name, version] => ("shop-kv", *name, *version),
        [vault, name, version] => (*vault, *name, *version),
        _ => panic!("{short}"),
    };
    format!("https://{vault}.vault.azure.cn/secrets/{name}/{version}").parse().unwrap()
}

/// How a certificate is to be made.
pub(crate) struct Make<'a> {
    pub(crate) common_name: &'a str,
    pub(crate) names: &'a [&'a str],
    /// Years of the first days of its validity and of the time after it.
    pub(crate) years: (i32, i32),
    pub(crate) issuer: Option<&'a Authority>,
    pub(crate) ca: bool,
    pub(crate) usage: Option<ExtendedKeyUsagePurpose>,
}

impl Default for Make<'_> {
    fn default() -> Self {
        Self {
            common_name: "shop",
            names: &["shop.contoso.com"],
            years: (2025, 2027),
            issuer: None,
            ca: false,
            usage: None,
        }
    }
}

/// A CA that signs.
pub(crate) struct Authority {
    pub(crate) certificate: Certificate,
    params: CertificateParams,
    key: KeyPair,
}

/// One key for all leaves: making keys is what takes the time.
static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().unwrap());

impl Make<'_> {
    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.common_name);
        params.subject_alt_names =
            self.names.iter().map(|name| SanType::DnsName((*name).try_into().unwrap())).collect();
        params.not_before = date_time_ymd(self.years.0, 1, 1);
        params.not_after = date_time_ymd(self.years.1, 1, 1);
        params.extended_key_usages = self.usage.clone().into_iter().collect();
        if self.ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params
    }

    pub(crate) fn made(&self) -> Certificate {
        self.made_with(&KEY)
    }

    pub(crate) fn made_with(&self, key: &KeyPair) -> Certificate {
        let params = self.params();
        let made = match self.issuer {
            Some(issuer) => params.signed_by(key, &Issuer::from_params(&issuer.params, &issuer.key)),
            None => params.self_signed(key),
        };
        Certificate::parse(made.unwrap().der()).unwrap()
    }

    pub(crate) fn authority(self) -> Authority {
        let make = Self { ca: true, names: &[], ..self };
        let key = KeyPair::generate().unwrap();
        Authority { certificate: make.made_with(&key), params: make.params(), key }
    }
}

/// A leaf for one name, self-signed, valid for two years from the first day of `year`.
pub(crate) fn leaf(name: &str, year: i32) -> Certificate {
    Make { common_name: name, names: &[name], years: (year, year + 2), ..Make::default() }.made()
}

/// A CA.
pub(crate) fn ca(name: &str, issuer: Option<&Authority>) -> Authority {
    Make { common_name: name, years: (2020, 2040), issuer, ..Make::default() }.authority()
}

/// What a secret holds that came with its key.
pub(crate) fn opened(leaf: &Certificate) -> VaultContent {
    let key = if leaf.is_ca() { KeyPresence::Absent } else { KeyPresence::Matches };
    VaultContent { leaf: leaf.clone(), bundled: Vec::new(), key, form: Form::Accepted }
}

pub(crate) fn facts(version: &str) -> VersionFacts {
    VersionFacts {
        version: version.parse().unwrap(),
        enabled: true,
        created: None,
        updated: None,
        not_before: None,
        expires: None,
    }
}

pub(crate) fn gone(reason: &str) -> Unreadable {
    Unreadable { reason: reason.to_owned(), short: None, hint: None, gone: true }
}

pub(crate) fn forbidden(reason: &str) -> Unreadable {
    Unreadable { reason: reason.to_owned(), short: None, hint: Some("grant it".to_owned()), gone: false }
}

#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) id: String,
    pub(crate) content: Result<VaultContent, Unreadable>,
    pub(crate) enabled: bool,
    pub(crate) first_seen: Timestamp,
}

#[derive(Clone)]
pub(crate) struct Object {
    pub(crate) kind: ObjectKind,
    /// The last enabled one is the newest.
    pub(crate) versions: Vec<Version>,
    pub(crate) unreadable: Option<Unreadable>,
}

#[derive(Clone)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) instances: u32,
    /// Name, and the thumbprint as written.
    pub(crate) certificates: Vec<(String, String)>,
    pub(crate) settings: Vec<(String, String)>,
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) objects: BTreeMap<(String, String), Object>,
    pub(crate) roles: Vec<Role>,
    /// Vault ids as the service writes them, with their `vaultCertificates`.
    pub(crate) groups: Vec<(String, Vec<Value>)>,
    pub(crate) policy: ServicePolicy,
    pub(crate) settle: Duration,
    pub(crate) now: Timestamp,
    pub(crate) unreadable: Option<Unreadable>,
    pub(crate) vaults: BTreeMap<String, Result<VaultResource, Unreadable>>,
    pub(crate) upgrade_mode: &'static str,
    /// Replaces the model that the other members describe.
    pub(crate) model: Option<CloudServiceModel>,
    /// What the record of earlier rollouts says.
    pub(crate) standings: Standings,
}

impl World {
    /// A service without roles and secrets, that follows its references.
    pub(crate) fn new() -> Self {
        Self {
            objects: BTreeMap::new(),
            roles: Vec::new(),
            groups: Vec::new(),
            policy: service_policy(SERVICE),
            settle: Duration::from_secs(60),
            now: now(),
            unreadable: None,
            vaults: BTreeMap::new(),
            upgrade_mode: "Auto",
            model: None,
            standings: Standings::default(),
        }
    }

    /// Adds a version to a vault certificate: `tls/2`, or `new-kv/tls/2`. It was seen a day ago.
    pub(crate) fn holds(&mut self, short: &str, leaf: &Certificate) -> &mut Self {
        self.holds_as(short, ObjectKind::Certificate, Ok(opened(leaf)))
    }

    pub(crate) fn holds_secret(&mut self, short: &str, leaf: &Certificate) -> &mut Self {
        self.holds_as(short, ObjectKind::Secret, Ok(opened(leaf)))
    }

    pub(crate) fn holds_as(
        &mut self,
        short: &str,
        kind: ObjectKind,
        content: Result<VaultContent, Unreadable>,
    ) -> &mut Self {
        let secret = url(short);
        let first_seen = self.now - jiff::SignedDuration::from_hours(24);
        let object = self.object_entry(&secret, kind);
        object.versions.push(Version {
            id: secret.version().as_str().to_owned(),
            content,
            enabled: true,
            first_seen,
        });
        self
    }

    fn object_entry(&mut self, secret: &SecretIdentifier, kind: ObjectKind) -> &mut Object {
        self.objects
            .entry((secret.vault().as_str().to_owned(), secret.name().as_str().to_ascii_lowercase()))
            .or_insert(Object { kind, versions: Vec::new(), unreadable: None })
    }

    pub(crate) fn object(&mut self, vault: &str, name: &str) -> &mut Object {
        self.objects.get_mut(&(vault.to_owned(), name.to_owned())).unwrap()
    }

    pub(crate) fn version(&mut self, short: &str) -> &mut Version {
        let secret = url(short);
        let object = self.object(secret.vault().as_str(), secret.name().as_str());
        object.versions.iter_mut().find(|version| version.id == secret.version().as_str()).unwrap()
    }

    pub(crate) fn role(&mut self, name: &str, certificates: &[(&str, &Certificate)]) -> &mut Self {
        let certificates = certificates
            .iter()
            .map(|(name, leaf)| ((*name).to_owned(), leaf.thumbprint().to_string()))
            .collect();
        self.roles.push(Role { name: name.to_owned(), instances: 2, certificates, settings: Vec::new() });
        self
    }

    pub(crate) fn setting(&mut self, role: &str, name: &str, value: &str) -> &mut Self {
        let role = self.roles.iter_mut().find(|known| known.name == role).unwrap();
        role.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The service's secrets, each in the group of its vault.
    pub(crate) fn delivers(&mut self, shorts: &[&str]) -> &mut Self {
        for short in shorts {
            let secret = url(short);
            self.deliver(&vault_id(secret.vault().as_str()), json!({ "certificateUrl": secret.as_str() }));
        }
        self
    }

    pub(crate) fn deliver(&mut self, vault: &str, entry: Value) -> &mut Self {
        match self.groups.iter_mut().find(|(id, _)| id == vault) {
            Some((_, entries)) => entries.push(entry),
            None => self.groups.push((vault.to_owned(), vec![entry])),
        }
        self
    }

    pub(crate) fn map(&mut self, name: &str, source: &str) -> &mut CertificateMapping {
        self.policy.certificates.push(CertificateMapping {
            name: name.to_owned(),
            role: None,
            source: source.parse().unwrap(),
            source_vault: None,
            settings: Vec::new(),
        });
        self.policy.certificates.last_mut().unwrap()
    }

    pub(crate) fn probe(&mut self, host: &str, certificate: Option<&str>) -> &mut Self {
        let endpoint = ProbeEndpoint { address: format!("{host}:443"), server_name: host.to_owned() };
        let certificate = certificate.map(str::to_owned);
        self.policy.probe.endpoints.push(ProbedEndpoint { endpoint, certificate });
        self
    }

    pub(crate) fn relax(&mut self, guard: Guard) -> &mut Self {
        self.policy.guards.relaxed.insert(guard);
        self
    }

    pub(crate) fn cscfg(&self) -> String {
        let mut text = String::from(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-16\"?>\r\n<!-- kept by hand -->\r\n<ServiceConfiguration \
             serviceName='Shop' xmlns=\"http://schemas.microsoft.com/ServiceHosting/2008/10/ServiceConfiguration\">\r\n",
        );
        for role in &self.roles {
            text += &format!(
                "  <Role name=\"{}\">\r\n    <Instances count=\"{}\" />\r\n",
                role.name, role.instances
            );
            text += "    <ConfigurationSettings>\r\n";
            for (name, value) in &role.settings {
                text += &format!("      <Setting name='{name}' value=\"{value}\"/>\r\n");
            }
            text += "    </ConfigurationSettings>\r\n    <Certificates>\r\n";
            for (name, thumbprint) in &role.certificates {
                text += &format!(
                    "      <Certificate thumbprintAlgorithm='sha1' name=\"{name}\"  thumbprint='{thumbprint}' />\r\n"
                );
            }
            text += "    </Certificates>\r\n  </Role>\r\n";
        }
        text + "</ServiceConfiguration>\r\n"
    }

    pub(crate) fn model(&self) -> CloudServiceModel {
        if let Some(model) = &self.model {
            return model.clone();
        }
        let groups: Vec<Value> = self
            .groups
            .iter()
            .map(|(id, entries)| json!({ "sourceVault": { "id": id }, "vaultCertificates": entries }))
            .collect();
        let roles: Vec<Value> = self
            .roles
            .iter()
            .map(|role| json!({ "name": role.name, "sku": { "name": "Standard_D1_v2", "capacity": role.instances } }))
            .collect();
        let value = json!({
            "id": SERVICE.replace("resourceGroups/shop", "resourceGroups/SHOP"),
            "name": "shop",
            "type": "Microsoft.Compute/cloudServices",
            "location": "chinaeast2",
            "tags": { "team": "shop" },
            "systemData": { "lastModifiedAt": "2026-05-01T00:00:00Z" },
            "properties": {
                "configuration": self.cscfg(),
                "osProfile": { "secrets": groups },
                "upgradeMode": self.upgrade_mode,
                "roleProfile": { "roles": roles },
                "networkProfile": { "loadBalancerConfigurations": [] },
                "provisioningState": "Succeeded",
                "uniqueId": "c0ffee"
            }
        });
        CloudServiceModel::new(value).unwrap()
    }

    pub(crate) fn answer(&self, need: &Need, observation: &mut Observation) {
        match need {
            Need::Object(key) => {
                let place = (key.vault.as_str().to_owned(), key.name.as_str().to_ascii_lowercase());
                let object =
                    self.objects.get(&place).filter(|object| key.kind.is_none_or(|kind| kind == object.kind));
                let answer = match object {
                    None => Err(gone(&format!("reading `{key}`: it does not exist"))),
                    Some(Object { unreadable: Some(unreadable), .. }) => Err(unreadable.clone()),
                    Some(object) => Ok(ObservedObject {
                        kind: object.kind,
                        newest: object
                            .versions
                            .iter()
                            .rfind(|version| version.enabled)
                            .map(|version| ObservedVersion {
                                facts: facts(&version.id),
                                secret: url(&format!("{}/{}/{}", key.vault, key.name, version.id)),
                                first_seen: version.first_seen,
                            })
                            .ok_or(NoEnabledVersion { versions: object.versions.len() }),
                    }),
                };
                assert!(observation.objects.insert(key.clone(), answer).is_none(), "asked twice: {need:?}");
            }
            Need::Certificate(secret) | Need::Secret(secret) => {
                let place = (secret.vault().as_str().to_owned(), secret.name().as_str().to_ascii_lowercase());
                let version = self.objects.get(&place).and_then(|object| {
                    object.versions.iter().find(|version| version.id == secret.version().as_str())
                });
                let answer = match version {
                    None => Err(gone(&format!("reading `{secret}`: it does not exist"))),
                    Some(version) if !version.enabled => {
                        Err(gone(&format!("reading `{secret}`: it is disabled")))
                    }
                    Some(version) => match need {
                        Need::Certificate(_) => {
                            version.content.clone().map(|content| VaultContent::of_certificate(content.leaf))
                        }
                        _ => version.content.clone(),
                    },
                };
                observation.contents.insert(secret.clone(), answer);
            }
            Need::Kept(secret) => {
                let place = (secret.vault().as_str().to_owned(), secret.name().as_str().to_ascii_lowercase());
                let object = self.objects.get(&place).filter(|object| object.unreadable.is_none());
                let version = object.and_then(|object| {
                    object.versions.iter().find(|version| version.id == secret.version().as_str())
                });
                let answer = match version {
                    None => Err(gone(&format!("`{secret}` does not exist"))),
                    Some(version) if !version.enabled => Err(gone(&format!("`{secret}` is disabled"))),
                    Some(_) => Ok(()),
                };
                observation.kept.insert(secret.clone(), answer);
            }
            Need::Vault(vault) => {
                let answer = self.vaults.get(vault.vault().as_str()).cloned().unwrap_or(Ok(VaultResource {
                    location: "chinaeast2".to_owned(),
                    enabled_for_deployment: true,
                }));
                observation.vaults.insert(vault.clone(), answer);
            }
            Need::Instances(service) => {
                let instances = self
                    .roles
                    .iter()
                    .flat_map(|role| {
                        (0..role.instances).map(|n| RoleInstance {
                            name: format!("{}_IN_{n}", role.name),
                            update_domain: Some(n % 2),
                            state: InstanceState::Started,
                        })
                    })
                    .collect();
                observation.instances.insert(service.clone(), Ok(instances));
            }
        }
    }

    /// Looks until nothing more is wanted, and tells everything that was.
    pub(crate) fn observe(&self) -> (Observation, BTreeSet<Need>) {
        let mut observation = Observation { standings: self.standings.clone(), ..Observation::default() };
        let model = self.unreadable.clone().map_or_else(|| Ok(self.model()), Err);
        observation.services.insert(self.policy.service.clone(), model);
        let mut asked = BTreeSet::new();
        // Objects, metadata, what comes: the engine gives up after eight rounds.
        for _ in 0..6 {
            let wanted = needs(&self.policy, &observation);
            if wanted.is_empty() {
                return (observation, asked);
            }
            for need in wanted {
                self.answer(&need, &mut observation);
                asked.insert(need);
            }
        }
        panic!("it wants ever more: {:?}", needs(&self.policy, &observation));
    }

    pub(crate) fn report(&self, occasion: Occasion) -> PlanReport {
        let policy = Policy {
            services: vec![self.policy.clone()],
            settle: self.settle,
            urgent_before_expiry: Duration::from_secs(3 * 24 * 60 * 60),
        };
        plan(&policy, &self.observe().0, self.now, occasion)
    }

    pub(crate) fn service(&self) -> ServiceReport {
        self.report(Occasion::Unattended).services.remove(0)
    }

    pub(crate) fn status(&self) -> Status {
        self.service().status
    }

    pub(crate) fn planned(&self) -> PlannedUpdate {
        match self.status() {
            Status::Planned { update } => *update,
            other => panic!("{other:#?}"),
        }
    }

    pub(crate) fn blocked(&self) -> Vec<Violation> {
        match self.status() {
            Status::Blocked { violations } => violations,
            other => panic!("{other:#?}"),
        }
    }

    /// A reference that stays and is gone is refused, by a guard; then lets that guard pass.
    #[track_caller]
    pub(crate) fn assert_kept_refused(&mut self, name: &str) {
        let violations = self.blocked();
        let kept = violations.iter().find(|violation| violation.guard == "enabled");
        let kept = kept.unwrap_or_else(|| panic!("{violations:#?}"));
        assert!(kept.subject.contains(name) && kept.subject.ends_with("which stays"), "{kept:#?}");
        self.policy.guards.relaxed.insert(Guard::Enabled);
    }

    #[track_caller]
    pub(crate) fn assert_current(&self) -> Vec<String> {
        let report = self.service();
        assert_eq!(report.status, Status::Current, "{:#?}", report.status);
        report.notes
    }

    /// The same world after the update was made.
    pub(crate) fn after(&self, update: &PlannedUpdate) -> Self {
        let mut value = self.model().value().clone();
        let body = update.wanted.put_body(&self.model()).unwrap();
        for member in ["configuration", "osProfile"] {
            value["properties"][member] = body.value()["properties"][member].clone();
        }
        Self { model: Some(CloudServiceModel::new(value).unwrap()), ..self.clone() }
    }
}

pub(crate) fn service_policy(id: &str) -> ServicePolicy {
    ServicePolicy {
        service: id.parse::<CloudServiceId>().unwrap(),
        follow: Follow::References,
        mode: Mode::Auto,
        certificates: Vec::new(),
        probe: ProbePolicy::default(),
        guards: GuardPolicy::default(),
        window: None,
        stage: 0,
    }
}

/// The secrets that an update wants, as `vault/name/version`, in the order of the profile.
pub(crate) fn secrets(update: &PlannedUpdate) -> Vec<String> {
    update
        .wanted
        .os_profile
        .urls()
        .map(|url| format!("{}/{}/{}", url.vault(), url.name(), url.version()))
        .collect()
}

/// Role, name and thumbprint of each certificate that an update changes.
pub(crate) fn changed(update: &PlannedUpdate) -> Vec<(String, String, Thumbprint)> {
    update
        .certificates
        .iter()
        .map(|change| (change.role.to_string(), change.name.clone(), change.to))
        .collect()
}

pub(crate) fn change(role: &str, name: &str, to: &Certificate) -> (String, String, Thumbprint) {
    (role.to_owned(), name.to_owned(), to.thumbprint())
}

pub(crate) fn source_vault(name: &str) -> SourceVaultId {
    vault_id(name).parse().unwrap()
}

/// One service with one leaf that was renewed, in one role.
pub(crate) fn renewed() -> (World, Certificate, Certificate) {
    let (old, new) = (leaf("shop.contoso.com", 2025), leaf("shop.contoso.com", 2026));
    let mut world = World::new();
    world.holds("tls/1", &old).holds("tls/2", &new).role("Web", &[("ShopTls", &old)]).delivers(&["tls/1"]);
    (world, old, new)
}
