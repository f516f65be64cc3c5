//! A condition as SQL that the query page and a warehouse answer: who would be in a segment, for analysts.

use std::collections::BTreeSet;

use expr::Attributes;
use expr::sql::{DataFusion, Names};
use model::{ProfileId, Value, WorkspaceId};
use serde_json::json;

use crate::Error;
use crate::hot::{Facts, Hot};
use crate::platform::Platform;
use crate::registry::Registry;

/// Profiles read at once.
const CHUNK: i64 = 5_000;
/// Different time zones of profiles; a statement holds a row for each.
const ZONES_MAX: usize = 600;

impl Names for Registry {
    fn segment(&self, name: &str) -> Option<(String, expr::Condition)> {
        let named = |(id, segment): &(&String, &crate::registry::SegmentInForce)| {
            id.as_str() == name || segment.name == name
        };
        let (id, segment) = self.segments.iter().find(named)?;
        Some((id.clone(), expr::parse(&segment.condition).ok()?))
    }

    fn figure(&self, name: &str) -> Option<expr::Figure> {
        self.traits.get(name).map(|known| known.figure.clone())
    }
}

/// What SQL reads of a profile: time zone, consents, seed of random draws. Shape: as `expr::sql` says.
pub(crate) fn columns(hot: &Hot, zone: &jiff::tz::TimeZone) -> [Value; 3] {
    let facts = Facts { profile: &hot.profile, zone };
    let consents: model::Map = hot
        .profile
        .consents
        .iter()
        .map(|(about, said)| {
            let said = json!({"given": said.given, "at": said.updated_at.micros(), "by": said.by});
            (about.clone(), said)
        })
        .collect();
    let name = name_of(&facts.zone());
    [json!(name), json!(Value::Object(consents).to_string()), json!(facts.seed())]
}

fn name_of(zone: &jiff::tz::TimeZone) -> String {
    zone.iana_name().unwrap_or("UTC").to_owned()
}

impl Platform {
    /// A condition as one SELECT over `events` and `profiles`, as of now: the profiles for whom it holds.
    ///
    /// # Errors
    /// `Invalid` for a condition that cannot be read or put into SQL.
    pub async fn statement(&self, workspace: WorkspaceId, text: &str) -> Result<String, Error> {
        let condition = crate::segments::parse(text)?;
        let registry = self.registry(workspace);
        let mut zones = BTreeSet::from([name_of(&registry.zone)]);
        let mut after = ProfileId(0);
        loop {
            let rows = self.store.scan_profiles(workspace, after, CHUNK).await?;
            let Some(last) = rows.last() else { break };
            after = last.id;
            for row in &rows {
                let hot = Hot::decode(&row.state)?;
                zones.insert(name_of(&Facts { profile: &hot.profile, zone: &registry.zone }.zone()));
            }
            if zones.len() > ZONES_MAX {
                return Err(Error::invalid("invalid_condition", "/where", "There are too many time zones."));
            }
        }
        let zones: Vec<&str> = zones.iter().map(String::as_str).collect();
        expr::sql::members(&condition, &*registry, self.clock.now(), &zones, &DataFusion)
            .map_err(|error| Error::invalid("invalid_condition", "/where", format!("{error}.")))
    }
}
