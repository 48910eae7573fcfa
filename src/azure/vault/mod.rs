//! Key Vault's data plane: lists, versions, certificates, secrets. Reads, and what `upload` puts there.
//!
//! The clients of Microsoft's own Key Vault crates are not used: they send an unauthenticated request first to learn a
//! scope that the configured cloud fixes anyway, wait as long as a `Retry-After` asks, follow a next page to any host
//! with the token, and keep secret values in memory that is not wiped.

mod certificate;
mod listing;
mod secret;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use certroll_core::certificate::VersionFacts;
use certroll_core::id::{ObjectKind, ObjectName, SecretIdentifier, VaultName, VaultObject, VersionId};
use certroll_core::ports::{
    CertificateImport, CertificateObject, ListedObject, PortError, PortFault, SecretObject, SecretValue,
    VaultReader, VaultWriter,
};

use crate::call::{Call, Caller, Misread, Operation, Subject};

/// Objects a page: the most that Key Vault gives.
const PAGE: &str = "25";

/// Reads the vaults of one cloud.
#[derive(Debug)]
pub(crate) struct Vaults {
    caller: Arc<Caller>,
}

impl Vaults {
    pub(crate) fn new(caller: Arc<Caller>) -> Self {
        Self { caller }
    }

    fn call(
        &self,
        operation: Operation,
        doing: String,
        vault: &VaultName,
        path: &str,
        subject: Subject,
    ) -> Result<Call, PortError> {
        let cloud = &self.caller.cloud;
        let host = format!("{vault}.{}", cloud.vault_suffix);
        Call::to(operation, doing, (&host, path), &cloud.vault_api_version, subject)
    }

    fn object_call(
        &self,
        operation: Operation,
        kind: ObjectKind,
        vault: &VaultName,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<Call, PortError> {
        let object = VaultObject { vault: vault.clone(), kind, name: name.clone() };
        let below = version.map(|version| format!("/{version}")).unwrap_or_default();
        let doing = format!("reading {} `{object}{below}`", kind.noun());
        let path = format!("/{}/{name}{below}", kind.collection());
        self.call(operation, doing, vault, &path, Subject::Object { vault: vault.clone(), kind })
    }
}

#[async_trait]
impl VaultReader for Vaults {
    fn secret_identifier(
        &self,
        vault: &VaultName,
        name: &ObjectName,
        version: &VersionId,
    ) -> SecretIdentifier {
        SecretIdentifier::of(vault, &self.caller.cloud.vault_suffix, name, version)
    }

    async fn list(&self, vault: &VaultName, kind: ObjectKind) -> Result<Vec<ListedObject>, PortError> {
        let doing = format!("listing the {} of vault `{vault}`", kind.collection());
        let subject = Subject::Objects { vault: vault.clone(), kind };
        let path = format!("/{}", kind.collection());
        let mut call = self.call(Operation::VaultList, doing, vault, &path, subject)?;
        call.url.query_pairs_mut().append_pair("maxresults", PAGE);
        self.caller.read_pages(call, |item| listing::object(item, kind).map(Some)).await
    }

    async fn versions(&self, object: &VaultObject) -> Result<Vec<VersionFacts>, PortError> {
        let VaultObject { vault, kind, name } = object;
        let doing = format!("listing the versions of {} `{object}`", kind.noun());
        let subject = Subject::Objects { vault: vault.clone(), kind: *kind };
        let path = format!("/{}/{name}/versions", kind.collection());
        let mut call = self.call(Operation::VaultVersions, doing, vault, &path, subject)?;
        call.url.query_pairs_mut().append_pair("maxresults", PAGE);
        self.caller.read_pages(call, |item| listing::version(item, *kind).map(Some)).await
    }

    async fn certificate(
        &self,
        vault: &VaultName,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<CertificateObject, PortError> {
        let call =
            self.object_call(Operation::VaultCertificate, ObjectKind::Certificate, vault, name, version)?;
        let answer = self.caller.read_json(&call).await?;
        let suffix = &self.caller.cloud.vault_suffix;
        let found = certificate::read(&answer, vault, suffix).map_err(|misread| call.malformed(&misread))?;
        certificate::is_what_was_asked(&found.secret, name, version)
            .map_err(|misread| call.malformed(&misread))?;
        Ok(found)
    }

    async fn secret(
        &self,
        vault: &VaultName,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<SecretObject, PortError> {
        let call = self.object_call(Operation::VaultSecret, ObjectKind::Secret, vault, name, version)?;
        let answer = self.caller.read(&call).await?;
        let suffix = &self.caller.cloud.vault_suffix;
        let found = secret::read(&answer.body, vault, suffix).map_err(|misread| call.malformed(&misread))?;
        certificate::is_what_was_asked(&found.identifier, name, version)
            .map_err(|misread| call.malformed(&misread))?;
        Ok(found)
    }
}

#[async_trait]
impl VaultWriter for Vaults {
    async fn import_certificate(
        &self,
        vault: &VaultName,
        name: &ObjectName,
        import: &CertificateImport,
    ) -> Result<CertificateObject, PortError> {
        let kind = ObjectKind::Certificate;
        let call =
            self.write_call(Operation::CertificateImport, "importing", kind, vault, name, "/import")?;
        let answer = self.caller.post(&call, writer::import(import)).await?;
        let suffix = &self.caller.cloud.vault_suffix;
        let value = crate::call::parse(&answer.body).map_err(|misread| unclear(&call, &misread))?;
        let found = certificate::read(&value, vault, suffix).map_err(|misread| unclear(&call, &misread))?;
        certificate::is_what_was_asked(&found.secret, name, None)
            .map_err(|misread| unclear(&call, &misread))?;
        Ok(found)
    }

    async fn set_secret(
        &self,
        vault: &VaultName,
        name: &ObjectName,
        secret: &SecretValue,
    ) -> Result<SecretObject, PortError> {
        let call = self.write_call(Operation::SecretSet, "setting", ObjectKind::Secret, vault, name, "")?;
        let answer = self.caller.write(&call, writer::secret(secret)).await?;
        let suffix = &self.caller.cloud.vault_suffix;
        let found = secret::read(&answer.body, vault, suffix).map_err(|misread| unclear(&call, &misread))?;
        certificate::is_what_was_asked(&found.identifier, name, None)
            .map_err(|misread| unclear(&call, &misread))?;
        Ok(found)
    }
}

impl Vaults {
    fn write_call(
        &self,
        operation: Operation,
        verb: &str,
        kind: ObjectKind,
        vault: &VaultName,
        name: &ObjectName,
        below: &str,
    ) -> Result<Call, PortError> {
        let object = VaultObject { vault: vault.clone(), kind, name: name.clone() };
        let doing = format!("{verb} {} `{object}`", kind.noun());
        let path = format!("/{}/{name}{below}", kind.collection());
        self.call(operation, doing, vault, &path, Subject::Object { vault: vault.clone(), kind })
    }
}

/// A write was accepted, and what it made cannot be made out: it may be there.
fn unclear(call: &Call, misread: &Misread) -> PortError {
    let fault: PortFault = call.malformed(misread).fault().clone();
    PortError::Ambiguous(fault)
}
