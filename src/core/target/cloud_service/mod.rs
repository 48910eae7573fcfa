//! Azure Cloud Services (extended support): the one target that has a cscfg.

mod instances;
mod model;
mod network;
mod operation;
mod os_profile;

#[cfg(test)]
mod tests;

pub use instances::{InstanceState, RoleInstance};
pub(crate) use model::normalised_location;
pub use model::{CloudServiceModel, ModelError, ProvisioningState, PutBody, UpgradeMode};
pub use operation::{OperationFailure, OperationHandle, OperationStatus};
pub use os_profile::{OsProfile, SecretGroup, VaultCertificate};
