//! Profiles: search, one person's page, timeline.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use flow::Platform;
use model::{Map, ProfileId, Value, WorkspaceId};
use serde::{Deserialize, Serialize};
use store::ProfileRow as Stored;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::consents::Consent;
use crate::extract::{Ask, At};
use crate::journeys::Entry;
use crate::messages::{self, MessageRow};
use crate::shape::{Listing, Paging, Time, given};
use crate::suppressions::Suppression;
use crate::{App, Problem};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(timeline))
        .routes(routes!(profile_messages))
}

/// Who a profile is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Person {
    /// Its id.
    pub id: i64,
    /// Name, e-mail or id: what to call it.
    pub display: String,
    /// Its e-mail address.
    pub email: Option<String>,
    /// The customer's own id.
    pub user_id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// When it was first stored.
    pub created_at: Time,
    /// When it last did anything.
    pub last_seen_at: Time,
}

/// A profile in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProfileRow {
    /// Who.
    #[serde(flatten)]
    pub person: Person,
    /// How many segments it is in; where a list tells it.
    pub segments: Option<i64>,
    /// Member since; where the list is of a segment.
    pub since: Option<Time>,
    /// When the membership ends if nothing happens; where the list is of a segment.
    pub until: Option<Time>,
}

impl Person {
    fn of(row: &Stored) -> Person {
        let display = row.name.clone().or_else(|| row.email.clone()).or_else(|| row.user_id.clone());
        Person {
            id: row.id.0,
            display: display.unwrap_or_else(|| format!("Profile {}", row.id)),
            email: row.email.clone(),
            user_id: row.user_id.clone(),
            name: row.name.clone(),
            created_at: row.created_at.into(),
            last_seen_at: row.last_seen_at.into(),
        }
    }
}

impl ProfileRow {
    pub(crate) fn of(row: &Stored) -> ProfileRow {
        ProfileRow { person: Person::of(row), segments: None, since: None, until: None }
    }
}

/// Rows of some profiles of a workspace, in the order of `ids`.
pub(crate) async fn rows_of(
    platform: &Platform,
    workspace: WorkspaceId,
    ids: &[ProfileId],
) -> Result<Vec<ProfileRow>, Problem> {
    let rows = platform.store.load_profiles(ids).await?;
    let by_id: HashMap<ProfileId, &Stored> =
        rows.iter().filter(|row| row.workspace == workspace).map(|row| (row.id, row)).collect();
    Ok(ids.iter().filter_map(|id| by_id.get(id)).map(|row| ProfileRow::of(row)).collect())
}

/// Which profiles.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// A word of the e-mail or name; or a user id, or an id.
    pub q: Option<String>,
    /// Members of this segment.
    pub segment: Option<String>,
    /// For whom this condition holds now, in the order in which they became known; without `q` and `segment`.
    #[serde(rename = "where")]
    pub condition: Option<String>,
}

/// Profiles, the most recently seen first.
#[utoipa::path(get, path = "/api/profiles", tag = "profiles", operation_id = "profiles", params(Which, Paging), responses((status = 200, body = Listing<ProfileRow>)))]
async fn list(
    State(app): State<App>,
    ws: Ws,
    Ask(which): Ask<Which>,
    Ask(paging): Ask<Paging>,
) -> Result<Json<Listing<ProfileRow>>, Problem> {
    Ok(Json(listing(&app.platform, ws.0, &which, &paging).await?))
}

