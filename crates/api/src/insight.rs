//! What a segment's page and its editor tell beside the members: the funnel of its clauses, its past, its growth with causes,
//! how segments overlap, who depends on one.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use flow::DefinitionKind;
use model::Timestamp;
use model::time::{DAY, MINUTE};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::conditions::Condition;
use crate::extract::{Ask, At, Body};
use crate::shape::{Listing, Time};
use crate::{App, Problem, segments};

/// Days of growth, the last is today.
const GROWTH_DAYS_MAX: i64 = 90;
/// Changes are summed over so long; every time zone's midnight is a multiple of it.
const GRAIN: i64 = 15 * MINUTE;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(funnel))
        .routes(routes!(past))
        .routes(routes!(overlap))
        .routes(routes!(growth))
        .routes(routes!(dependents))
}

/// How each clause narrows a condition.
#[derive(Debug, Serialize, ToSchema)]
pub struct Funnel {
    /// Profiles asked.
    pub total: i64,
    /// The clauses that `and` joins, in the order of the text; one where nothing is joined.
    pub clauses: Vec<Clause>,
}

/// A clause of a condition.
#[derive(Debug, Serialize, ToSchema)]
pub struct Clause {
    /// Its text.
    pub text: String,
    /// In plain English.
    pub sentence: String,
    /// Profiles for whom it holds by itself.
    pub alone: i64,
    /// Profiles for whom it and every clause before it hold.
    pub together: i64,
}

/// Counts how each clause of a condition narrows it. The first twelve by themselves, the rest together.
#[utoipa::path(post, path = "/api/segments/funnel", tag = "segments", operation_id = "funnel_segment", request_body = Condition, responses((status = 200, body = Funnel)))]
async fn funnel(State(app): State<App>, ws: Ws, Body(ask): Body<Condition>) -> Result<Json<Funnel>, Problem> {
    let text = ask.condition.text(&app.platform, ws.0)?;
    let found = app.platform.funnel(ws.0, &text).await?;
    let clause = |clause: flow::Clause| Clause {
        text: clause.text,
        sentence: clause.sentence,
        alone: clause.alone as i64,
        together: clause.together as i64,
    };
    Ok(Json(Funnel { total: found.total as i64, clauses: found.clauses.into_iter().map(clause).collect() }))
}

/// For how many a condition held at earlier instants.
#[derive(Debug, Serialize, ToSchema)]
pub struct Past {
    /// Oldest first, the last is now. Empty in a workspace of more than 200,000 profiles.
    pub points: Vec<Point>,
}

/// For how many a condition held at an instant.
#[derive(Debug, Serialize, ToSchema)]
pub struct Point {
    /// When.
    pub at: Time,
    /// How many.
    pub count: i64,
}

/// Answers a condition as of earlier days of the last month: by the events up to then and the attributes of now.
#[utoipa::path(post, path = "/api/segments/past", tag = "segments", operation_id = "past_segment", request_body = Condition, responses((status = 200, body = Past)))]
async fn past(State(app): State<App>, ws: Ws, Body(ask): Body<Condition>) -> Result<Json<Past>, Problem> {
    let text = ask.condition.text(&app.platform, ws.0)?;
    let found = app.platform.past(ws.0, &text).await?;
    let points = found.into_iter().map(|(at, count)| Point { at: at.into(), count: count as i64 });
    Ok(Json(Past { points: points.collect() }))
}

/// Which segments.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WhichSegments {
    /// Two or three ids, separated by commas.
    pub ids: String,
}

/// How segments share their members.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overlap {
    /// The segments in the order that was asked.
    pub segments: Vec<Overlapping>,
    /// Every way to be in at least one of them, with how many are in exactly those.
    pub regions: Vec<Region>,
    /// Profiles in at least one.
    pub any: i64,
    /// Profiles of the workspace.
    pub total: i64,
}

/// A segment of an overlap.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overlapping {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its members.
    pub count: i64,
}

/// Those who are in exactly these segments of an overlap.
#[derive(Debug, Serialize, ToSchema)]
pub struct Region {
    /// The ids of the segments they are in; in none of the others.
    pub inside: Vec<String>,
    /// How many.
    pub count: i64,
    /// The condition that holds for exactly them.
    #[serde(rename = "where")]
    pub condition: String,
}

/// Counts exactly how two or three segments share their members.
#[utoipa::path(get, path = "/api/segments/overlap", tag = "segments", operation_id = "segment_overlap", params(WhichSegments), responses((status = 200, body = Overlap)))]
async fn overlap(
    State(app): State<App>,
    ws: Ws,
    Ask(which): Ask<WhichSegments>,
) -> Result<Json<Overlap>, Problem> {
    let mut ids: Vec<&str> = Vec::new();
    for id in which.ids.split(',').filter(|id| !id.is_empty()) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if !(2..=3).contains(&ids.len()) {
        return Err(Problem::invalid("Name two or three different segments in 'ids', separated by commas."));
    }
    let registry = app.platform.registry(ws.0);
    let mut out = Overlap {
        segments: Vec::new(),
        regions: Vec::new(),
        any: 0,
        total: app.platform.store.count_profiles(ws.0).await?,
    };
    for id in &ids {
        let known = registry.segments.get(*id);
        let known = known.ok_or_else(|| Problem::missing(&format!("There is no segment '{id}'.")))?;
        out.segments.push(Overlapping { id: (*id).to_owned(), name: known.name.clone(), count: 0 });
    }
    let third = ids.get(2).copied().unwrap_or_default();
    let found: BTreeMap<i64, i64> =
        app.platform.store.overlap(ws.0, [ids[0], ids[1], third]).await?.into_iter().collect();
    for which in 1..1_i64 << ids.len() {
        let count = found.get(&which).copied().unwrap_or(0);
        let is_in = |at: usize| which & (1 << at) != 0;
        for (_, segment) in out.segments.iter_mut().enumerate().filter(|(at, _)| is_in(*at)) {
            segment.count += count;
        }
        out.any += count;
        let parts = ids.iter().enumerate().map(|(at, id)| {
            let inside = expr::Condition::InSegment { segment: (*id).to_owned() };
            if is_in(at) { inside } else { expr::Condition::Not { condition: Box::new(inside) } }
        });
        let condition = expr::Condition::And { all: parts.collect() }.to_string();
        let inside = ids.iter().enumerate().filter(|(at, _)| is_in(*at)).map(|(_, id)| (*id).to_owned());
        out.regions.push(Region { inside: inside.collect(), count, condition });
    }
    Ok(Json(out))
}

