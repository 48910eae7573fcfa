//! `[admin]` and `[monitoring]`: where a running certroll can be asked.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::check::Checker;

/// `[admin]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdminKeys {
    /// The Unix socket by which people ask the running daemon.
    socket: At<String>,
}

/// `[monitoring]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MonitoringKeys {
    /// The address of `/livez`, `/readyz` and `/metrics`.
    listen: Option<At<String>>,
}

/// Where people ask the running daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// The socket, made with mode 0600.
    pub socket: PathBuf,
}

/// Where monitoring asks the running daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitoringSettings {
    /// The address; none where nobody is to ask.
    pub listen: Option<SocketAddr>,
}

/// Longest path that a Unix socket can have, less the byte that ends it (`sun_path` of unix(7)).
const SOCKET_PATH: usize = 107;

pub(crate) fn check_admin(keys: &AdminKeys, checker: &mut Checker<'_>) -> Option<AdminSettings> {
    let socket = checker.path(&keys.socket)?;
    let length = socket.as_os_str().len();
    if length > SOCKET_PATH {
        checker
            .error(&keys.socket.span, format!("the path of the socket has {length} bytes"))
            .expect(format!("at most {SOCKET_PATH}, the limit of Unix sockets"));
        return None;
    }
    Some(AdminSettings { socket })
}

pub(crate) fn check_monitoring(
    keys: &MonitoringKeys,
    checker: &mut Checker<'_>,
) -> Option<MonitoringSettings> {
    let Some(at) = &keys.listen else { return Some(MonitoringSettings { listen: None }) };
    match at.value.parse() {
        Ok(address) => Some(MonitoringSettings { listen: Some(address) }),
        Err(_) => {
            checker
                .error(&at.span, format!("`{}` is no address to listen at", at.value))
                .expect("an IP address and a port, such as `127.0.0.1:9460` or `[::]:9460`");
            None
        }
    }
}
