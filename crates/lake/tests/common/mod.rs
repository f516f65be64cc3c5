//! Rows, ways to read them back, and the runtime that the tests of the lake share.

#![allow(dead_code, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};

use lake::{Answer, Error, Lake, QueryLimits, Row};
use model::{Timestamp, Value};

/// An event of the first day; its name repeats, its properties tell it from all others.
pub fn row(workspace: i64, position: i64) -> Row {
    Row {
        position,
        workspace,
        profile_id: position % 7,
        message_id: format!("m{position}"),
        call: "track".to_owned(),
        name: ["Order Completed", "Größe gewählt", "Page Viewed"][(position % 3) as usize].to_owned(),
        user_id: (position % 2 == 0).then(|| format!("u{position}")),
        anonymous_id: None,
        timestamp: Timestamp::from_secs(1_800_000_000 - position),
        original_timestamp: Timestamp::from_secs(1_800_000_000),
        received_at: Timestamp::from_secs(1_800_000_000),
        properties: format!(r#"{{"at":{position},"workspace":{workspace}}}"#),
        context: "{}".to_owned(),
        trust: "server".to_owned(),
        backfill: false,
    }
}

/// Events of workspace 1.
pub fn rows(positions: impl IntoIterator<Item = i64>) -> Vec<Row> {
    positions.into_iter().map(|position| row(1, position)).collect()
}

/// What a scan passes, in the order of positions.
pub fn scanned(lake: &Lake, workspace: i64) -> Vec<(i64, String)> {
    let mut out = Vec::new();
    lake.scan(workspace, &[], i64::MAX, true, &mut |row| {
        out.push((row.position, row.properties.to_owned()));
    })
    .expect("the files can be read");
    out.sort();
    out
}

/// The positions of a scan.
pub fn positions(lake: &Lake, workspace: i64) -> Vec<i64> {
    scanned(lake, workspace).into_iter().map(|(position, _)| position).collect()
}

/// Runs a query to its end.
pub fn ask(lake: &Lake, workspace: i64, sql: &str, limits: QueryLimits) -> Result<Answer, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts");
    let answer = runtime.block_on(lake.query(workspace, sql, Vec::new(), &limits));
    runtime.shutdown_background();
    answer
}

/// The rows of an answer that must come.
pub fn answer(lake: &Lake, workspace: i64, sql: &str) -> Vec<Vec<Value>> {
    match ask(lake, workspace, sql, QueryLimits::default()) {
        Ok(answer) => answer.rows,
        Err(error) => panic!("{sql}: {error}"),
    }
}

/// The positions by SQL.
pub fn selected(lake: &Lake, workspace: i64) -> Vec<i64> {
    let rows = answer(lake, workspace, "select position from events order by position");
    rows.iter().map(|row| row[0].as_i64().expect("a position is a number")).collect()
}

/// The files below a directory that end so, in order.
pub fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).expect("the directory is there") {
            let path = entry.expect("the entry can be read").path();
            if path.is_dir() {
                open.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                out.push(path);
            }
        }
    }
    out.sort();
    out
}
