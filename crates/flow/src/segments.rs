//! Conditions as people ask for them, checked; definitions saved and put in force.

use model::{ProfileId, Value, WorkspaceId};
use serde::Serialize;

use crate::Error;
use crate::error::Problem;
use crate::hot::Hot;
use crate::platform::Platform;
use crate::registry;

/// The kinds of definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefinitionKind {
    /// Who.
    Segment,
    /// What happens to them.
    Journey,
    /// What they get.
    Template,
    /// A figure of theirs by name.
    Trait,
    /// What is done when.
    Rule,
    /// What follows from which conditions.
    Table,
}

impl DefinitionKind {
    /// The name in the store and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            DefinitionKind::Segment => "segment",
            DefinitionKind::Journey => "journey",
            DefinitionKind::Template => "template",
            DefinitionKind::Trait => "trait",
            DefinitionKind::Rule => "rule",
            DefinitionKind::Table => "table",
        }
    }
}

/// A definition to be saved.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its id; made from the name when absent.
    pub id: Option<String>,
    /// What people call it.
    pub name: String,
    /// The document.
    pub body: Value,
}

/// The outcome of checking a condition.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// It can be saved.
    pub ok: bool,
    /// What must be corrected.
    pub errors: Vec<Problem>,
    /// What deserves a look.
    pub warnings: Vec<Problem>,
    /// In plain English.
    pub sentence: String,
    /// The tree.
    pub json: Value,
}

/// A parse error with its place.
pub fn problem(path: &str, error: &expr::Error) -> Problem {
    Problem {
        path: path.to_owned(),
        line: error.line as u32,
        column: error.column as u32,
        offset: error.offset as u32,
        message: error.message.clone(),
        expected: error.expected.clone(),
        nearest: error.nearest.clone(),
    }
}

pub(crate) fn parse(text: &str) -> Result<expr::Condition, Error> {
    expr::parse(text).map_err(|error| Error::Invalid {
        code: "invalid_condition",
        detail: error.to_string(),
        problems: vec![problem("/where", &error)],
    })
}

impl Platform {
    /// Checks a condition's text.
    pub fn check(&self, workspace: WorkspaceId, text: &str) -> Check {
        let checked = expr::check_text(text, &self.registry(workspace).schema());
        let condition = checked.condition.as_ref();
        // Events and attributes may come: what is unknown is no warning until a tracking plan says what may come.
        Check {
            ok: checked.errors.is_empty(),
            errors: checked.errors.iter().map(|error| problem("/where", error)).collect(),
            warnings: Vec::new(),
            sentence: condition.map(expr::describe).unwrap_or_default(),
            json: condition.and_then(|c| serde_json::from_str(&c.to_json()).ok()).unwrap_or_default(),
        }
    }

    /// A profile's row and state.
    ///
    /// # Errors
    /// `Missing` when the workspace has no such profile.
    pub async fn hot(
        &self,
        workspace: WorkspaceId,
        id: ProfileId,
    ) -> Result<(store::ProfileRow, Hot), Error> {
        let id = ProfileId(self.lake.alias(id.0).unwrap_or(id.0));
        let row = self.store.load_profiles(&[id]).await?.into_iter().find(|row| row.workspace == workspace);
        let row = row.ok_or_else(|| Error::Missing(format!("There is no profile {id}.")))?;
        let hot = Hot::decode(&row.state)?;
        Ok((row, hot))
    }

    /// A profile's attributes that are not of their declared type.
    ///
    /// # Errors
    /// `Missing` when the workspace has no such profile.
    pub async fn attribute_problems(
        &self,
        workspace: WorkspaceId,
        profile: ProfileId,
    ) -> Result<Vec<profile::Problem>, Error> {
        let (_, hot) = self.hot(workspace, profile).await?;
        Ok(profile::problems(&hot.profile, &self.registry(workspace).types))
    }

