//! What a certificate is carried to. One kind today; every match on it is exhaustive, so that the next kind (a VM
//! scale set, whose `osProfile.secrets` is the same) is found by the compiler.

pub mod cloud_service;
