//! What people read: help, summaries, messages.

mod check;
mod configuration;
mod discover;
mod doctor;
mod help;
mod inspect;
mod journal;
mod names;
mod people;
mod plan_and_apply;
mod status;
mod upload;

/// Compares with a file of `tests/snapshots`.
macro_rules! snapshot {
    ($name:expr, $text:expr) => {
        insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!($name, $text);
        });
    };
}
pub(crate) use snapshot;