pub(crate) async fn listing(
    platform: &Platform,
    workspace: WorkspaceId,
    which: &Which,
    paging: &Paging,
) -> Result<Listing<ProfileRow>, Problem> {
    let (words, segment) = (given(&which.q), given(&which.segment));
    if let Some(condition) = given(&which.condition) {
        let many = (paging.offset() + paging.ask()) as usize;
        let found = platform.matching(workspace, condition, many).await?;
        let mut ids: Vec<ProfileId> = found.ids.into_iter().skip(paging.offset() as usize).collect();
        let next_cursor = paging.cut_counted(&mut ids);
        let items = rows_of(platform, workspace, &ids).await?;
        return Ok(Listing { items, next_cursor, total: Some(found.count as i64) });
    }
    let mut rows =
        platform.store.search_profiles(workspace, words, segment, paging.offset(), paging.ask()).await?;
    let next_cursor = paging.cut_counted(&mut rows);
    let registry = platform.registry(workspace);
    let now = platform.clock.now();
    let mut items = Vec::with_capacity(rows.len());
    for row in &rows {
        let hot = flow::Hot::decode(&row.state)?;
        let mut item = ProfileRow::of(row);
        item.segments = Some(registry.engine.memberships(&hot.segments).count() as i64);
        let member =
            registry.engine.memberships(&hot.segments).find(|(d, _)| Some(d.key.as_str()) == segment);
        if let Some((definition, since)) = member {
            let facts = flow::Facts { profile: &hot.profile, zone: &registry.zone };
            let until = registry.engine.next_change(&definition.key, &hot.segments, &facts, now);
            item.since = Some(since.into());
            item.until = until.map(Time::from);
        }
        items.push(item);
    }
    let total = match (words, segment) {
        (Some(_), _) => None,
        (None, None) => Some(platform.store.count_profiles(workspace).await?),
        (None, Some(segment)) => {
            let counts = platform.store.segment_counts(workspace).await?;
            Some(counts.into_iter().find(|(id, _)| id == segment).map_or(0, |(_, count)| count))
        }
    };
    Ok(Listing { items, next_cursor, total })
}

/// One person as far as we know.
#[derive(Debug, Serialize, ToSchema)]
pub struct Profile {
    /// Who.
    #[serde(flatten)]
    pub person: Person,
    /// What it is known by.
    pub identifiers: Vec<Identifier>,
    /// What is known of it.
    pub attributes: Vec<Attribute>,
    /// Its word on topics.
    pub consents: Vec<Consent>,
    /// Why its address must not be written to; null where nothing forbids it.
    pub suppressed: Option<Suppression>,
    /// The segments it is in.
    pub segments: Vec<Membership>,
    /// Its latest entries into journeys.
    pub journeys: Vec<Entry>,
    /// Decisions about its identity.
    pub decisions: Vec<Decision>,
    /// Profiles that became part of it.
    pub merged: Vec<Merge>,
    /// Computed values.
    pub scores: BTreeMap<String, Option<f64>>,
    /// The value of every trait.
    pub traits: Vec<ProfileTrait>,
}

/// The value of a trait.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProfileTrait {
    /// The trait.
    pub name: String,
    /// Its value now; null when it is missing.
    pub value: Option<Value>,
    /// When it can change next without an event. Scores fall all the time and tell none.
    pub changes_at: Option<Time>,
}

/// What a profile is known by.
#[derive(Debug, Serialize, ToSchema)]
pub struct Identifier {
    /// user_id, email, phone, external or anonymous_id.
    pub kind: String,
    /// Its value.
    pub value: String,
    /// First seen, by event time.
    pub first_seen_at: Time,
    /// Last seen, by event time.
    pub last_seen_at: Time,
    /// The call that brought it.
    pub source: String,
}

/// A named value.
#[derive(Debug, Serialize, ToSchema)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// null, boolean, number, text, list or object.
    #[serde(rename = "type")]
    pub kind: String,
    /// The event time that set it.
    pub updated_at: Time,
    /// The call that set it.
    pub source: String,
}

/// A segment a profile is in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Membership {
    /// The segment.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Since when.
    pub since: Time,
    /// Until when, if nothing happens.
    pub until: Option<Time>,
    /// Why.
    pub why: String,
}

/// A decision about identity.
#[derive(Debug, Serialize, ToSchema)]
pub struct Decision {
    /// When.
    pub at: Time,
    /// A stable code.
    pub code: String,
    /// For people.
    pub sentence: String,
}

/// A profile that became part of another.
#[derive(Debug, Serialize, ToSchema)]
pub struct Merge {
    /// The profile that is no more.
    pub from: i64,
    /// When.
    pub at: Time,
    /// Why.
    pub reason: String,
}

/// One profile.
#[utoipa::path(get, path = "/api/profiles/{id}", tag = "profiles", operation_id = "profile", params(("id" = i64, Path)), responses((status = 200, body = Profile)))]
async fn one(State(app): State<App>, ws: Ws, At(id): At<i64>) -> Result<Json<Profile>, Problem> {
    Ok(Json(assemble(&app.platform, ws.0, ProfileId(id)).await?))
}

