//! The leaves of a condition: each a common table expression with one row for a profile, and a test of it.

use crate::ast::{
    Aggregate, Comparison, Condition, EventPattern, Filter, Literal, Op, Passage, Path, Quantifier, Says,
    Test, Which, Window,
};
use crate::sql::{SqlError, Statement, reach, value};
use crate::{Figure, Span, Term, Unit};

const ATTRIBUTES: &str = "p.attributes";
const ZONE: &str = "p.timezone";

impl Statement<'_> {
    pub(super) fn leaf(&mut self, condition: &Condition) -> Result<String, SqlError> {
        let now = self.now.micros();
        match condition {
            Condition::Attribute { path, test } => {
                if let Some(figure) = self.names.figure(&path.dotted()) {
                    return self.figure(&path.dotted(), figure, test);
                }
                let json = self.dialect.attribute(ATTRIBUTES, &path.dotted());
                Ok(value::test(test, &json, ZONE, now, self.dialect))
            }
            Condition::Elements { quantifier, path, filter } => Ok(self.elements(*quantifier, path, filter)),
            Condition::Did { event, window } => self.happened(event, window),
            Condition::Passed { passage, segment, window } => {
                let (key, _) = self.segment(segment)?;
                self.happened(&passed(*passage, &key), window)
            }
            Condition::Count { event, window, test } => {
                let rows = self.events("e.profile_id AS profile_id, COUNT(*) AS v", event, window);
                let part = self.joined(format!("{rows} GROUP BY e.profile_id"))?;
                Ok(value::number_test(test, &format!("COALESCE({part}.v, 0)")))
            }
            Condition::Aggregate { function, property, event, window, test } => {
                self.aggregate(*function, property, event, window, test)
            }
            Condition::Periods { period, event, window, test } => {
                let at = self.dialect.micros("e.timestamp");
                let bucket = self.dialect.bucket(&at, period.word(), ZONE);
                let columns = format!("e.profile_id AS profile_id, COUNT(DISTINCT {bucket}) AS v");
                let rows = self.events(&columns, event, window);
                let part = self.joined(format!("{rows} GROUP BY e.profile_id"))?;
                Ok(value::number_test(test, &format!("COALESCE({part}.v, 0)")))
            }
            Condition::Since { which, event, op, span } => self.since(*which, event, *op, *span),
            Condition::Order { left, comparison, right } => {
                let left = self.occasion(left.which, &left.event)?;
                let right = self.occasion(right.which, &right.event)?;
                Ok(match comparison {
                    Comparison::After => {
                        format!("({left} IS NOT NULL AND ({right} IS NULL OR {left} > {right}))")
                    }
                    Comparison::Before => format!("COALESCE({left} < {right}, FALSE)"),
                })
            }
            Condition::FirstTime { event, window } => {
                let at = self.occasion(Which::First, event)?;
                let interval = self.interval(&Some(window.clone()));
                let from = interval.from.map(|from| format!("{at} >= {from} AND ")).unwrap_or_default();
                Ok(format!("COALESCE({from}{at} < {}, FALSE)", interval.to))
            }
            Condition::Sequence { first, then, whole, same, window } => {
                self.sequence(first, then, *whole, same.as_ref(), window)
            }
            Condition::Stopped { event, quiet, times, before } => {
                let now = self.now;
                let silent = self.young(*quiet);
                let far = reach(*quiet).saturating_add(reach(*before));
                let (quiet, before) = (*quiet, *before);
                let early = self.edge(far, &|at, zone| before.after(quiet.after(at, zone), zone) > now);
                let at = self.dialect.micros("e.timestamp");
                let columns = format!(
                    "e.profile_id AS profile_id, MIN(CASE WHEN {at} < {silent} THEN 1 ELSE 0 END) AS silent, \
                     SUM(CASE WHEN {at} >= {early} THEN 1 ELSE 0 END) AS v"
                );
                let rows = self.events(&columns, event, &None);
                let part = self.joined(format!("{rows} GROUP BY e.profile_id"))?;
                Ok(format!("COALESCE({part}.silent = 1 AND {part}.v >= {times}, FALSE)"))
            }
            Condition::Resumed { event, window, pause } => self.resumed(event, window, *pause),
            Condition::Regularly { event, times, periods, last } => {
                self.regularly(event, *times, *periods, *last)
            }
            Condition::Held { path, test, span } => self.held(path, test, *span),
            Condition::Consent { says, about, by, window } => {
                Ok(self.consent(*says, about, by.as_deref(), window))
            }
            Condition::Random { from, to, name } => {
                let draw = self.dialect.draw(name, "p.seed");
                Ok(format!(
                    "COALESCE({draw} >= {} AND {draw} < {}, FALSE)",
                    value::number(*from),
                    value::number(*to)
                ))
            }
            Condition::Everyone => Ok("TRUE".to_owned()),
            Condition::And { .. }
            | Condition::Or { .. }
            | Condition::Not { .. }
            | Condition::InSegment { .. } => self.condition(condition),
        }
    }

    fn elements(&self, quantifier: Quantifier, path: &Path, filter: &Filter) -> String {
        let list = self.dialect.attribute(ATTRIBUTES, &path.dotted());
        let filter = serde_json::to_string(filter).unwrap_or_default();
        format!("COALESCE({}, FALSE)", self.dialect.elements(&list, quantifier.word(), &filter))
    }

    fn happened(&mut self, event: &EventPattern, window: &Option<Window>) -> Result<String, SqlError> {
        let rows = self.events("DISTINCT e.profile_id AS profile_id", event, window);
        let part = self.joined(rows)?;
        Ok(format!("({part}.profile_id IS NOT NULL)"))
    }

    /// The instant of the first or last event, as an expression.
    fn occasion(&mut self, which: Which, event: &EventPattern) -> Result<String, SqlError> {
        let at = self.dialect.micros("e.timestamp");
        let columns = format!("e.profile_id AS profile_id, MIN({at}) AS first_at, MAX({at}) AS last_at");
        let rows = self.events(&columns, event, &None);
        let part = self.joined(format!("{rows} GROUP BY e.profile_id"))?;
        Ok(format!("{part}.{}", if which == Which::First { "first_at" } else { "last_at" }))
    }

    fn since(&mut self, which: Which, event: &EventPattern, op: Op, span: Span) -> Result<String, SqlError> {
        let at = self.occasion(which, event)?;
        let now = self.now;
        // What happened before `late` is at least a span ago; before `later`, more than a span.
        let late = self.young(span);
        let later = self.edge(reach(span), &|at, zone| span.after(at, zone) >= now);
        let test = match op {
            Op::Greater => format!("{at} < {later}"),
            Op::Less => format!("{at} >= {late}"),
            Op::LessOrEqual => format!("{at} >= {later}"),
            _ => format!("{at} < {late}"),
        };
        Ok(format!("COALESCE({test}, FALSE)"))
    }

    fn aggregate(
        &mut self,
        function: Aggregate,
        property: &Path,
        event: &EventPattern,
        window: &Option<Window>,
        test: &Test,
    ) -> Result<String, SqlError> {
        let json = self.dialect.json("e.properties", &property.to_string());
        let at = self.dialect.micros("e.timestamp");
        if matches!(function, Aggregate::Sum | Aggregate::Average | Aggregate::Minimum | Aggregate::Maximum) {
            let number = self.dialect.number(&json);
            let columns = format!("e.profile_id AS profile_id, {number} AS v");
            let rows = self.events(&columns, event, window);
            // Whole millionths: a sum that does not depend on the order of its parts.
            let part = self.joined(format!(
                "SELECT profile_id, COUNT(v) AS n, SUM(CAST(ROUND(v * 1000000) AS BIGINT)) AS s, MIN(v) AS low, \
                 MAX(v) AS high FROM ({rows}) r WHERE v IS NOT NULL GROUP BY profile_id"
            ))?;
            let sum = format!("(CAST({part}.s AS DOUBLE) / 1000000)");
            let figure = match function {
                Aggregate::Sum => format!("COALESCE({sum}, 0)"),
                Aggregate::Average => format!("({sum} / {part}.n)"),
                Aggregate::Minimum => format!("{part}.low"),
                _ => format!("{part}.high"),
            };
            return Ok(value::number_test(test, &figure));
        }
        let scalar = self.dialect.scalar(&json, true);
        let rows =
            self.events(&format!("e.profile_id AS profile_id, {at} AS at, {scalar} AS v"), event, window);
        if function == Aggregate::Distinct {
            let part = self.joined(format!(
                "SELECT profile_id, COUNT(DISTINCT v) AS v FROM ({rows}) r WHERE v IS NOT NULL GROUP BY profile_id"
            ))?;
            return Ok(value::number_test(test, &format!("COALESCE({part}.v, 0)")));
        }
        // In order: truth values, numbers, texts.
        let (number, text) = (self.dialect.number("v"), self.dialect.text("v"));
        let kind = format!("CASE WHEN {text} IS NOT NULL THEN 3 WHEN {number} IS NOT NULL THEN 2 ELSE 1 END");
        let value_order = |sign: &str| format!("{kind} {sign}, {number} {sign}, {text} {sign}, v {sign}");
        let (source, order) = match function {
            Aggregate::Top => (
                format!(
                    "SELECT profile_id, v, COUNT(*) AS many FROM ({rows}) r WHERE v IS NOT NULL GROUP BY profile_id, v"
                ),
                format!("many DESC, {}", value_order("ASC")),
            ),
            Aggregate::First => (
                format!("SELECT * FROM ({rows}) r WHERE v IS NOT NULL"),
                format!("at ASC, {}", value_order("ASC")),
            ),
            _ => (
                format!("SELECT * FROM ({rows}) r WHERE v IS NOT NULL"),
                format!("at DESC, {}", value_order("DESC")),
            ),
        };
        let part = self.joined(format!(
            "SELECT profile_id, v FROM (SELECT profile_id, v, ROW_NUMBER() OVER (PARTITION BY profile_id \
             ORDER BY {order}) AS place FROM ({source}) s) ranked WHERE place = 1"
        ))?;
        Ok(value::test(test, &format!("{part}.v"), ZONE, self.now.micros(), self.dialect))
    }

    fn resumed(
        &mut self,
        event: &EventPattern,
        window: &Option<Window>,
        pause: Span,
    ) -> Result<String, SqlError> {
        let at = self.dialect.micros("e.timestamp");
        let columns = format!("DISTINCT e.profile_id AS profile_id, p.timezone AS timezone, {at} AS at");
        let rows = self.events(&columns, event, &None);
        let interval = self.interval(window);
        let from = interval.from.map(|from| format!("l.at >= {from} AND ")).unwrap_or_default();
        let over = self.dialect.after("l.former", pause, "l.timezone");
        let part = self.joined(format!(
            "SELECT DISTINCT l.profile_id AS profile_id FROM (SELECT profile_id, timezone, at, LAG(at) OVER \
             (PARTITION BY profile_id ORDER BY at) AS former FROM ({rows}) r) l JOIN zones z ON z.timezone = \
             l.timezone WHERE {from}l.at < {} AND l.former IS NOT NULL AND {over} <= l.at",
            interval.to
        ))?;
        Ok(format!("({part}.profile_id IS NOT NULL)"))
    }

    fn regularly(
        &mut self,
        event: &EventPattern,
        times: u32,
        periods: u32,
        last: Span,
    ) -> Result<String, SqlError> {
        let now = self.now;
        let at = self.dialect.micros("e.timestamp");
        let back = match last.unit {
            Unit::Months | Unit::Years => {
                let mut cases = String::new();
                for number in 0..last.amount {
                    let edge = self.young(Span { amount: number + 1, ..last });
                    cases += &format!(" WHEN {at} >= {edge} THEN {number}");
                }
                format!("CASE{cases} ELSE {} END", last.amount)
            }
            _ => {
                let unit = Span { amount: 1, ..last }.micros().unwrap_or(1);
                format!("({} - {at}) / {unit}", now.micros())
            }
        };
        let rows = self.events(&format!("e.profile_id AS profile_id, {back} AS back"), event, &None);
        let part = self.joined(format!(
            "SELECT profile_id, COUNT(*) AS v FROM (SELECT profile_id, back FROM ({rows}) r WHERE back < {} \
             GROUP BY profile_id, back HAVING COUNT(*) >= {times}) full_periods GROUP BY profile_id",
            last.amount
        ))?;
        Ok(format!("(COALESCE({part}.v, 0) >= {periods})"))
    }

    fn held(&mut self, path: &Path, test: &Test, span: Span) -> Result<String, SqlError> {
        let event = EventPattern { name: "identify".to_owned(), filter: None };
        let at = self.dialect.micros("e.timestamp");
        let json = self.dialect.attribute("e.properties", &path.dotted());
        let passes = value::test(test, &json, "'UTC'", 0, self.dialect);
        let states = self.dialect.states("e.properties", &path.dotted());
        let columns =
            format!("e.profile_id AS profile_id, {at} AS at, {passes} AS passes, {states} AS states");
        let rows = self.events(&columns, &event, &None);
        let statements = self.part(format!("SELECT profile_id, at, passes FROM ({rows}) r WHERE states"))?;
        let part = self.joined(format!(
            "SELECT s.profile_id AS profile_id, MIN(s.at) AS since FROM {statements} s LEFT JOIN (SELECT profile_id, \
             MAX(at) AS failed_at FROM {statements} WHERE NOT passes GROUP BY profile_id) n ON n.profile_id = \
             s.profile_id WHERE s.passes AND (n.failed_at IS NULL OR s.at > n.failed_at) GROUP BY s.profile_id"
        ))?;
        let young = self.young(span);
        let value = self.dialect.attribute(ATTRIBUTES, &path.dotted());
        let now_passes = value::test(test, &value, ZONE, self.now.micros(), self.dialect);
        Ok(format!("({now_passes} AND COALESCE({part}.since < {young}, FALSE))"))
    }

    fn consent(&mut self, says: Says, about: &str, by: Option<&str>, window: &Option<Window>) -> String {
        let yes = matches!(says, Says::Consents | Says::Subscribed);
        let said = |field: &str| {
            let known = self.dialect.attribute("p.consents", about);
            self.dialect.json(&known, field)
        };
        let (given, how, at) = (said("given"), said("by"), said("at"));
        let mut tests =
            vec![format!("{} = {}", self.dialect.boolean(&given), if yes { "TRUE" } else { "FALSE" })];
        tests.extend(by.map(|by| format!("{} = {}", self.dialect.text(&how), value::quoted(by))));
        if window.is_some() {
            let at = self.dialect.number(&at);
            let interval = self.interval(window);
            tests.extend(interval.from.map(|from| format!("{at} >= {from}")));
            tests.push(format!("{at} < {}", interval.to));
        }
        format!("COALESCE({}, FALSE)", tests.join(" AND "))
    }

    fn figure(&mut self, name: &str, figure: Figure, test: &Test) -> Result<String, SqlError> {
        let test = test.clone();
        match figure {
            Figure::Count { event, window } => self.leaf(&Condition::Count { event, window, test }),
            Figure::Aggregate { function, property, event, window } => {
                self.leaf(&Condition::Aggregate { function, property, event, window, test })
            }
            Figure::Periods { period, event, window } => {
                self.leaf(&Condition::Periods { period, event, window, test })
            }
            Figure::DaysSince { which, event } => {
                let at = self.occasion(which, &event)?;
                let days = format!("(({} - {at}) / {})", self.now.micros(), model::time::DAY);
                Ok(value::number_test(&test, &days))
            }
            Figure::TimeOf { .. } => Err(SqlError::Instant(name.to_owned())),
            Figure::Score { terms, half_life, fifty } => {
                self.scored(&terms, half_life.micros_max().max(1), fifty, &test)
            }
        }
    }

    fn scored(
        &mut self,
        terms: &[Term],
        half_life: i64,
        fifty: Option<f64>,
        test: &Test,
    ) -> Result<String, SqlError> {
        let at = self.dialect.micros("e.timestamp");
        let mut rows = Vec::new();
        for term in terms {
            let points = format!(
                "{} * POWER(2.0, -CAST({} - {at} AS DOUBLE) / {half_life}.0)",
                value::number(term.weight),
                self.now.micros(),
            );
            let columns = format!("e.profile_id AS profile_id, {points} AS v");
            rows.push(self.events(&columns, &term.event, &None));
        }
        let part = self.joined(format!(
            "SELECT profile_id, SUM(v) AS v FROM ({}) r GROUP BY profile_id",
            rows.join(" UNION ALL ")
        ))?;
        let points = format!("COALESCE({part}.v, 0.0)");
        let score = match fifty {
            Some(fifty) => format!("(100.0 * (1.0 - POWER(2.0, -{points} / {})))", value::number(fifty)),
            None => points,
        };
        Ok(value::number_test(test, &score))
    }
}

/// Entries into or exits from a segment.
fn passed(passage: Passage, key: &str) -> EventPattern {
    let name = if passage == Passage::Entered { "Segment Entered" } else { "Segment Exited" };
    let path = Path::new(vec!["segment".to_owned()]);
    let test = Test::Compare { op: Op::Equal, value: Literal::Text(key.to_owned()) };
    EventPattern { name: name.to_owned(), filter: path.map(|path| Filter::Property { path, test }) }
}
