//! Builds simulated worlds: a subscription with vaults, certificates and services, and the worlds that tests and the
//! demo share. Everything is done on the [`Cloud`] directly, without a request.

pub mod fleet;
pub mod plan;
pub mod shop;

use std::sync::Arc;

use jiff::Timestamp;

use crate::clock::Pace;
use crate::cloud::Cloud;
use crate::entra::{Application, Entra, Federation, ManagedIdentity};
use crate::names::Names;
use crate::pfx::{self, Contents, Lock};
use crate::pki::Issued;
use crate::service::instance::Delivered;
use crate::vault::{JsonSecret, Kind, Material, Permission, Vault};

pub use plan::ServicePlan;

/// Tenant of every scenario.
pub const TENANT: &str = "7c1d9a52-3f0e-4b6e-9f55-0d2a8c4e1b73";
/// Subscription of every scenario.
pub const SUBSCRIPTION: &str = "5f2b7c90-8d41-4a3c-b6e7-91c0d4f8a2e6";
/// Resource group of every scenario.
pub const RESOURCE_GROUP: &str = "shop";
/// Client id of the application that scenarios register.
pub const CLIENT_ID: &str = "b3e8f1d4-6a27-4c95-8e10-2d7f9c5a4b18";
/// Its object id.
pub const OBJECT_ID: &str = "e94c2a7b-1d58-4f36-a0b9-6c3e8d5f7a21";
/// Its secret.
pub const CLIENT_SECRET: &str = "simulated-client-secret";
/// Client id of the machine's system-assigned managed identity.
pub const IDENTITY_CLIENT_ID: &str = "4a9d2c6e-7b13-4e58-9f04-8c1b5d3e6a72";
/// Its object id.
pub const IDENTITY_OBJECT_ID: &str = "d27f5b81-3c6e-4a90-b1d8-5e9a7c4f2b36";
/// Issuer of the federated tokens that the application trusts, as a cluster's.
pub const FEDERATION_ISSUER: &str = "https://oidc.example/cluster";
/// Subject of those tokens.
pub const FEDERATION_SUBJECT: &str = "system:serviceaccount:ops:certroll";

/// A version of a vault object that holds a certificate.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Vault.
    pub vault: String,
    /// Certificate or secret.
    pub kind: Kind,
    /// Object.
    pub name: String,
    /// Version.
    pub version: String,
    /// Secret identifier of this version: what a certificateUrl holds.
    pub url: String,
    /// Thumbprint, upper case.
    pub thumbprint: String,
    pub(crate) delivered: Arc<Delivered>,
}

/// What a JSON secret's `data` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// PKCS#12 with certificate and key.
    Key,
    /// PKCS#12 with the certificate alone.
    CertificateOnly,
    /// The certificate itself, although it says `pfx`.
    Bare,
}

/// A cloud with one tenant, in it an application with a secret and a federation, and a managed identity. Both may do
/// everything.
pub fn cloud(names: Names, pace: Pace, now: Timestamp) -> Cloud {
    let entra = if names == Names::china() {
        Entra::china(TENANT)
    } else if names == Names::us_government() {
        Entra::us_government(TENANT)
    } else {
        Entra::public(TENANT)
    };
    let mut cloud = Cloud::new(names, entra, pace, now);
    cloud.entra.login_hosts = cloud.names.login.clone();
    cloud.entra.applications.push(Application {
        tenant: TENANT.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        object_id: OBJECT_ID.to_owned(),
        secrets: vec![CLIENT_SECRET.to_owned()],
        certificates: Vec::new(),
        federations: vec![Federation {
            issuer: FEDERATION_ISSUER.to_owned(),
            subject: FEDERATION_SUBJECT.to_owned(),
        }],
    });
    cloud.entra.managed_identities.push(ManagedIdentity {
        tenant: TENANT.to_owned(),
        client_id: IDENTITY_CLIENT_ID.to_owned(),
        object_id: IDENTITY_OBJECT_ID.to_owned(),
        resource_id: None,
    });
    let audiences = cloud.names.resource_manager_audiences.iter().chain(&cloud.names.vault_audiences);
    for audience in audiences.filter(|audience| !audience.ends_with('/')) {
        if !cloud.entra.resources.contains(audience) {
            cloud.entra.resources.push(audience.clone());
        }
    }
    cloud
}