/// How a segment grew.
#[derive(Debug, Serialize, ToSchema)]
pub struct Growth {
    /// When its membership was first kept; null while nothing was.
    pub since: Option<Time>,
    /// Days of the workspace, oldest first, the last is today; none before it was first kept.
    pub days: Vec<GrowthDay>,
    /// Why people came and went in these days, the most frequent first.
    pub causes: Vec<GrowthCause>,
}

/// A day of a segment.
#[derive(Debug, Serialize, ToSchema)]
pub struct GrowthDay {
    /// The day in the workspace's time zone, such as 2026-11-25.
    pub day: String,
    /// Members at its end; now, for today.
    pub members: i64,
    /// Entries.
    pub entered: i64,
    /// Exits.
    pub exited: i64,
    /// Entries and exits by cause.
    pub causes: Vec<GrowthCause>,
}

/// Entries and exits of one cause.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GrowthCause {
    /// An event's name, `time passed`, `attributes changed`, `the definition changed` or `membership in … changed`.
    pub cause: String,
    /// Entries.
    pub entered: i64,
    /// Exits.
    pub exited: i64,
}

/// How far back.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HowFar {
    /// Days, 1 to 90; 30 otherwise.
    pub days: Option<i64>,
}

type Causes = BTreeMap<String, (i64, i64)>;

fn causes_of(causes: Causes) -> Vec<GrowthCause> {
    let mut out: Vec<GrowthCause> =
        causes.into_iter().map(|(cause, (entered, exited))| GrowthCause { cause, entered, exited }).collect();
    out.sort_by_key(|each| std::cmp::Reverse(each.entered + each.exited));
    out
}

/// Size by day with entries and exits and their causes, from the history of the membership.
#[utoipa::path(get, path = "/api/segments/{id}/growth", tag = "segments", operation_id = "segment_growth", params(("id" = String, Path), HowFar), responses((status = 200, body = Growth)))]
async fn growth(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
    Ask(far): Ask<HowFar>,
) -> Result<Json<Growth>, Problem> {
    segments::exists(&app, ws, &id).await?;
    let platform = &app.platform;
    let zone = platform.registry(ws.0).zone.clone();
    let now = platform.clock.now();
    let date = |at: Timestamp| expr::day_of(at, &zone);
    let days = far.days.unwrap_or(30).clamp(1, GROWTH_DAYS_MAX);
    let counts = platform.store.segment_counts(ws.0).await?;
    let mut members = counts.into_iter().find(|(known, _)| *known == id).map_or(0, |(_, count)| count);
    let rows = platform.store.membership_causes(ws.0, &id, now - (days + 1) * DAY, GRAIN).await?;
    let mut by_day: BTreeMap<_, Causes> = BTreeMap::new();
    let mut all = Causes::new();
    let today = date(now);
    let first = expr::day_of(now - (days - 1) * DAY, &zone);
    for (at, entered, cause, count) in rows {
        let day = date(at).min(today);
        if day < first {
            continue;
        }
        for causes in [&mut all, by_day.entry(day).or_default()] {
            let both = causes.entry(cause.clone()).or_default();
            if entered { both.0 += count } else { both.1 += count }
        }
    }
    let versions = platform.store.versions(ws.0, DefinitionKind::Segment.name(), &id).await?;
    let since = versions.last().map(|row| row.at);
    let mut out = Vec::new();
    let mut day = today;
    while day >= first && since.is_none_or(|since| day >= date(since)) {
        let causes = by_day.remove(&day).unwrap_or_default();
        let (entered, exited) = causes.values().fold((0, 0), |sum, each| (sum.0 + each.0, sum.1 + each.1));
        out.push(GrowthDay { day: day.to_string(), members, entered, exited, causes: causes_of(causes) });
        members = (members - entered + exited).max(0);
        let Ok(before) = day.yesterday() else { break };
        day = before;
    }
    out.reverse();
    Ok(Json(Growth { since: since.map(Time::from), days: out, causes: causes_of(all) }))
}

/// Something that refers to a segment.
#[derive(Debug, Serialize, ToSchema)]
pub struct Dependent {
    /// segment or journey.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where in it: its condition, its trigger, a branch, an exit.
    pub place: String,
}

/// What refers to a segment and changes with it.
#[utoipa::path(get, path = "/api/segments/{id}/dependents", tag = "segments", operation_id = "segment_dependents", params(("id" = String, Path)), responses((status = 200, body = Listing<Dependent>)))]
async fn dependents(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
) -> Result<Json<Listing<Dependent>>, Problem> {
    segments::exists(&app, ws, &id).await?;
    let row = |each: flow::Dependent| Dependent {
        kind: each.kind.to_owned(),
        id: each.id,
        name: each.name,
        place: each.place,
    };
    Ok(Json(Listing::all(app.platform.dependents(ws.0, &id).into_iter().map(row).collect())))
}
