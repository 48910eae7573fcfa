//! What commands that ask the running daemon have in common.

use super::exit::Exit;
use super::failure::Failure;
use crate::admin::client::AskError;

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Absent { .. } => Self::new(Exit::Unavailable, error).hint(
                "start it by `certroll run` or `systemctl start certroll`; `certroll plan` and `certroll apply` work \
                 without it",
            ),
            AskError::Denied { .. } => Self::new(Exit::NoPerm, error)
                .hint("ask as the user that certroll runs as, such as by `sudo -u certroll`"),
            AskError::Broken { .. } => Self::new(Exit::Protocol, error)
                .hint("is the command of another version than the daemon?"),
            AskError::Refused(ref refusal) => {
                let exit = match refusal.status {
                    400 | 404 => Exit::Usage,
                    409 => Exit::DataErr,
                    503 => Exit::TempFail,
                    507 => Exit::IoErr,
                    _ => Exit::Software,
                };
                let hint = refusal.hint.clone();
                Self { hint, ..Self::new(exit, error) }
            }
        }
    }
}
