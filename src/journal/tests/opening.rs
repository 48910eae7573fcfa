//! Who may open a journal, what is refused, and what trouble with the disk looks like.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use certroll_core::ports::{JournalError, JournalFault, RolloutJournal};
use rusqlite::Connection;

use super::samples::{Course, Story, at};
use super::{events, open, read, told, who, write};
use crate::{DurableJournal, VersionStore, Writer};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The errors of the writer and the reader.
fn refused(directory: &Path) -> [JournalError; 2] {
    [DurableJournal::open(directory, &who()).unwrap_err(), DurableJournal::read(directory).unwrap_err()]
}

#[tokio::test]
async fn nobody_else_may_look_inside() {
    let above = tempfile::tempdir().unwrap();
    let directory = above.path().join("var/certroll");
    let journal = open(&directory);
    write(&journal, &events(Story::new("shop", 0, 1, 2).events(Course::Unfinished))).await;
    let _versions = VersionStore::open(&directory).unwrap();
    assert_eq!(mode(&above.path().join("var")), 0o700);
    assert_eq!(mode(&directory), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).unwrap() {
        let entry = entry.unwrap();
        names.push(entry.file_name().into_string().unwrap());
        assert_eq!(mode(&entry.path()), 0o600, "{names:?}");
    }
    names.sort();
    assert_eq!(names, ["journal.db", "journal.db-shm", "journal.db-wal", "lock", "versions.db"]);
}

#[test]
fn an_open_directory_is_closed_if_it_is_ours_alone() {
    let directory = tempfile::tempdir().unwrap();
    set_mode(directory.path(), 0o755);
    drop(open(directory.path()));
    assert_eq!(mode(directory.path()), 0o700);
    // As after a backup was put back.
    set_mode(directory.path(), 0o750);
    set_mode(&directory.path().join("journal.db"), 0o644);
    drop(open(directory.path()));
    assert_eq!(mode(directory.path()), 0o700);
    assert_eq!(mode(&directory.path().join("journal.db")), 0o600);
}

#[test]
fn a_directory_that_others_use_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    set_mode(directory.path(), 0o777);
    fs::write(directory.path().join("letter.txt"), "").unwrap();
    let error = DurableJournal::open(directory.path(), &who()).unwrap_err();
    assert_eq!(error.kind, JournalFault::Denied);
    assert!(error.message.contains("has the mode 0777 and holds `letter.txt`"), "{error}");
    assert!(error.hint.unwrap().contains("chmod 700"));
    assert_eq!(mode(directory.path()), 0o777);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn files_belong_to_the_owner_of_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    // Only root can give a directory away, and only root makes files in another's directory.
    if std::os::unix::fs::chown(directory.path(), Some(4321), Some(4321)).is_err() {
        return;
    }
    let _journal = open(directory.path());
    for name in ["journal.db", "lock"] {
        assert_eq!(fs::metadata(directory.path().join(name)).unwrap().uid(), 4321, "{name}");
    }
}

#[test]
fn a_symbolic_link_is_not_followed() {
    for name in ["journal.db", "lock", "journal.db.new"] {
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::NamedTempFile::new().unwrap();
        fs::write(elsewhere.path(), "precious").unwrap();
        symlink(elsewhere.path(), directory.path().join(name)).unwrap();
        let error = DurableJournal::open(directory.path(), &who()).unwrap_err();
        assert_eq!(error.kind, JournalFault::Denied, "{error}");
        assert!(error.message.contains(&format!("{name}` is not a plain file")), "{error}");
        assert_eq!(fs::read_to_string(elsewhere.path()).unwrap(), "precious");
    }
}

#[test]
fn a_file_in_place_of_the_directory() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for error in refused(file.path()) {
        assert_eq!(error.kind, JournalFault::Failed);
        assert!(error.message.ends_with("is not a directory"), "{error}");
    }
}

