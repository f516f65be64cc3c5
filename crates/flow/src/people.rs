//! What previews read of profiles, kept as columns by their numbers: which exist, and the attributes, consents and
//! seeds that somebody has asked for. Read from the store once, then only where a step has written since.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use expr::Attributes;
use model::{ProfileId, Value, WorkspaceId};
use profile::Profile;
use segment::{Asked, Fact, People};

use crate::Error;
use crate::hot::Hot;
use crate::platform::Platform;

/// Profiles read at once.
const CHUNK: i64 = 5_000;
/// Distinct values of one column up to which equal ones are kept once.
const SHARED_MAX: usize = 1 << 16;
/// Changed profiles that are noted; beyond, all are read again. Each takes about 20 bytes.
const CHANGED_MAX: usize = 1 << 20;
/// What all columns of a workspace may take; beyond, they are read anew when they are asked for. Units: bytes.
const BYTES_MAX: usize = 384 << 20;

/// What is asked of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Question {
    Attribute(String),
    Consent(String),
    Seed,
}

impl Question {
    fn answer(&self, profile: &Profile) -> Option<Value> {
        match self {
            Question::Attribute(path) => profile.get(path).map(|value| value.into_owned()),
            Question::Consent(about) => {
                Attributes::consent(profile, about).map(|consent| segment::consent_value(&consent))
            }
            Question::Seed => Attributes::seed(profile).map(|seed| seed.into_owned().into()),
        }
    }

    fn column<'a>(&self, people: &'a mut People) -> &'a mut Fact {
        match self {
            Question::Attribute(path) => people.attributes.entry(path.clone()).or_default(),
            Question::Consent(about) => people.consents.entry(about.clone()).or_default(),
            Question::Seed => people.seed.get_or_insert_default(),
        }
    }
}

fn questions(asked: &Asked) -> HashSet<Question> {
    let attributes = asked.attributes.iter().cloned().map(Question::Attribute);
    let consents = asked.consents.iter().cloned().map(Question::Consent);
    attributes.chain(consents).chain(asked.seed.then_some(Question::Seed)).collect()
}

/// A column's codes by the JSON of its values, while there are few.
#[derive(Default)]
struct Codebook {
    codes: HashMap<String, u32>,
    bytes: usize,
}

impl Codebook {
    fn put(&mut self, fact: &mut Fact, number: usize, value: Option<Value>) {
        if fact.codes.len() <= number {
            fact.codes.resize(number + 1, 0);
        }
        let Some(value) = value else {
            fact.codes[number] = 0;
            return;
        };
        let next = fact.values.len() as u32;
        if fact.values.len() > SHARED_MAX {
            // Nearly everybody has another one: looking for equals would cost more than it saves.
            self.codes = HashMap::new();
            self.bytes += value.as_str().map_or(64, str::len) + 48;
            fact.values.push(Some(value));
            fact.codes[number] = next;
            return;
        }
        let text = value.to_string();
        let length = text.len();
        let code = *self.codes.entry(text).or_insert(next);
        if code == next {
            self.bytes += 2 * length + 100;
            fact.values.push(Some(value));
        }
        fact.codes[number] = code;
    }
}

#[derive(Default)]
struct Of {
    people: Arc<People>,
    books: HashMap<Question, Codebook>,
    /// The profiles that exist have been read.
    is_read: bool,
    /// A refresh that was cut short leaves it half done: all is read again.
    is_broken: bool,
}

impl Of {
    fn bytes(&self) -> usize {
        let books: usize = self.books.values().map(|book| book.bytes).sum();
        books + 4 * self.books.len() * self.people.present.size()
    }

    fn take(&mut self, questions: &HashSet<Question>, id: i64, profile: &Profile) {
        let people = Arc::make_mut(&mut self.people);
        let number = id as usize;
        for question in questions {
            let book = self.books.entry(question.clone()).or_default();
            book.put(question.column(people), number, question.answer(profile));
        }
    }

    fn forget_columns(&mut self) {
        let people = Arc::make_mut(&mut self.people);
        people.attributes.clear();
        people.consents.clear();
        people.seed = None;
        self.books.clear();
    }
}

/// Profiles that steps have written (true) or merged away (false) since they were read here; `None` when too many.
type Changed = HashMap<WorkspaceId, Option<HashMap<i64, bool>>>;

