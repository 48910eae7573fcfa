//! The vaults as they would be with a version that is not there yet, so that a plan tells what would become of it.

use std::sync::Arc;

use async_trait::async_trait;
use certroll_core::certificate::VersionFacts;
use certroll_core::id::{
    ObjectKind, ObjectName, SecretIdentifier, Thumbprint, VaultName, VaultObject, VersionId,
};
use certroll_core::ports::{
    CertificateObject, FaultKind, ListedObject, PortError, SecretObject, VaultReader,
};
use jiff::SignedDuration;
use zeroize::Zeroizing;

/// A version as the vault would hand it out.
pub(super) struct Version {
    pub(super) object: VaultObject,
    pub(super) facts: VersionFacts,
    pub(super) identifier: SecretIdentifier,
    pub(super) value: Zeroizing<String>,
    pub(super) content_type: Option<&'static str>,
    /// The leaf.
    pub(super) der: Vec<u8>,
    pub(super) thumbprint: Thumbprint,
}

/// The vaults of another reader, and the version besides.
pub(super) struct Foreseen {
    pub(super) vaults: Arc<dyn VaultReader>,
    pub(super) version: Version,
}

impl Foreseen {
    fn is_object(&self, vault: &VaultName, name: &ObjectName) -> bool {
        &self.version.object.vault == vault && &self.version.object.name == name
    }

    /// Whether that version is meant: by its id, or as the current one.
    fn is_meant(&self, vault: &VaultName, name: &ObjectName, version: Option<&VersionId>) -> bool {
        self.is_object(vault, name) && version.is_none_or(|version| version == &self.version.facts.version)
    }

    /// Whether the object is one of a collection. A vault certificate's secret is among the secrets.
    fn is_among(&self, kind: ObjectKind) -> bool {
        kind == ObjectKind::Secret || self.version.object.kind == ObjectKind::Certificate
    }
}

#[async_trait]
impl VaultReader for Foreseen {
    fn secret_identifier(
        &self,
        vault: &VaultName,
        name: &ObjectName,
        version: &VersionId,
    ) -> SecretIdentifier {
        self.vaults.secret_identifier(vault, name, version)
    }

    async fn list(&self, vault: &VaultName, kind: ObjectKind) -> Result<Vec<ListedObject>, PortError> {
        let mut listed = self.vaults.list(vault, kind).await?;
        let Version { object, facts, thumbprint, .. } = &self.version;
        if &object.vault == vault && self.is_among(kind) {
            listed.retain(|other| other.name != object.name);
            listed.push(ListedObject {
                name: object.name.clone(),
                enabled: true,
                updated: facts.updated,
                thumbprint: (kind == ObjectKind::Certificate).then_some(*thumbprint),
                managed: kind == ObjectKind::Secret && object.kind == ObjectKind::Certificate,
            });
        }
        Ok(listed)
    }

    async fn versions(&self, object: &VaultObject) -> Result<Vec<VersionFacts>, PortError> {
        let mut versions = match self.vaults.versions(object).await {
            Err(error) if error.kind() == FaultKind::NotFound && object == &self.version.object => Vec::new(),
            other => other?,
        };
        if self.is_object(&object.vault, &object.name) && self.is_among(object.kind) {
            // The vault's clock may be ahead of this machine's: the version is the last one all the same.
            let last = versions.iter().filter_map(|facts| facts.created).max();
            let after_last = last.and_then(|last| last.checked_add(SignedDuration::from_secs(1)).ok());
            let mut facts = self.version.facts.clone();
            facts.created = facts.created.max(after_last);
            versions.push(facts);
        }
        Ok(versions)
    }

    async fn certificate(
        &self,
        vault: &VaultName,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<CertificateObject, PortError> {
        if !self.is_among(ObjectKind::Certificate) || !self.is_meant(vault, name, version) {
            return self.vaults.certificate(vault, name, version).await;
        }
        let Version { facts, identifier, content_type, der, thumbprint, .. } = &self.version;
        Ok(CertificateObject {
            facts: facts.clone(),
            secret: identifier.clone(),
            der: der.clone(),
            thumbprint: Some(*thumbprint),
            content_type: content_type.map(str::to_owned),
        })
    }

    async fn secret(
        &self,
        vault: &VaultName,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<SecretObject, PortError> {
        if !self.is_meant(vault, name, version) {
            return self.vaults.secret(vault, name, version).await;
        }
        let Version { object, facts, identifier, value, content_type, .. } = &self.version;
        Ok(SecretObject {
            facts: facts.clone(),
            identifier: identifier.clone(),
            value: value.clone(),
            content_type: content_type.map(str::to_owned),
            managed: object.kind == ObjectKind::Certificate,
        })
    }
}
