//! What one version of a vault object holds.

use certroll_core::certificate::{self, Certificate};
use certroll_core::id::{ObjectKind, SecretIdentifier};
use certroll_core::plan::{Form, Unreadable, VaultContent};
use certroll_core::ports::{CertificateObject, SecretObject};

use crate::outside::Outside;
use crate::world::World;

/// A version of a vault certificate, by its metadata: no key is read.
pub(crate) async fn certificate(
    secret: &SecretIdentifier,
    outside: &Outside,
    world: &World,
) -> Result<VaultContent, Unreadable> {
    if let Some(content) = world.content(secret) {
        return content;
    }
    if let Some(content) = recalled(secret, outside, world).await {
        return Ok(content);
    }
    let object = outside
        .vaults
        .certificate(secret.vault(), secret.name(), Some(secret.version()))
        .await
        .map_err(|error| Unreadable::from(&error))?;
    let content = understood(secret, &object);
    world.remember_content(secret, content.clone());
    content
}

/// Keeps what a vault certificate is that was read for its version: nobody has to ask for it again.
pub(crate) fn remember_met(object: &CertificateObject, world: &World) {
    // What was opened tells more.
    if world.content(&object.secret).is_none() {
        world.remember_content(&object.secret, understood(&object.secret, object));
    }
}

fn understood(secret: &SecretIdentifier, object: &CertificateObject) -> Result<VaultContent, Unreadable> {
    let place = format!("`{}` version {}", secret.object(ObjectKind::Certificate), secret.version());
    let leaf = Certificate::parse(&object.der)
        .map_err(|error| Unreadable::content(format!("{place}: {error}"), None))?;
    match object.thumbprint {
        Some(stated) if stated != leaf.thumbprint() => {
            let found = leaf.thumbprint();
            let reason = format!(
                "{place}: expected a certificate with the thumbprint {stated} that the vault states, found {found}"
            );
            Err(Unreadable::content(reason, None))
        }
        _ => Ok(VaultContent::of_certificate(leaf)),
    }
}

/// A version of a secret, opened. The key is dropped as soon as it is known to be there.
pub(crate) async fn secret(
    secret: &SecretIdentifier,
    outside: &Outside,
    world: &World,
) -> Result<VaultContent, Unreadable> {
    let known = world.content(secret);
    if let Some(content) =
        known.filter(|known| known.as_ref().map_or(true, |content| content.form != Form::NotRead))
    {
        return content;
    }
    if let Some(content) = recalled(secret, outside, world).await {
        return Ok(content);
    }
    let object = outside
        .vaults
        .secret(secret.vault(), secret.name(), Some(secret.version()))
        .await
        .map_err(|error| Unreadable::from(&error))?;
    // Key derivation of a hostile file takes seconds within its limits: not on a thread that others wait for.
    let opened = tokio::task::spawn_blocking(move || opened(&object)).await;
    let content = opened.unwrap_or_else(|fault| {
        Err(Unreadable::content(
            format!("`{}`: reading it failed: {fault}", secret.object(ObjectKind::Secret)),
            None,
        ))
    });
    // That a version cannot be understood is not kept: a later certroll may understand it.
    if let (Ok(content), Some(versions)) = (&content, &outside.versions) {
        versions.remember(secret, content).await;
    }
    world.remember_content(secret, content.clone());
    content
}

/// What an earlier process found in a version, opened. It never changes.
async fn recalled(secret: &SecretIdentifier, outside: &Outside, world: &World) -> Option<VaultContent> {
    let content = outside.versions.as_ref()?.recall(secret).await?;
    world.remember_content(secret, Ok(content.clone()));
    Some(content)
}

fn opened(object: &SecretObject) -> Result<VaultContent, Unreadable> {
    let opened = certificate::open(&object.value, object.content_type.as_deref()).map_err(|error| {
        let SecretObject { identifier, .. } = object;
        let place = identifier.object(ObjectKind::Secret);
        let hint = "store it again: as a vault certificate, or as base64 of JSON with `data` (base64 of a PFX), \
                    `dataType` (`pfx`) and `password`";
        Unreadable::content(format!("`{place}` version {}: {error}", identifier.version()), Some(hint.to_owned()))
    })?;
    Ok(VaultContent::of_secret(opened))
}