pub(crate) async fn assemble(
    platform: &Platform,
    workspace: WorkspaceId,
    id: ProfileId,
) -> Result<Profile, Problem> {
    let (found, hot) = platform.hot(workspace, id).await?;
    let store = &platform.store;
    let registry = platform.registry(workspace);
    let suppressed = match &found.email {
        Some(email) => platform.suppression(workspace, email).await?.map(Suppression::of),
        None => None,
    };
    let entries = store.entries_before(workspace, None, Some(found.id), None, None, 50).await?;
    let merges = store.merges(workspace).await?.into_iter().filter(|merge| merge.target == found.id);
    let decision = |decision: &flow::Decision| Decision {
        at: decision.at.into(),
        code: decision.code.clone(),
        sentence: decision.sentence.clone(),
    };
    let facts = flow::Facts { profile: &hot.profile, zone: &registry.zone };
    let values = registry.engine.trait_values(&hot.segments, &facts, platform.clock.now());
    let traits: Vec<ProfileTrait> = values
        .into_iter()
        .map(|each| ProfileTrait {
            name: each.name,
            value: each.value,
            changes_at: each.changes_at.map(Time::from),
        })
        .collect();
    let score = traits.iter().find(|each| each.name == segment::score::NAME);
    let score = score.and_then(|each| each.value.as_ref()?.as_f64());
    Ok(Profile {
        person: Person::of(&found),
        identifiers: identifiers(&hot),
        attributes: attributes(&hot),
        consents: store.consents(workspace, found.id).await?.into_iter().map(Consent::of).collect(),
        suppressed,
        segments: memberships(platform, workspace, &found, &hot).await?,
        journeys: entries.iter().map(|row| Entry::of(row, &registry)).collect(),
        decisions: hot.profile.decisions.iter().map(decision).collect(),
        merged: merges
            .map(|merge| Merge { from: merge.source.0, at: merge.at.into(), reason: merge.reason })
            .collect(),
        scores: BTreeMap::from([(segment::score::NAME.to_owned(), score)]),
        traits,
    })
}

fn identifiers(hot: &flow::Hot) -> Vec<Identifier> {
    let known = hot.profile.identifiers.iter();
    known
        .map(|known| Identifier {
            kind: known.kind.name().to_owned(),
            value: known.value.clone(),
            first_seen_at: known.first_seen_at.into(),
            last_seen_at: known.last_seen_at.into(),
            source: known.source.clone(),
        })
        .collect()
}

fn attributes(hot: &flow::Hot) -> Vec<Attribute> {
    let attribute = |(name, attribute): (&String, &flow::Attribute)| {
        let value: Value = serde_json::from_str(&attribute.json).unwrap_or_default();
        let kind = match &value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "text",
            Value::Array(_) => "list",
            Value::Object(_) => "object",
        };
        Attribute {
            name: name.clone(),
            value,
            kind: kind.to_owned(),
            updated_at: attribute.updated_at.into(),
            source: attribute.source.clone(),
        }
    };
    hot.profile.attributes.iter().map(attribute).collect()
}

async fn memberships(
    platform: &Platform,
    workspace: WorkspaceId,
    found: &Stored,
    hot: &flow::Hot,
) -> Result<Vec<Membership>, Problem> {
    let registry = platform.registry(workspace);
    let now = platform.clock.now();
    let facts = flow::Facts { profile: &hot.profile, zone: &registry.zone };
    let causes = platform.store.memberships(found.id).await?;
    let causes: HashMap<String, String> = causes.into_iter().map(|(id, _, cause)| (id, cause)).collect();
    let shown = registry.engine.memberships(&hot.segments).map(|(definition, since)| {
        let until = registry.engine.next_change(&definition.key, &hot.segments, &facts, now);
        let why = causes.get(&definition.key).map(|cause| format!("Entered because: {cause}."));
        Membership {
            id: definition.key.clone(),
            name: definition.name.clone(),
            since: since.into(),
            until: until.map(Time::from),
            why: why.unwrap_or_default(),
        }
    });
    Ok(shown.collect())
}

