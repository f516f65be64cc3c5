//! Each log position is in the lake exactly once: after repeats, crashes, merges and while others read.

mod common;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{answer, ask, files, positions, row, rows, scanned, selected};
use lake::{Error, Lake, QueryLimits};
use model::Timestamp;
use serde_json::json;

fn open(dir: &Path) -> Lake {
    Lake::open(dir).expect("the lake opens")
}

fn archive(lake: &Lake, range: impl IntoIterator<Item = i64>) {
    lake.append(rows(range)).expect("rows are taken");
    lake.flush().expect("the disk takes them");
}

/// Scan, SQL rows and SQL counts agree that there is each of these once.
fn check(lake: &Lake, expected: impl IntoIterator<Item = i64>) {
    let expected: Vec<i64> = expected.into_iter().collect();
    assert_eq!(positions(lake, 1), expected, "by scan");
    assert_eq!(selected(lake, 1), expected, "by SQL");
    let counts = answer(lake, 1, "select count(*), count(distinct position) from events");
    assert_eq!(counts, [[json!(expected.len()), json!(expected.len())]], "by count");
}

#[test]
fn a_range_archived_twice_is_there_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = open(dir.path());
    archive(&lake, 1..=50);
    archive(&lake, 1..=50);
    check(&lake, 1..=50);
    lake.append(rows(30..=60)).expect("rows are taken");
    lake.append(rows(30..=60)).expect("rows are taken");
    check(&lake, 1..=60);
    lake.flush().expect("the disk takes them");
    lake.flush().expect("nothing is left to write");
    assert_eq!(lake.archived_position(), 60);
    drop(lake);
    let lake = open(dir.path());
    assert_eq!(lake.position(), 60);
    archive(&lake, 1..=61);
    check(&lake, 1..=61);
    assert_eq!(files(dir.path(), ".parquet").len(), 3);
}

#[test]
fn rows_in_memory_are_seen_at_once_and_gone_after_a_crash_until_appended_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = open(dir.path());
    archive(&lake, 1..=5);
    lake.append(rows(6..=9)).expect("rows are taken");
    check(&lake, 1..=9);
    assert_eq!((lake.archived_position(), lake.position()), (5, 9));
    drop(lake);
    let lake = open(dir.path());
    assert_eq!((lake.archived_position(), lake.position()), (5, 5));
    lake.append(rows(1..=9)).expect("rows are taken");
    check(&lake, 1..=9);
}

#[test]
fn every_column_survives_the_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = open(dir.path());
    let sql = "select * from events order by position";
    let mut given = rows(1..=4);
    given[1].properties = r#"{"text":"\u0000 'quoted' – ü"}"#.to_owned();
    given[2].timestamp = Timestamp::from_micros(-1);
    given[3].anonymous_id = Some(String::new());
    given[3].backfill = true;
    lake.append(given).expect("rows are taken");
    let before = answer(&lake, 1, sql);
    lake.flush().expect("the disk takes them");
    assert_eq!(answer(&lake, 1, sql), before);
    assert_eq!(answer(&open(dir.path()), 1, sql), before);
    assert_eq!(before[0].len(), 15);
}

#[test]
fn a_data_file_without_its_manifest_is_ignored_and_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = open(dir.path());
    archive(&lake, 1..=10);
    archive(&lake, 11..=20);
    drop(lake);
    // As after a crash between the data file and the manifest.
    fs::remove_file(files(dir.path(), ".json").last().expect("a manifest")).expect("it goes");
    let orphans = files(dir.path(), ".parquet");
    assert_eq!(orphans.len(), 2);
    let torn = orphans[1].with_file_name("part-000000000099.parquet");
    fs::write(&torn, b"PAR1 half a file").expect("it is written");

    let lake = open(dir.path());
    check(&lake, 1..=10);
    assert_eq!(lake.position(), 10);
    assert_eq!(files(dir.path(), ".parquet"), orphans[..1], "orphans go, the others stay");
    archive(&lake, 1..=20);
    check(&lake, 1..=20);
    check(&open(dir.path()), 1..=20);
}

