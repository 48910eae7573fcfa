//! What services that are known lack, as comments: each line belongs to a place in a file that only its author knows, so that
//! a careless copy must do no harm.

use certroll_core::discover::{Additions, EntryAddition, Source};

use super::Told;
use super::text::{Page, cannot_be_read, inline, mapping, mode, probes, unresolved};

/// Service by service; nothing where nothing is new.
pub(super) fn additions(told: &Told) -> String {
    let mut page = Page::default();
    for additions in &told.additions {
        page.blank();
        added(&mut page, additions);
    }
    for (service, not) in &told.not_compared {
        page.blank();
        let hint = not.hint.as_ref().map(|hint| format!(" To mend it: {hint}")).unwrap_or_default();
        page.comment(&format!("NOT COMPARED: cloud service `{service}`: {}.{hint}", not.reason));
    }
    page.0
}

fn added(page: &mut Page, additions: &Additions) {
    page.comment(&format!(
        "Cloud service `{}` is known. What is new belongs to its `[[service]]`:",
        additions.service.name()
    ));
    page.example(&format!("id = {}", inline(additions.service.to_string())));
    if let Some((mode_now, why)) = &additions.mode {
        page.line("#");
        page.comment(&format!("To change: {why}."));
        page.example(&format!("mode = {}", inline(mode(*mode_now))));
    }
    for entry in &additions.entries {
        page.line("#");
        entry_addition(page, entry);
    }
    if !additions.unread.is_empty() {
        page.line("#");
        cannot_be_read(page, &additions.unread);
    }
    let mut block = Page::default();
    for finding in &additions.certificates {
        match &finding.source {
            Source::Mapped(mapped) => mapping(&mut block, finding, mapped),
            Source::Unresolved { .. } => unresolved(&mut block, finding, &additions.unread),
            Source::Followed { .. } | Source::Left { .. } => {}
        }
    }
    probes(&mut block, &additions.probes);
    for line in block.0.lines() {
        match line.starts_with('#') {
            true => page.line(line),
            false => page.line(&format!("# {line}")),
        }
    }
}

fn entry_addition(page: &mut Page, entry: &EntryAddition) {
    let of = entry.role.as_ref().map(|role| format!(" of role `{role}`")).unwrap_or_default();
    if let Some(newer) = &entry.source {
        page.comment(&format!(
            "To change in the `[[service.certificate]]` for `{}`{of}, which names `{}`: {}.",
            entry.name, newer.instead_of, newer.mapped.why
        ));
        if let Some(decide) = &newer.mapped.decide {
            page.comment(&format!("TO DECIDE: {decide}."));
        }
        page.example(&format!("source = {}", inline(newer.mapped.object.to_string())));
        if let Some(vault) = &newer.mapped.source_vault {
            page.example(&format!("source_vault = {}", inline(vault.as_str())));
        }
    }
    if !entry.settings.is_empty() {
        page.comment(&format!(
            "To add to `settings` in the `[[service.certificate]]` for `{}`{of}: they repeat its thumbprint and have to \
             change with it.",
            entry.name
        ));
        page.example(&format!("settings = {}", inline(entry.settings.clone())));
    }
}