/// The columns of all workspaces.
#[derive(Default)]
pub(crate) struct Known {
    /// One preview at a time reads what is missing; the others find it then.
    read: tokio::sync::Mutex<HashMap<WorkspaceId, Of>>,
    /// Only of workspaces that have been read.
    changed: Mutex<Changed>,
}

impl Known {
    fn changed(&self) -> MutexGuard<'_, Changed> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a step has committed.
    pub fn note<'a>(
        &self,
        written: impl Iterator<Item = &'a (WorkspaceId, ProfileId)>,
        gone: impl Iterator<Item = &'a (WorkspaceId, ProfileId)>,
    ) {
        let mut changed = self.changed();
        if changed.is_empty() {
            return;
        }
        for ((workspace, id), exists) in written.map(|key| (key, true)).chain(gone.map(|key| (key, false))) {
            let Some(noted) = changed.get_mut(workspace) else { continue };
            if noted.as_ref().is_some_and(|noted| noted.len() >= CHANGED_MAX) {
                *noted = None;
            }
            if let Some(noted) = noted {
                noted.insert(id.0, exists);
            }
        }
    }

    /// The profiles of a workspace with what is asked of them.
    ///
    /// Cost: a read of all ids at first, of all profiles when a question is new, and of those that were written since.
    pub async fn of(
        &self,
        platform: &Platform,
        workspace: WorkspaceId,
        asked: &Asked,
    ) -> Result<Arc<People>, Error> {
        let mut all = self.read.lock().await;
        let of = all.entry(workspace).or_default();
        let wanted = questions(asked);
        // From here on steps note what they write, so nothing is missed between two reads.
        let noted = self.changed().insert(workspace, Some(HashMap::new())).unwrap_or_default();
        let Some(noted) = noted.filter(|_| !of.is_broken) else {
            *of = Of::default();
            return self.refresh(platform, workspace, of, &wanted, HashMap::new()).await;
        };
        if of.bytes() > BYTES_MAX {
            of.forget_columns();
        }
        self.refresh(platform, workspace, of, &wanted, noted).await
    }

    async fn refresh(
        &self,
        platform: &Platform,
        workspace: WorkspaceId,
        of: &mut Of,
        wanted: &HashSet<Question>,
        noted: HashMap<i64, bool>,
    ) -> Result<Arc<People>, Error> {
        let store = &platform.store;
        of.is_broken = true;
        if !of.is_read {
            let ids = store.profile_ids(workspace).await?;
            let people = Arc::make_mut(&mut of.people);
            people.present.grow(ids.iter().map(|id| id.0 as usize + 1).max().unwrap_or(0));
            for id in &ids {
                people.present.add(id.0 as usize);
            }
            of.is_read = true;
        }
        let missing: HashSet<Question> =
            wanted.iter().filter(|question| !of.books.contains_key(question)).cloned().collect();
        let mut after = ProfileId(0);
        while !missing.is_empty() {
            let rows = store.scan_profiles(workspace, after, CHUNK).await?;
            let Some(last) = rows.last() else { break };
            after = last.id;
            for row in &rows {
                of.take(&missing, row.id.0, &Hot::decode_profile(&row.state)?);
            }
        }
        for question in missing {
            // A question that nobody could answer is answered too.
            of.books.entry(question).or_default();
        }
        take_changes(platform, workspace, of, noted).await?;
        of.is_broken = false;
        Ok(of.people.clone())
    }
}

/// Takes in what steps have written since the last read.
async fn take_changes(
    platform: &Platform,
    workspace: WorkspaceId,
    of: &mut Of,
    changed: HashMap<i64, bool>,
) -> Result<(), Error> {
    if changed.is_empty() {
        return Ok(());
    }
    let people = Arc::make_mut(&mut of.people);
    for (id, exists) in &changed {
        if *exists {
            people.present.grow(*id as usize + 1);
            people.present.add(*id as usize);
        } else {
            people.present.remove(*id as usize);
        }
    }
    let known: HashSet<Question> = of.books.keys().cloned().collect();
    if known.is_empty() {
        return Ok(());
    }
    let ids: Vec<ProfileId> =
        changed.into_iter().filter(|(_, exists)| *exists).map(|(id, _)| ProfileId(id)).collect();
    for ids in ids.chunks(CHUNK as usize) {
        for row in platform.store.load_profiles(ids).await? {
            if row.workspace == workspace {
                of.take(&known, row.id.0, &Hot::decode_profile(&row.state)?);
            }
        }
    }
    Ok(())
}
