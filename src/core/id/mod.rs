//! Identifiers. Constructors parse: a value of one of these types is well formed, and compared as Azure compares it.

mod cloud_service;
mod parse;
mod public_address;
mod rollout;
mod thumbprint;
mod vault;

pub use cloud_service::{CloudServiceId, RoleName};
pub use parse::ParseIdError;
pub use public_address::PublicAddressId;
pub use rollout::RolloutId;
pub use thumbprint::Thumbprint;
pub(crate) use thumbprint::is_ignored_in_thumbprint;
pub use vault::{ObjectKind, ObjectName, SecretIdentifier, SourceVaultId, VaultName, VaultObject, VersionId};
