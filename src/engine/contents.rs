//! What one version of a vault object holds.

use certroll_core::certificate::{self, Certificate};
use certroll_core::id::{ObjectKind, SecretIdentifier};
use certroll_core::plan::{Form, Unreadable, VaultContent};

use crate::outside::Outside;
use crate::world::World;

/// A version of a vault certificate, by its metadata: no key is read.
pub(crate) async fn certificate(
    secret: &SecretIdentifier,
    outside: &Outside,
    world: &World,
) -> Result<VaultContent, Unreadable> {
    if let Some(content) = world.content(secret) {
        return Ok(content);
    }
    let object = outside
        .vaults
        .certificate(secret.vault(), secret.name(), Some(secret.version()))
        .await
        .map_err(|error| Unreadable::from(&error))?;
    let place = || secret.object(ObjectKind::Certificate);
    let leaf = Certificate::parse(&object.der)
        .map_err(|error| Unreadable::content(format!("`{}` version {}: {error}", place(), secret.version()), None))?;
    if object.thumbprint.is_some_and(|stated| stated != leaf.thumbprint()) {
        let reason = format!(
            "`{}` version {}: expected a certificate with the thumbprint {} that the vault states, found {}",
            place(),
            secret.version(),
            object.thumbprint.map_or_else(String::new, |stated| stated.to_string()),
            leaf.thumbprint()
        );
        return Err(Unreadable::content(reason, None));
    }
    let content = VaultContent::of_certificate(leaf);
    world.remember_content(secret, content.clone());
    Ok(content)
}

/// A version of a secret, opened. The key is dropped as soon as it is known to be there.
pub(crate) async fn secret(
    secret: &SecretIdentifier,
    outside: &Outside,
    world: &World,
) -> Result<VaultContent, Unreadable> {
    if let Some(content) = world.content(secret).filter(|content| content.form != Form::NotRead) {
        return Ok(content);
    }
    let object = outside
        .vaults
        .secret(secret.vault(), secret.name(), Some(secret.version()))
        .await
        .map_err(|error| Unreadable::from(&error))?;
    let opened = certificate::open(&object.value, object.content_type.as_deref()).map_err(|error| {
        let reason = format!("`{}` version {}: {error}", secret.object(ObjectKind::Secret), secret.version());
        let hint = "store the certificate again with `certroll upload`, or as a vault certificate".to_owned();
        Unreadable::content(reason, Some(hint))
    })?;
    let content = VaultContent::of_secret(opened);
    world.remember_content(secret, content.clone());
    Ok(content)
}