/// Something a profile did, or that happened to it.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimelineRow {
    /// When.
    pub at: String,
    /// event, message, segment or journey.
    pub kind: String,
    /// The event's name.
    pub title: String,
    /// The most telling property.
    pub detail: String,
    /// All properties.
    #[schema(value_type = BTreeMap<String, Value>)]
    pub data: Map,
}

/// What a profile did and what happened to it, newest first.
#[utoipa::path(get, path = "/api/profiles/{id}/timeline", tag = "profiles", params(("id" = i64, Path), OfKind, Paging), responses((status = 200, body = Listing<TimelineRow>)))]
async fn timeline(
    State(app): State<App>,
    ws: Ws,
    At(id): At<i64>,
    Ask(of): Ask<OfKind>,
    Ask(paging): Ask<Paging>,
) -> Result<Json<Listing<TimelineRow>>, Problem> {
    let (found, _) = app.platform.hot(ws.0, ProfileId(id)).await?;
    let sql = format!(
        "SELECT timestamp, name, properties, message_id FROM events WHERE profile_id = {}{} \
         ORDER BY timestamp DESC, position DESC LIMIT {} OFFSET {}",
        found.id,
        of.kind.map_or("", Kind::condition),
        paging.ask(),
        paging.offset()
    );
    let mut rows = app.platform.query(ws.0, &sql).await?.rows;
    let next_cursor = paging.cut_counted(&mut rows);
    Ok(Json(Listing { items: rows.iter().map(|row| timeline_row(row)).collect(), next_cursor, total: None }))
}

/// What to show of a timeline.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OfKind {
    /// Rows of this kind alone.
    #[param(inline)]
    kind: Option<Kind>,
}

/// The kinds of a timeline's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// What the person did, and what is not of another kind.
    Event,
    /// Mails and what became of them.
    Message,
    /// Segments entered and left.
    Segment,
    /// Journeys entered and left.
    Journey,
}

impl Kind {
    fn of(name: &str) -> Kind {
        match name {
            _ if name.starts_with("Email ") => Kind::Message,
            "Segment Entered" | "Segment Exited" => Kind::Segment,
            "Journey Entered" | "Journey Exited" => Kind::Journey,
            _ => Kind::Event,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Kind::Event => "event",
            Kind::Message => "message",
            Kind::Segment => "segment",
            Kind::Journey => "journey",
        }
    }

    /// The same as [`Kind::of`], for SQL.
    const fn condition(self) -> &'static str {
        match self {
            Kind::Event => {
                " AND name NOT LIKE 'Email %' AND name NOT IN ('Segment Entered', 'Segment Exited', 'Journey Entered', 'Journey Exited')"
            }
            Kind::Message => " AND name LIKE 'Email %'",
            Kind::Segment => " AND name IN ('Segment Entered', 'Segment Exited')",
            Kind::Journey => " AND name IN ('Journey Entered', 'Journey Exited')",
        }
    }
}

fn timeline_row(row: &[Value]) -> TimelineRow {
    let title = row[1].as_str().unwrap_or_default();
    let data: Map = row[2].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let telling = ["segment", "journey", "name", "subject", "link_url", "order_id", "reason"];
    let detail = telling.iter().find_map(|field| data.get(*field)?.as_str()).unwrap_or_default().to_owned();
    TimelineRow {
        at: row[0].as_str().unwrap_or_default().to_owned(),
        kind: Kind::of(title).name().to_owned(),
        title: title.to_owned(),
        detail,
        data,
    }
}

/// The messages of a profile, newest first.
#[utoipa::path(get, path = "/api/profiles/{id}/messages", tag = "profiles", params(("id" = i64, Path), Paging), responses((status = 200, body = Listing<MessageRow>)))]
async fn profile_messages(
    State(app): State<App>,
    ws: Ws,
    At(id): At<i64>,
    Ask(paging): Ask<Paging>,
) -> Result<Json<Listing<MessageRow>>, Problem> {
    let (found, _) = app.platform.hot(ws.0, ProfileId(id)).await?;
    let which = messages::Which { profile: Some(found.id.0), ..messages::Which::default() };
    Ok(Json(messages::listing(&app.platform, ws.0, &which, &paging).await?))
}