#[test]
fn a_torn_manifest_does_not_count_wherever_it_was_torn() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = open(dir.path());
    archive(&lake, 1..=10);
    archive(&lake, 11..=20);
    drop(lake);
    let manifest = files(dir.path(), ".json").pop().expect("a manifest");
    let part = files(dir.path(), ".parquet").pop().expect("a file");
    let (whole, data) = (fs::read(&manifest).expect("it is there"), fs::read(&part).expect("it is there"));
    assert!(!whole.is_ascii(), "the cuts go through letters of several bytes too");
    for cut in 0..whole.len() {
        fs::write(&manifest, &whole[..cut]).expect("it is written");
        fs::write(&part, &data).expect("it is written");
        let lake = open(dir.path());
        assert_eq!(positions(&lake, 1), (1..=10).collect::<Vec<_>>(), "cut at {cut}");
        assert!(!part.exists(), "cut at {cut}: the orphan goes");
        assert!(!manifest.exists(), "cut at {cut}: the torn manifest goes");
    }
    fs::write(&manifest, vec![0; whole.len()]).expect("it is written");
    let lake = open(dir.path());
    archive(&lake, 1..=20);
    check(&lake, 1..=20);
    drop(lake);
    check(&open(dir.path()), 1..=20);
}

#[test]
fn files_are_kept_when_no_manifest_can_be_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = open(dir.path());
    for from in [1, 11, 21, 31, 41] {
        archive(&lake, from..from + 10);
    }
    drop(lake);
    let parts = files(dir.path(), ".parquet");
    for manifest in files(dir.path(), ".json") {
        fs::write(manifest, b"{").expect("it is written");
    }
    assert!(matches!(Lake::open(dir.path()), Err(Error::Corrupt(_))));
    assert_eq!(files(dir.path(), ".parquet"), parts);
}

#[test]
fn an_older_manifest_does_not_count_when_its_files_are_gone() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = open(dir.path());
    for from in [1, 11, 21, 31] {
        archive(&lake, from..from + 10);
    }
    lake.compact().expect("files merge");
    drop(lake);
    check(&open(dir.path()), 1..=40);
    let parts = files(dir.path(), ".parquet");
    assert_eq!(parts.len(), 1);
    let newest = files(dir.path(), ".json").pop().expect("a manifest");
    fs::write(newest, b"{").expect("it is written");
    assert!(matches!(Lake::open(dir.path()), Err(Error::Corrupt(_))));
    assert_eq!(files(dir.path(), ".parquet"), parts);
}

#[test]
fn a_flush_that_failed_leaves_the_rows_in_memory_and_doubles_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = open(dir.path());
    archive(&lake, 1..=10);
    lake.append(rows(11..=20)).expect("rows are taken");
    // The manifest cannot be put in place: a directory with something in it stands there.
    let blocked = dir.path().join("lake/manifest-000000000002.json");
    fs::create_dir_all(blocked.join("x")).expect("it is made");
    assert!(lake.flush().is_err());
    check(&lake, 1..=20);
    assert_eq!(lake.archived_position(), 10);
    lake.append(rows(21..=25)).expect("rows are taken");
    fs::remove_dir_all(&blocked).expect("it goes");
    lake.flush().expect("the disk takes them");
    check(&lake, 1..=25);
    drop(lake);
    check(&open(dir.path()), 1..=25);
}

#[test]
fn a_file_is_never_written_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = open(dir.path());
    lake.append(rows(1..=10)).expect("rows are taken");
    let blocked = dir.path().join("lake/manifest-000000000001.json");
    fs::create_dir_all(blocked.join("x")).expect("it is made");
    assert!(lake.flush().is_err());
    let first = files(dir.path(), ".parquet");
    let bytes = fs::read(&first[0]).expect("it is there");
    fs::remove_dir_all(&blocked).expect("it goes");
    archive(&lake, 1..=20);
    // A manifest that reached the disk although its write failed may name the first file.
    assert_eq!(fs::read(&first[0]).expect("it is still there"), bytes);
    check(&lake, 1..=20);
}