    /// The current version of a definition.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn definition(
        &self,
        workspace: WorkspaceId,
        kind: DefinitionKind,
        id: &str,
    ) -> Result<Option<store::DefinitionRow>, Error> {
        let versions = self.store.versions(workspace, kind.name(), id).await?;
        Ok(versions.into_iter().next().filter(|row| row.status != "deleted"))
    }

    /// Checks a definition, writes it as a new version, fills it from history and puts it in force. Fires nothing.
    ///
    /// # Errors
    /// `Invalid` with the place of each fault; nothing is written then.
    pub async fn save_definition(
        &self,
        workspace: WorkspaceId,
        kind: DefinitionKind,
        draft: Draft,
        author: &str,
    ) -> Result<store::DefinitionRow, Error> {
        let id = draft.id.clone().unwrap_or_else(|| slug(&draft.name));
        if draft.name.trim().is_empty() || id.is_empty() || id.len() > 100 {
            return Err(Error::invalid("invalid_name", "/name", "Give it a name of at most 100 characters."));
        }
        let status = match self.definition(workspace, kind, &id).await? {
            Some(row) => row.status,
            None => "live".to_owned(),
        };
        let mut draft = draft;
        let mut listing = None;
        if kind == DefinitionKind::Segment {
            if id.contains(':') {
                return Err(Error::invalid("invalid_name", "/id", "A segment's id has no colon."));
            }
            let versions = self.store.versions(workspace, kind.name(), &id).await?;
            if versions.first().is_some_and(|row| row.status == "deleted") {
                self.end_memberships(workspace, &id).await?;
            }
            crate::lists::adopt(&mut draft.body, &id, &versions);
            listing = self.check_source(workspace, &draft.body).await?;
        }
        let row = store::DefinitionRow {
            kind: kind.name().to_owned(),
            id,
            version: 1,
            name: draft.name,
            body: draft.body.to_string(),
            status,
            author: author.to_owned(),
            at: self.clock.now(),
        };
        self.check_definition(workspace, kind, &row, &draft.body)?;
        if kind == DefinitionKind::Template {
            self.check_contract(workspace, &row.id, &draft.body).await?;
        }
        let Some(members) = listing else { return self.put_in_force(workspace, row).await };
        let _lists = self.hold_lists(workspace, &draft.body).await?;
        let row = self.put_in_force(workspace, row).await?;
        self.take_first(workspace, &row.id, members).await?;
        Ok(row)
    }

    fn check_definition(
        &self,
        workspace: WorkspaceId,
        kind: DefinitionKind,
        row: &store::DefinitionRow,
        body: &Value,
    ) -> Result<(), Error> {
        match kind {
            DefinitionKind::Segment => {
                let text = registry::condition_of(row)?;
                let check = self.check(workspace, &text);
                if let Some(first) = check.errors.first() {
                    return Err(Error::Invalid {
                        code: "invalid_condition",
                        detail: first.message.clone(),
                        problems: check.errors,
                    });
                }
            }
            DefinitionKind::Journey => {
                let definition = serde_json::from_value(body.clone())
                    .map_err(|error| Error::invalid("invalid_journey", "/definition", error.to_string()))?;
                let compiled = journey::Compiled::new(&row.id, 1, definition)
                    .map_err(|e| registry::journey_error(&e))?;
                let registry = self.registry(workspace);
                let schema = registry.schema();
                let problems: Vec<Problem> = compiled
                    .conditions()
                    .flat_map(|(node, text)| {
                        let path = format!("/nodes/{node}/condition");
                        let errors = expr::check_text(text, &schema).errors;
                        errors.into_iter().map(move |error| problem(&path, &error))
                    })
                    .collect();
                if let Some(first) = problems.first() {
                    let detail = first.message.clone();
                    return Err(Error::Invalid { code: "invalid_condition", detail, problems });
                }
                for (node, template) in compiled.templates() {
                    if !registry.templates.contains_key(template) {
                        let message = format!("There is no template '{template}': make it first.");
                        return Err(Error::invalid(
                            "missing_template",
                            &format!("/nodes/{node}/template"),
                            message,
                        ));
                    }
                }
            }
            DefinitionKind::Template => {
                registry::compile_template(body)?;
            }
            DefinitionKind::Trait => self.check_trait(workspace, row)?,
            DefinitionKind::Rule => {
                crate::rules::check(&self.registry(workspace), body)?;
            }
            DefinitionKind::Table => {
                crate::tables::check(&self.registry(workspace), body)?;
            }
        }
        Ok(())
    }

    /// Takes a definition out of force.
    ///
    /// # Errors
    /// `Missing` when there is none; `Conflict` when another one refers to it.
    pub async fn delete_definition(
        &self,
        workspace: WorkspaceId,
        kind: DefinitionKind,
        id: &str,
        author: &str,
    ) -> Result<(), Error> {
        if kind == DefinitionKind::Segment {
            self.check_unneeded(workspace, id)?;
        }
        self.set_definition_status(workspace, kind, id, "deleted", author).await?;
        if kind == DefinitionKind::Segment {
            self.end_memberships(workspace, id).await?;
        }
        Ok(())
    }

    /// Pauses or resumes a definition.
    ///
    /// # Errors
    /// `Missing` when there is none.
    pub async fn set_definition_status(
        &self,
        workspace: WorkspaceId,
        kind: DefinitionKind,
        id: &str,
        status: &str,
        author: &str,
    ) -> Result<(), Error> {
        let found = self.definition(workspace, kind, id).await?;
        let mut row = found.ok_or_else(|| Error::Missing(format!("There is no {} '{id}'.", kind.name())))?;
        row.status = status.to_owned();
        row.author = author.to_owned();
        row.at = self.clock.now();
        self.put_in_force(workspace, row).await?;
        if kind == DefinitionKind::Journey {
            self.status_was_set(workspace, id).await?;
        }
        Ok(())
    }
}

/// An id from a name.
fn slug(name: &str) -> String {
    let mut out = String::new();
    for c in name.to_lowercase().chars() {
        if c.is_alphanumeric() {
            out.push(c);
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}
