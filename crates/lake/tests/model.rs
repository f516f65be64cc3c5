//! Whatever is archived, merged and reopened in whatever order: the lake is the list of what was given to it.

mod common;

use common::{files, positions, row, scanned, selected};
use lake::{Lake, Row};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Act {
    /// Offers so many new rows, after so many that are known already.
    Append {
        new: i64,
        known: i64,
        days: i64,
    },
    Flush,
    Compact,
    /// Opens it again; the log gives back what was in memory.
    Reopen {
        orphan: bool,
    },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0_i64..30, 0_i64..20, 0_i64..2).prop_map(|(new, known, days)| Act::Append { new, known, days }),
        4 => Just(Act::Flush),
        2 => Just(Act::Compact),
        1 => any::<bool>().prop_map(|orphan| Act::Reopen { orphan }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_lake_is_the_list_of_what_was_appended(acts in proptest::collection::vec(act(), 1..40)) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut lake = Lake::open(dir.path()).expect("the lake opens");
        let mut log: Vec<Row> = Vec::new();
        for act in &acts {
            match act {
                Act::Append { new, known, days } => {
                    let next = log.len() as i64 + 1;
                    log.extend((next..next + new).map(|position| {
                        let mut row = row(1 + position % 3, position);
                        row.received_at = row.received_at + days * model::time::DAY;
                        row
                    }));
                    let from = usize::try_from((next - 1 - known).max(0)).expect("not below 0");
                    lake.append(log[from..].to_vec()).expect("rows are taken");
                }
                Act::Flush => {
                    lake.flush().expect("the disk takes them");
                    prop_assert_eq!(lake.archived_position(), log.len() as i64);
                }
                Act::Compact => {
                    lake.compact().expect("files merge");
                }
                Act::Reopen { orphan } => {
                    let archived = lake.archived_position();
                    drop(lake);
                    if let (true, Some(part)) = (orphan, files(dir.path(), ".parquet").pop()) {
                        std::fs::copy(&part, part.with_file_name("part-999999999999.parquet"))
                            .expect("it is copied");
                    }
                    lake = Lake::open(dir.path()).expect("the lake opens");
                    prop_assert_eq!(lake.position(), archived);
                    let from = usize::try_from(archived).expect("not below 0");
                    lake.append(log[from..].to_vec()).expect("rows are taken");
                }
            }
            prop_assert_eq!(lake.position(), log.len() as i64);
            for workspace in 1..=3 {
                let naive: Vec<(i64, String)> = log
                    .iter()
                    .filter(|row| row.workspace == workspace)
                    .map(|row| (row.position, row.properties.clone()))
                    .collect();
                prop_assert_eq!(scanned(&lake, workspace), naive);
            }
        }
        for workspace in 1..=4 {
            prop_assert_eq!(selected(&lake, workspace), positions(&lake, workspace));
        }
    }
}
