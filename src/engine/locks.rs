//! One rollout a service at a time.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use certroll_core::id::CloudServiceId;

/// Which services are being changed by this process.
#[derive(Clone, Debug, Default)]
pub struct ServiceLocks {
    held: Arc<Mutex<HashSet<CloudServiceId>>>,
}

/// The right to change one service, until it is dropped.
#[derive(Debug)]
pub struct ServicePermit {
    service: CloudServiceId,
    held: Arc<Mutex<HashSet<CloudServiceId>>>,
}

impl ServiceLocks {
    /// No service is held.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a service, unless it is held.
    pub fn acquire(&self, service: &CloudServiceId) -> Option<ServicePermit> {
        let taken = self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(service.clone());
        taken.then(|| ServicePermit { service: service.clone(), held: Arc::clone(&self.held) })
    }
}

impl ServicePermit {
    /// The service.
    pub fn service(&self) -> &CloudServiceId {
        &self.service
    }
}

impl Drop for ServicePermit {
    fn drop(&mut self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.service);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_permit_a_service_whatever_its_case() {
        let id = |group: &str| -> CloudServiceId {
            format!("/subscriptions/s/resourceGroups/{group}/providers/Microsoft.Compute/cloudServices/shop").parse().unwrap()
        };
        let locks = ServiceLocks::new();
        let permit = locks.acquire(&id("shop")).unwrap();
        assert!(locks.acquire(&id("SHOP")).is_none());
        assert!(locks.acquire(&id("other")).is_some());
        drop(permit);
        assert!(locks.acquire(&id("SHOP")).is_some());
    }
}
