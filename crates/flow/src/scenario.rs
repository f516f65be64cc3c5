//! The tests that stand in a template's body, run with what every mail of a workspace has.

use model::{Value, WorkspaceId};
use serde_json::json;
use template::scenario::{Outcome, Scenario};

use crate::platform::Platform;

impl Platform {
    /// Runs the tests of a template's body. What a test does not give of the workspace and its links is as it is now.
    pub(crate) fn run_scenarios(
        &self,
        workspace: WorkspaceId,
        template: &template::Template,
        body: &Value,
    ) -> Vec<Outcome> {
        let scenarios: Vec<Scenario> = template::scenario::of(body);
        if scenarios.is_empty() {
            return Vec::new();
        }
        let link = |path: &str| format!("{}/{path}/preview", self.options.base_url);
        let usual = json!({
            "workspace": self.registry(workspace).settings,
            "links": {"unsubscribe": link("u"), "preferences": link("p"), "view_in_browser": link("v")},
            "message": {"id": ""}, "customer": {"id": 0}, "site": {"recommendations": {}},
        });
        let options = template::Options { now: self.clock.now(), ..template::Options::default() };
        scenarios.iter().map(|scenario| scenario.run(template, &usual, &options)).collect()
    }
}