/// Adds a vault that the application and the managed identity may read and write, in the scenario's group.
pub fn vault<'a>(cloud: &'a mut Cloud, name: &str, location: &str) -> &'a mut Vault {
    let mut vault = Vault::new(name, &cloud.names.vault_suffix, TENANT);
    // A made-up suffix tells the vault nothing of its cloud.
    vault.login_host = cloud.names.login.first().cloned().unwrap_or_default();
    vault.subscription = SUBSCRIPTION.to_owned();
    vault.resource_group = RESOURCE_GROUP.to_owned();
    vault.location = location.to_owned();
    vault.enabled_for_deployment = true;
    for object_id in [OBJECT_ID, IDENTITY_OBJECT_ID] {
        vault.grant(object_id, &every_permission());
    }
    cloud.vaults.push(vault);
    cloud.vaults.last_mut().expect("one was just added")
}

/// Every data-plane permission.
pub fn every_permission() -> Vec<Permission> {
    vec![
        Permission::CertificatesGet,
        Permission::CertificatesList,
        Permission::CertificatesImport,
        Permission::CertificatesUpdate,
        Permission::SecretsGet,
        Permission::SecretsList,
        Permission::SecretsSet,
    ]
}

/// A new version of a vault certificate.
///
/// # Panics
/// If there is no such vault.
pub fn certificate(cloud: &mut Cloud, vault: &str, name: &str, issued: &Issued) -> Stored {
    certificate_of(cloud, vault, name, issued, &Material::pkcs12(issued))
}

/// The same with what the vault keeps of it made before: for many versions of one certificate, or in another form.
///
/// # Panics
/// If there is no such vault.
pub fn certificate_of(
    cloud: &mut Cloud,
    vault: &str,
    name: &str,
    issued: &Issued,
    material: &Material,
) -> Stored {
    let now = cloud.now();
    let vault = cloud.vault_mut(vault).expect("the vault exists");
    let version = vault.create_certificate_version(name, material, now);
    Stored::of(vault, Kind::Certificate, name, &version, issued, Data::Key)
}

/// A new version of a JSON secret, encoded as the command line tool does: base64 with a line break every 76 columns.
///
/// # Panics
/// If there is no such vault.
pub fn json_secret(cloud: &mut Cloud, vault: &str, name: &str, issued: &Issued, data: Data) -> Stored {
    let bytes = match data {
        Data::Key => pfx::write(
            &Contents {
                leaf: issued.der.clone(),
                chain: Vec::new(),
                key_pkcs8: Some(issued.key_pkcs8.clone()),
            },
            Lock::Password(""),
        ),
        Data::CertificateOnly => {
            pfx::write_certificates(std::slice::from_ref(&issued.der), Lock::Password(""))
        }
        Data::Bare => issued.der.clone(),
    };
    let value = JsonSecret::new(&bytes, "").az_value();
    let now = cloud.now();
    let vault = cloud.vault_mut(vault).expect("the vault exists");
    let version = vault.set_secret(name, &value, None, now);
    vault.set_tag(Kind::Secret, name, &version, ("file-encoding", "base64"), now);
    Stored::of(vault, Kind::Secret, name, &version, issued, data)
}

impl Stored {
    /// A version that was put into a vault by other means, with what it holds: for worlds that choose the ids of their
    /// versions, so that a run can be repeated.
    pub fn of(vault: &Vault, kind: Kind, name: &str, version: &str, issued: &Issued, data: Data) -> Self {
        let thumbprint = issued.thumbprint();
        let key_pkcs8 = (data == Data::Key).then(|| issued.key_pkcs8.clone());
        let delivered = Delivered { thumbprint: thumbprint.clone(), der: issued.der.clone(), key_pkcs8 };
        Self {
            vault: vault.name.clone(),
            kind,
            name: name.to_owned(),
            version: version.to_owned(),
            url: vault.secret_url(name, version),
            thumbprint,
            delivered: Arc::new(delivered),
        }
    }
}
