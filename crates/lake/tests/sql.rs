//! SQL from strangers: one workspace sees its own rows, changes nothing, reads no file, and ends.

mod common;

use common::{answer, ask, row, rows};
use lake::{ColumnType, Error, Lake, QueryLimits, Table, table_names_in};
use serde_json::json;

const CANARY: &str = "canary-of-workspace-2";

/// Workspaces 1 and 2, in files and in memory; every text of workspace 2 holds the canary.
fn two_workspaces() -> (tempfile::TempDir, Lake) {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = Lake::open(dir.path()).expect("the lake opens");
    for start in [1, 21, 41, 61, 81] {
        let some = (start..start + 20).map(|position| {
            let mut row = row(1 + position % 2, position);
            if row.workspace == 2 {
                row.profile_id += 1_000;
                row.message_id = format!("{CANARY}-{position}");
                row.name = format!("{CANARY}-{}", position % 3);
                row.user_id = Some(CANARY.to_owned());
                row.anonymous_id = Some(CANARY.to_owned());
                row.properties = format!(r#"{{"at":"{CANARY}"}}"#);
                row.context = format!(r#"{{"at":"{CANARY}"}}"#);
                row.trust = CANARY.to_owned();
            }
            row
        });
        lake.append(some.collect()).expect("rows are taken");
        if start < 81 {
            lake.flush().expect("the disk takes them");
        }
        if start == 61 {
            lake.compact().expect("files merge");
        }
    }
    (dir, lake)
}

fn refused(lake: &Lake, sql: &str) -> Error {
    match ask(lake, 1, sql, QueryLimits { seconds: 2, ..QueryLimits::default() }) {
        Ok(answer) => panic!("answered: {sql:.200}: {answer:?}"),
        Err(error) => {
            assert!(!error.to_string().contains(CANARY), "{sql:.200}: {error}");
            error
        }
    }
}

/// Refused as wrong, with a reason that holds this text.
fn invalid(lake: &Lake, sql: &str, reason: &str) {
    let error = refused(lake, sql);
    assert!(matches!(error, Error::Invalid(_)), "{sql:.200}: {error:?}");
    assert!(error.to_string().contains(reason), "{sql:.200}: {error}");
}

/// Refused or stopped at a limit.
fn limited(lake: &Lake, sql: &str) {
    let error = refused(lake, sql);
    assert!(matches!(error, Error::Limited(_)), "{sql:.200}: {error:.300}");
    assert!(error.to_string().len() > 20, "{error}");
}

#[test]
fn a_workspace_never_sees_the_rows_of_another() {
    let (_dir, lake) = two_workspaces();
    for sql in [
        "select * from events",
        "select * from events where true or workspace = 2",
        "select * from public.events",
        "select * from datafusion.public.events",
        "select * from events a full join events b on a.position = b.position + 1",
        "select * from events union all select * from events",
        "select * from events where position in (select position from events) or 1 = 1",
        "select array_agg(name), min(user_id), max(user_id), min(trust), max(context) from events",
        "select position, lag(name) over (order by position), lead(name) over (order by position) from events",
        "with x as (select * from events) select * from x",
        "select * from events where name like '%canary%'",
        "select * from information_schema.tables",
        "select * from information_schema.columns",
    ] {
        match ask(&lake, 1, sql, QueryLimits::default()) {
            Ok(answer) => {
                let text = serde_json::to_string(&answer).expect("an answer is JSON");
                assert!(!text.contains(CANARY), "{sql}");
            }
            Err(error) => {
                assert!(matches!(error, Error::Invalid(_)), "{sql}: {error:?}");
                assert!(!error.to_string().contains(CANARY), "{sql}: {error}");
            }
        }
    }
    let count = "select count(*), min(position % 2), max(position % 2) from events";
    assert_eq!(answer(&lake, 1, count), [[json!(50), json!(0), json!(0)]]);
    assert_eq!(answer(&lake, 2, count), [[json!(50), json!(1), json!(1)]]);
    assert_eq!(answer(&lake, 3, "select count(*) from events"), [[json!(0)]]);
    let theirs = format!("select count(*) from events where name like '{CANARY}%'");
    assert_eq!(answer(&lake, 2, &theirs), [[json!(50)]], "the canaries are there to be found");
    let mut seen = 0;
    lake.scan(1, &[], i64::MAX, true, &mut |row| {
        seen += 1;
        assert!(!format!("{row:?}").contains(CANARY));
    })
    .expect("the files can be read");
    assert_eq!(seen, 50);
}

#[test]
fn merges_of_another_workspace_cannot_be_asked_for() {
    let (_dir, lake) = two_workspaces();
    lake.add_aliases([(1_003, 1_004)].into_iter());
    invalid(&lake, "select resolve_profile(1003)", "resolve_profile");
}

#[test]
fn nothing_but_one_select_is_answered() {
    let (dir, lake) = two_workspaces();
    let stolen = dir.path().join("stolen.csv").display().to_string();
    let only = "Only one SELECT is answered";
    for sql in [
        "select 1; DELETE from events",
        "select 1; select 2",
        "DELETE from events",
        "insert into events (position) values (1)",
        "INSERT INTO events SELECT * FROM events",
        "update events set name = 'x'",
        "truncate table events",
        "create table mine as select * from events",
        "create view mine as select * from events",
        "create or replace view events as select 1",
        "create function f(int) returns int return 1",
        "drop table events",
        "drop view events",
        "alter table events rename to mine",
        "set datafusion.execution.batch_size = 1",
        "set datafusion.catalog.information_schema = true",
        "reset datafusion.execution.batch_size",
        "show tables",
        "show all",
        "begin",
        "prepare p as select 1",
        "execute p",
        "explain select 1",
        "explain analyze select * from events",
        "create external table x stored as csv location '/etc/passwd'",
        "create unbounded external table x stored as parquet location 'file:///'",
    ] {
        let error = refused(&lake, sql);
        assert!(matches!(error, Error::Invalid(_)), "{sql}: {error:?}");
        let text = error.to_string();
        assert!(text.contains(only) || text.contains("The SQL is not understood"), "{sql}: {text}");
    }
    for sql in [
        format!("copy events to '{stolen}'"),
        format!("copy (select * from events) to '{stolen}' stored as csv"),
    ] {
        invalid(&lake, &sql, only);
    }
    for sql in ["", "  ", ";", "-- nothing", "/* nothing */"] {
        let error = refused(&lake, sql);
        assert!(matches!(error, Error::Invalid(_)), "{sql:?}: {error:?}");
    }
    assert!(!std::path::Path::new(&stolen).exists());
    assert_eq!(answer(&lake, 1, "select count(*) from events;"), [[json!(50)]]);
}

#[test]
fn a_select_that_would_change_something_is_refused() {
    let (_dir, lake) = two_workspaces();
    for sql in [
        "with gone as (delete from events returning *) select * from gone",
        "with x as (insert into events (position) values (1) returning *) select * from x",
        "with x as (update events set name = 'x' returning *) select * from x",
        "with x as (select * from events) insert into events select * from x",
        "with x as (select 1) delete from events",
        "with x as (select 1) update events set name = 'x'",
        "select * into mine from events",
        "select * from events for update",
    ] {
        // Locks are nothing to us; all else is refused.
        match ask(&lake, 1, sql, QueryLimits::default()) {
            Ok(answer) => assert!(sql.ends_with("for update"), "answered: {sql}: {answer:?}"),
            Err(error) => assert!(matches!(error, Error::Invalid(_)), "{sql}: {error:?}"),
        }
    }
    assert_eq!(answer(&lake, 1, "select count(*) from events"), [[json!(50)]]);
}

#[test]
fn no_file_and_no_other_table_is_read() {
    let (dir, lake) = two_workspaces();
    for sql in [
        "select * from '/etc/passwd'",
        "select * from \"/etc/passwd\"",
        "select * from 'file:///etc/passwd'",
        "select * from '/etc/passwd.csv'",
        "select * from profiles",
        "select * from secrets",
        "select * from pg_catalog.pg_tables",
        "select * from workspace2.events",
        "select * from other.public.events",
    ] {
        invalid(&lake, sql, "There are: events");
    }
    for sql in [
        "select * from read_csv('/etc/passwd')",
        "select * from read_parquet('/etc/passwd')",
        "select * from parquet_metadata('/etc/passwd')",
        "select * from glob('/etc/*')",
        "select read_file('/etc/passwd')",
        "select pg_read_file('/etc/passwd')",
        "select load_extension('x')",
        "select getenv('HOME')",
    ] {
        let error = refused(&lake, sql);
        assert!(matches!(error, Error::Invalid(_)), "{sql}: {error:?}");
    }
    for file in common::files(dir.path(), ".parquet") {
        for sql in [
            format!("select * from '{}'", file.display()),
            format!("select * from \"{}\"", file.display()),
            format!("select * from 'file://{}'", file.display()),
        ] {
            invalid(&lake, &sql, "There are: events");
        }
    }
}

#[test]
fn a_reason_tells_what_there_is_and_not_where_it_lies() {
    let (dir, lake) = two_workspaces();
    invalid(&lake, "select nothing from events", "nothing");
    invalid(&lake, "select nothing(1)", "nothing");
    invalid(&lake, "selec 1", "The SQL is not understood");
    for file in common::files(dir.path(), ".parquet") {
        std::fs::remove_file(file).expect("it goes");
    }
    let error = refused(&lake, "select * from events");
    assert!(matches!(error, Error::Unavailable(_) | Error::Corrupt(_)), "{error:?}");
}

#[test]
fn deep_and_long_queries_are_refused_before_they_are_parsed() {
    let (_dir, lake) = two_workspaces();
    let many = 20_000;
    for sql in [
        format!("select {}1{}", "(".repeat(many), ")".repeat(many)),
        "(".repeat(many),
        format!("select {}1{}", "[".repeat(many), "]".repeat(many)),
        format!("select {}", "case when ".repeat(5_000)),
        format!("select {} true", "not ".repeat(15_000)),
        format!("select {}1", "- ".repeat(30_000)),
        format!("select 1{}", "+1".repeat(30_000)),
        format!("select true{}", " or true".repeat(7_000)),
        format!("select 1{}", "::int".repeat(12_000)),
        format!("select 'x'{}", "||'x'".repeat(12_000)),
        format!("select true{}", " is null".repeat(7_000)),
        format!("select make_array(1){}", "[1]".repeat(20_000)),
        format!("select 1{}", " in (1, 2)".repeat(6_000)),
        format!("select 1, 2{}", " union select 1, 2".repeat(3_500)),
        format!("values (1){}", " union all values (1)".repeat(3_000)),
        format!("select 1 from events{}", ", events".repeat(7_000)),
        format!("select 1 from unnest([1]) a{}", ", unnest([1])".repeat(4_500)),
        format!("select 1 from events{}", " natural join events".repeat(3_000)),
        format!("select '{}'", "x".repeat(10 << 20)),
        " ".repeat(10 << 20),
        format!("select {}1", "1,".repeat(5 << 20)),
    ] {
        limited(&lake, &sql);
        assert!(matches!(table_names_in(&sql), Err(Error::Limited(_))), "{sql:.100}");
    }
}

#[test]
fn the_deepest_query_that_is_let_in_does_not_overflow_the_stack() {
    let (_dir, lake) = two_workspaces();
    let forms: [(&str, &str); 11] = [
        ("select position", "+1"),
        ("select true", " or true"),
        ("select * from events where name = 'a'", " or name = 'a'"),
        ("select position", "::int"),
        ("select name", "||'x'"),
        ("select backfill", " is null"),
        ("select backfill", " in (true)"),
        ("select position", " union select 1"),
        ("select make_array(1)", "[1]"),
        ("select 1 from events", " cross join events"),
        ("select ", "- "),
    ];
    for (head, link) in forms {
        let text = |many: usize| {
            let tail = if head == "select " || !head.contains("from") { " from events" } else { "" };
            match link {
                " union select 1" => format!("{head} from events{}", link.repeat(many)),
                "- " => format!("{head}{}1{tail}", link.repeat(many)),
                " cross join events" => {
                    let joins: String = (0..many).map(|at| format!("{link} t{at}")).collect();
                    format!("{head}{joins}{tail}")
                }
                _ => format!("{head}{}{tail}", link.repeat(many)),
            }
        };
        // The longest chain that is not refused for its length.
        let mut many = 1;
        while !matches!(table_names_in(&text(many + 1)), Err(Error::Limited(_))) && many < 2_000 {
            many += 1;
        }
        let limits = QueryLimits { seconds: 5, ..QueryLimits::default() };
        assert!((2..2_000).contains(&many), "{head}{link}: {many}");
        // An answer, a reason or a limit; not the end of the process.
        let _ = ask(&lake, 1, &text(many), limits);
    }
}

#[test]
fn brackets_in_texts_and_comments_are_not_depth() {
    let (_dir, lake) = two_workspaces();
    let sql = format!("select '{}' /* {} */ -- {}", "(".repeat(500), "(".repeat(500), "(".repeat(500));
    assert_eq!(answer(&lake, 1, &sql), [[json!("(".repeat(500))]]);
}

#[test]
fn ordinary_long_queries_are_answered() {
    let (_dir, lake) = two_workspaces();
    let list: Vec<String> = (0..5_000).map(|number| number.to_string()).collect();
    let sql = format!("select count(*) from events where position in ({})", list.join(", "));
    assert_eq!(answer(&lake, 1, &sql), [[json!(50)]]);
    let any = vec!["position = 2"; 50].join(" or ");
    assert_eq!(answer(&lake, 1, &format!("select count(*) from events where {any}")), [[json!(1)]]);
    let columns: Vec<String> = (0..100)
        .map(|at| format!("count(*) filter (where name = 'a' and position > {at}) as c{at}"))
        .collect();
    assert_eq!(answer(&lake, 1, &format!("select {} from events", columns.join(", ")))[0].len(), 100);
    let arms = ["select count(*) from events"; 12].join(" union all ");
    assert_eq!(answer(&lake, 1, &arms).len(), 12);
}

#[test]
fn explosions_are_stopped_at_their_limit() {
    let (_dir, lake) = two_workspaces();
    let cross: Vec<String> = (0..8).map(|at| format!("events t{at}")).collect();
    limited(
        &lake,
        &format!(
            "select sum(t0.position + t1.position + t2.position + t3.position) from {}",
            cross.join(" cross join ")
        ),
    );
    limited(&lake, &format!("select sum(t0.position * t7.position) from {}", cross.join(", ")));
    limited(
        &lake,
        &format!(
            "select t0.position, t1.position, t2.position, t3.position from {} order by 1",
            cross.join(", ")
        ),
    );
    limited(
        &lake,
        "with recursive t as (select 1 as x union all select x + 1 from t) select count(*) from t",
    );
    let mut doubling = "with t0 as (select 1 as x)".to_owned();
    for at in 1..40 {
        doubling += &format!(", t{at} as (select a.x from t{} a, t{} b)", at - 1, at - 1);
    }
    limited(&lake, &format!("{doubling} select count(*) from t39"));
    limited(&lake, &format!("select * from ({doubling} select x from t39) y"));
}

#[test]
fn a_condition_on_names_that_double_each_time_ends() {
    let (_dir, lake) = two_workspaces();
    let mut doubling = "with t0 as (select position as x from events)".to_owned();
    for at in 1..40 {
        doubling += &format!(", t{at} as (select x - x + 1 as x from t{})", at - 1);
    }
    let limits = QueryLimits { seconds: 5, ..QueryLimits::default() };
    match ask(&lake, 1, &format!("{doubling} select count(*) from t39 where x = 1"), limits) {
        Ok(answer) => assert_eq!(answer.rows, [[json!(50)]]),
        Err(error) => assert!(matches!(error, Error::Limited(_)), "{error:?}"),
    }
}

#[test]
fn depth_gathered_over_subqueries_does_not_overflow_the_stack() {
    let (_dir, lake) = two_workspaces();
    for (steps, links) in [(2, 180), (20, 10), (40, 4), (40, 10), (60, 150)] {
        let mut deep = "with t0 as (select position as x from events)".to_owned();
        for at in 1..steps {
            deep += &format!(", t{at} as (select x{} as x from t{})", "+1".repeat(links), at - 1);
        }
        let limits = QueryLimits { seconds: 10, ..QueryLimits::default() };
        let sql = format!("{deep} select count(*) from t{} where x > 0", steps - 1);
        match ask(&lake, 1, &sql, limits) {
            Ok(answer) => assert_eq!(answer.rows, [[json!(50)]]),
            Err(error) => assert!(matches!(error, Error::Limited(_)), "{error:?}"),
        }
    }
}

#[test]
fn a_query_that_takes_long_holds_up_no_other() {
    let (_dir, lake) = two_workspaces();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it starts");
    let long: Vec<String> = (0..6).map(|at| format!("events t{at}")).collect();
    let long = format!("select sum(t0.position * t5.position + t3.position) from {}", long.join(", "));
    let limits = QueryLimits { seconds: 30, ..QueryLimits::default() };
    runtime.block_on(async {
        let hogs = futures::future::join_all((0..4).map(|_| lake.query(1, &long, Vec::new(), &limits)));
        let short = lake.query(1, "select count(*) from events", Vec::new(), &limits);
        tokio::select! {
            biased;
            hogs = hogs => panic!("these came first: {hogs:?}"),
            short = short => assert_eq!(short.expect("it is answered").rows, [[json!(50)]]),
        }
    });
}

#[test]
fn no_function_makes_much_of_little() {
    let (_dir, lake) = two_workspaces();
    for sql in [
        "select repeat('x', 2000000000)",
        "select lpad('x', 2000000000)",
        "select rpad('x', 2000000000, 'y')",
        "select range(0, 100000000000)",
        "select generate_series(0, 100000000000)",
        "select count(*) from generate_series(1, 100000000000000)",
        "select count(*) from range(1, 100000000000000)",
        "select array_repeat('x', 100000000000)",
        "select list_repeat('x', 100000000000)",
        "select array_resize([1], 100000000000)",
    ] {
        let error = refused(&lake, sql);
        assert!(matches!(error, Error::Invalid(_) | Error::Limited(_)), "{sql}: {error:?}");
    }
}

#[test]
fn an_answer_has_no_more_rows_than_its_limit_and_says_so() {
    let (_dir, lake) = two_workspaces();
    for (rows, truncated) in [(0, true), (1, true), (49, true), (50, false), (51, false)] {
        let limits = QueryLimits { rows, ..QueryLimits::default() };
        let answer = ask(&lake, 1, "select * from events", limits).expect("it is answered");
        assert_eq!((answer.rows.len(), answer.truncated), (rows.min(50), truncated), "limit {rows}");
    }
    let limits = QueryLimits { memory_bytes: 1 << 10, ..QueryLimits::default() };
    let error = ask(&lake, 1, "select name, count(*) from events group by name order by 1", limits);
    assert!(matches!(error, Err(Error::Limited(_))), "{error:?}");
}

#[test]
fn given_tables_are_joined_and_named() {
    let (_dir, lake) = two_workspaces();
    let table = Table {
        name: "profiles".to_owned(),
        columns: vec![("id".to_owned(), ColumnType::Integer), ("city".to_owned(), ColumnType::Text)],
        rows: vec![vec![json!(2), json!("Wien")], vec![json!(3)], vec![json!("wrong"), json!(1)]],
    };
    let sql = "select city, count(*) from events join profiles on id = profile_id group by 1 order by 1";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it starts");
    let answer =
        runtime.block_on(lake.query(1, sql, vec![table], &QueryLimits::default())).expect("it is answered");
    assert_eq!(
        answer.rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>(),
        [json!("Wien"), json!(null)]
    );
    let mut names =
        table_names_in("with p as (select * from profiles) select * from p, events").expect("parsed");
    names.sort();
    assert_eq!(names, ["events", "profiles"]);
}

#[test]
fn json_is_read_by_path() {
    let dir = tempfile::tempdir().expect("a directory");
    let lake = Lake::open(dir.path()).expect("the lake opens");
    let mut some = rows(1..=3);
    some[0].properties = r#"{"total":"12.5","items":[{"sku":"a"}],"a.b":true,"none":null}"#.to_owned();
    some[1].properties = "no JSON".to_owned();
    some[2].properties = "[".repeat(100_000);
    lake.append(some).expect("rows are taken");
    let sql = "select json_number(properties, 'total'), json_text(properties, 'items.0.sku'), \
               json_bool(properties, 'a.b'), json_text(properties, 'none'), json_text(null, 'x'), \
               json_text(properties, null) from events order by position";
    let nulls = vec![json!(null); 6];
    let first = vec![json!(12.5), json!("a"), json!(true), json!(null), json!(null), json!(null)];
    assert_eq!(answer(&lake, 1, sql), [first, nulls.clone(), nulls]);
}