#[test]
fn a_reader_makes_nothing() {
    let above = tempfile::tempdir().unwrap();
    for directory in [above.path().join("absent"), above.path().to_owned()] {
        let error = DurableJournal::read(&directory).unwrap_err();
        assert_eq!(error.kind, JournalFault::Absent, "{error}");
    }
    assert_eq!(fs::read_dir(above.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_journal_of_a_later_version_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    write(&open(directory.path()), &super::telling::mixed()).await;
    let file = directory.path().join("journal.db");
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 2).unwrap();
    let before = fs::read(&file).unwrap();
    for error in refused(directory.path()) {
        assert_eq!(error.kind, JournalFault::Newer);
        assert!(error.message.contains("expected format 1 or earlier, found 2"), "{error}");
        assert!(error.hint.is_some());
    }
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn what_is_no_journal_stays_as_it_is() {
    let another = tempfile::NamedTempFile::new().unwrap();
    Connection::open(another.path()).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    let another = fs::read(another.path()).unwrap();
    for (content, expected) in [
        (b"a letter, much longer than the first bytes of a database".as_slice(), "file is not a database"),
        (b"", "an empty one"),
        (&another, "another SQLite database"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("journal.db");
        fs::write(&file, content).unwrap();
        for error in refused(directory.path()) {
            assert_eq!(error.kind, JournalFault::Corrupt);
            assert!(error.message.contains(expected), "{error}");
            assert!(error.message.contains("journal.db`"), "{error}");
            assert!(error.hint.unwrap().contains("backup"));
        }
        assert_eq!(fs::read(&file).unwrap(), content);
    }
}

#[tokio::test]
async fn a_log_without_its_journal_is_not_taken_for_a_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    write(&journal, &super::telling::mixed()).await;
    let log = fs::read(directory.path().join("journal.db-wal")).unwrap();
    drop(journal);
    fs::remove_file(directory.path().join("journal.db")).unwrap();
    fs::write(directory.path().join("journal.db-wal"), log).unwrap();
    let error = DurableJournal::open(directory.path(), &who()).unwrap_err();
    assert_eq!(error.kind, JournalFault::Corrupt);
    assert!(
        error.message.contains("it is missing, while `journal.db-wal` that belongs to it is there"),
        "{error}"
    );
}

#[tokio::test]
async fn a_journal_that_was_half_made_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("journal.db.new"), "SQLite format 3, and no more").unwrap();
    fs::write(directory.path().join("journal.db.new-journal"), "half").unwrap();
    let journal = open(directory.path());
    assert_eq!(journal.verify().await.unwrap().entries, 0);
    assert!(!directory.path().join("journal.db.new").exists());
}

#[test]
fn who_comes_second_is_told_who_is_first() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path());
    let second = Writer { program: "certroll apply".to_owned(), ..who() };
    let error = DurableJournal::open(directory.path(), &second).unwrap_err();
    assert_eq!(error.kind, JournalFault::Held);
    let expected = format!(
        "the journal in `{}` is held by certroll (process {} on host `build-7`) since 2026-03-01T02:00:00Z",
        directory.path().display(),
        std::process::id()
    );
    assert_eq!(error.message, expected);
    assert!(error.hint.is_some());
    drop(first);
    assert_eq!(fs::read_to_string(directory.path().join("lock")).unwrap(), "");
    drop(DurableJournal::open(directory.path(), &second).unwrap());
}

#[tokio::test]
async fn a_full_disk_is_told_and_written_again_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let records = Story::new("shop", 0, 1, 2).events(Course::Verified);
    write(&journal, &events(records[..3].to_vec())).await;
    let before = told(&journal).await;
    let room = |pages: i64| {
        journal.with_connection(|connection| {
            connection
                .pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0))
                .unwrap()
        })
    };
    let pages = room(1);
    let mut large = Story::new("api", 0, 1, 2);
    large.size = 100_000;
    let large = large.events(Course::Unfinished);
    for _ in 0..2 {
        let error = journal.append(&large[0]).await.unwrap_err();
        assert_eq!(error.kind, JournalFault::Full, "{error}");
        assert!(error.message.contains("journal.db`: writing the journal: the disk is full"), "{error}");
        assert!(error.hint.unwrap().starts_with("make room on the disk"));
        assert_eq!(told(&journal).await, before);
    }
    assert!(room(1 << 30) > pages);
    write(&journal, &events(large.clone())).await;
    write(&journal, &events(records[3..].to_vec())).await;
    assert_eq!(journal.unfinished().await.unwrap(), [large]);
    assert_eq!(journal.verify().await.unwrap().rollouts, 2);
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let records = Story::new("shop", 0, 1, 2).events(Course::Unfinished);
    let writable = |writable: bool| {
        journal
            .with_connection(|connection| connection.pragma_update(None, "query_only", !writable).unwrap());
    };
    writable(false);
    let error = journal.append(&records[0]).await.unwrap_err();
    assert_eq!(error.kind, JournalFault::ReadOnly, "{error}");
    assert!(error.hint.is_some());
    assert!(journal.standings().await.unwrap().needed().is_empty());
    writable(true);
    write(&journal, &events(records)).await;
    assert_eq!(journal.standings().await.unwrap().needed().len(), 1);
}

