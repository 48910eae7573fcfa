//! What a caller may do over Resource Manager, as data.

/// The rights of one caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Read cloud services, their instances and update domains.
    pub read: bool,
    /// Read role instances, where `read` is set: a custom role may leave them out, since they are an action of their own.
    pub read_instances: bool,
    /// Write cloud services, walk update domains, start, stop and restart.
    pub write: bool,
    /// Read vaults as resources.
    pub read_vaults: bool,
    /// Read public IP addresses.
    pub read_addresses: bool,
    /// `Microsoft.KeyVault/vaults/deploy/action`.
    pub deploy: Deploy,
}

/// From which vaults a caller may deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deploy {
    /// All, as Contributor.
    AllVaults,
    /// These, by name. Virtual Machine Contributor has none.
    Vaults(Vec<String>),
}

impl Rights {
    /// Everything.
    pub fn all() -> Self {
        Self {
            read: true,
            read_instances: true,
            write: true,
            read_vaults: true,
            read_addresses: true,
            deploy: Deploy::AllVaults,
        }
    }

    /// Nothing.
    pub fn none() -> Self {
        Self {
            read: false,
            read_instances: false,
            write: false,
            read_vaults: false,
            read_addresses: false,
            deploy: Deploy::Vaults(Vec::new()),
        }
    }

    pub(crate) fn may_deploy(&self, vault: &str) -> bool {
        match &self.deploy {
            Deploy::AllVaults => true,
            Deploy::Vaults(names) => names.iter().any(|name| name.eq_ignore_ascii_case(vault)),
        }
    }
}