#[test]
fn compaction_keeps_exactly_the_same_rows() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = open(dir.path());
    let sql = "select * from events order by position";
    for part in 0..6 {
        let mut some = rows(part * 10 + 1..=part * 10 + 10);
        for row in &mut some {
            row.workspace = 1 + row.position % 2;
            row.received_at = row.received_at + (row.position % 2) * model::time::DAY;
        }
        lake.append(some).expect("rows are taken");
        lake.flush().expect("the disk takes them");
    }
    lake.append(rows(61..=63)).expect("rows are taken");
    let before = [1, 2].map(|workspace| (answer(&lake, workspace, sql), scanned(&lake, workspace)));
    assert_eq!((before[0].0.len(), before[1].0.len()), (33, 30));
    assert_eq!(lake.compact().expect("files merge"), 12);
    assert_eq!(lake.compact().expect("nothing is left to do"), 0);
    assert_eq!([1, 2].map(|workspace| (answer(&lake, workspace, sql), scanned(&lake, workspace))), before);
    lake.flush().expect("the disk takes them");
    drop(lake);
    let lake = open(dir.path());
    assert_eq!([1, 2].map(|workspace| (answer(&lake, workspace, sql), scanned(&lake, workspace))), before);
    assert_eq!(files(dir.path(), ".parquet").len(), 3, "what was merged is gone after a start");
}

#[test]
fn a_compaction_torn_by_a_crash_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = open(dir.path());
    for from in [1, 11, 21, 31] {
        archive(&lake, from..from + 10);
    }
    let parts = files(dir.path(), ".parquet");
    lake.compact().expect("files merge");
    drop(lake);
    let newest = files(dir.path(), ".json").pop().expect("a manifest");
    let text = fs::read(&newest).expect("it is there");
    fs::write(&newest, &text[..text.len() / 2]).expect("it is written");
    let lake = open(dir.path());
    assert_eq!(files(dir.path(), ".parquet"), parts);
    check(&lake, 1..=40);
    assert_eq!(lake.compact().expect("files merge"), 4);
    check(&lake, 1..=40);
}

#[test]
fn names_of_merged_files_are_still_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = open(dir.path());
    for position in 1..=4 {
        archive(&lake, [position]);
    }
    lake.compact().expect("files merge");
    let mut found = Vec::new();
    lake.scan(1, &["Größe gewählt".to_owned()], 3, false, &mut |row| {
        found.push((row.position, row.properties.to_owned()));
    })
    .expect("the file can be read");
    assert_eq!(found, [(1, "{}".to_owned())]);
}

#[test]
fn readers_see_every_row_once_while_others_append_flush_and_compact() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = open(dir.path());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = |by_sql: bool| {
            let mut reads = 0;
            while !done.load(Ordering::Acquire) || reads == 0 {
                let least = lake.position();
                let seen = if by_sql { selected(&lake, 1) } else { positions(&lake, 1) };
                assert!(seen.len() as i64 >= least, "{} of at least {least} rows", seen.len());
                assert!(seen.iter().copied().eq(1..=seen.len() as i64), "each once: {seen:?}");
                reads += 1;
            }
        };
        scope.spawn(move || reader(false));
        scope.spawn(move || reader(true));
        for at in 0..60 {
            let from = at * 5 + 1;
            lake.append(rows(from..from + 5)).expect("rows are taken");
            lake.append(rows(1..from + 3)).expect("repeats are left out");
            lake.flush().expect("the disk takes them");
            if at % 5 == 4 {
                lake.compact().expect("files merge");
            }
        }
        done.store(true, Ordering::Release);
    });
    check(&lake, 1..=300);
}

#[test]
fn a_directory_of_any_name_is_read_by_sql() {
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["with space", "a[1]b", "st*r", "50%25", "was?", "größe", "#x"] {
        let dir = dir.path().join(name);
        let lake = open(&dir);
        archive(&lake, 1..=3);
        let asked = ask(&lake, 1, "select count(*) from events", QueryLimits::default());
        assert_eq!(
            asked.map(|answer| answer.rows).map_err(|e| e.to_string()),
            Ok(vec![vec![json!(3)]]),
            "{name}"
        );
    }
}

#[test]
fn merged_profiles_are_resolved_in_scans_and_queries() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = open(dir.path());
    lake.append(vec![row(1, 1), row(1, 2)]).expect("rows are taken");
    lake.flush().expect("the disk takes them");
    lake.append(vec![row(1, 8), row(1, 3)]).expect("rows are taken");
    lake.add_aliases([(1, 2), (2, 40)].into_iter());
    assert_eq!(answer(&lake, 1, "select distinct profile_id from events"), [[json!(40)]]);
    let mut ids = Vec::new();
    lake.scan(1, &[], i64::MAX, false, &mut |row| ids.push(row.profile_id)).expect("it can be read");
    assert_eq!(ids, [40, 40, 40]);
}