#[tokio::test]
async fn another_program_that_keeps_the_file_busy_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    journal.with_connection(|connection| connection.busy_timeout(Duration::ZERO).unwrap());
    let other = Connection::open(directory.path().join("journal.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let records = Story::new("shop", 0, 1, 2).events(Course::Unfinished);
    let error = journal.append(&records[0]).await.unwrap_err();
    assert_eq!(error.kind, JournalFault::Held, "{error}");
    assert!(error.message.contains("another program keeps it busy"), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    write(&journal, &events(records)).await;
}

#[tokio::test]
async fn nothing_is_written_to_a_journal_that_was_taken_away() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    let records = Story::new("shop", 0, 1, 2).events(Course::Unfinished);
    write(&journal, &events(records[..2].to_vec())).await;
    let (file, away) = (directory.path().join("journal.db"), directory.path().join("away"));
    fs::rename(&file, &away).unwrap();
    let error = journal.append(&records[2]).await.unwrap_err();
    assert!(error.message.contains("journal.db`: looking at the journal: "), "{error}");
    fs::write(&file, "").unwrap();
    let error = journal.append(&records[2]).await.unwrap_err();
    assert_eq!(error.kind, JournalFault::Corrupt);
    assert!(error.message.contains("it was exchanged while it was open"), "{error}");
    fs::rename(&away, &file).unwrap();
    write(&journal, &events(records[2..].to_vec())).await;
    assert_eq!(journal.unfinished().await.unwrap(), [records]);
}

/// Keeps SQLite from making the file by which readers and a writer agree, as a disk does that cannot be written; it opens
/// no symbolic link.
fn without_shared_memory(directory: &Path) {
    let _ = fs::remove_file(directory.join("journal.db-shm"));
    symlink("nowhere", directory.join("journal.db-shm")).unwrap();
}

#[tokio::test]
async fn a_journal_is_read_where_nothing_can_be_written() {
    let directory = tempfile::tempdir().unwrap();
    // Characters that mean something in a URI.
    let strange = directory.path().join("a?b#c%41 ü");
    let journal = open(&strange);
    write(&journal, &super::telling::mixed()).await;
    let (expected, verified) = (told(&journal).await, journal.verify().await.unwrap());
    drop(journal);
    without_shared_memory(&strange);
    let reader = read(&strange);
    assert_eq!(told(&reader).await, expected);
    assert_eq!(reader.verify().await.unwrap(), verified);
    // It is read without locks. Somebody writes after all: what was read then may be of two times.
    fs::write(strange.join("journal.db-wal"), "more").unwrap();
    let error = reader.unfinished().await.unwrap_err();
    assert_eq!(error.kind, JournalFault::Held);
    assert!(error.message.contains("was written while it was read without locks"), "{error}");
}

#[tokio::test]
async fn entries_that_only_the_log_has_are_not_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    write(&journal, &super::telling::mixed()).await;
    let copy = tempfile::tempdir().unwrap();
    for name in ["journal.db", "journal.db-wal"] {
        fs::copy(directory.path().join(name), copy.path().join(name)).unwrap();
    }
    without_shared_memory(copy.path());
    let error = DurableJournal::read(copy.path()).unwrap_err();
    assert_eq!(error.kind, JournalFault::Denied);
    assert!(
        error.message.contains("journal.db-wal` has entries that are not in `journal.db` yet"),
        "{error}"
    );
    assert!(error.hint.unwrap().contains("copy the directory"));
}

#[tokio::test]
async fn a_copy_by_sqlite_itself_is_a_journal() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path());
    write(&journal, &super::telling::mixed()).await;
    let copy = tempfile::tempdir().unwrap();
    Connection::open(directory.path().join("journal.db"))
        .unwrap()
        .execute("VACUUM INTO ?1", [copy.path().join("journal.db").to_str().unwrap()])
        .unwrap();
    assert_eq!(told(&open(copy.path())).await, told(&journal).await);
    assert_eq!(read(copy.path()).verify().await.unwrap().last, Some(at(6000)));
}
