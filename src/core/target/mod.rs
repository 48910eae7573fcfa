//! What a certificate is carried to. One kind today. The next one, a VM scale set, has the same `osProfile.secrets` and
//! no cscfg: planning and judging, which still speak of a cscfg, have to be parted from it then.

pub mod cloud_service;
