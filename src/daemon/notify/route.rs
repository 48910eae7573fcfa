//! Which channels a notice is for.

use certroll_core::notice::Notice;
use certroll_journal::Route;

use crate::config::ChannelSettings;

/// The channels that a notice is for, by its kind and by how much it asks of people.
pub(super) fn routes(notice: &Notice, channels: &[ChannelSettings]) -> Vec<Route> {
    channels
        .iter()
        .filter(|channel| channel.kinds.contains(&notice.kind) && notice.severity >= channel.least_severity)
        .map(|channel| Route { channel: channel.name.clone(), silent_for: channel.repeat_after })
        .collect()
}
