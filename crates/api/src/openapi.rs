//! The OpenAPI document: made from the routes themselves, so that what is served is what is described.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ContentBuilder, HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
    ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::{Details, Finding};

/// What stands before any route is added.
pub(crate) fn frame() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Rapport")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Collector, admin API and recipients' pages. Errors are problem details (RFC 9457). Lists are pages with a cursor. \
             A POST with an effect takes the header Idempotency-Key; see docs/api.md.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    OpenApiBuilder::new().info(info).build()
}

/// Adds what all routes have in common: the ways to sign in, and problems.
pub(crate) fn finish(mut api: OpenApi) -> OpenApi {
    let components = api.components.get_or_insert_with(Default::default);
    components.schemas.insert("Problem".to_owned(), Details::schema());
    components.schemas.insert(Finding::name().into_owned(), Finding::schema());
    let basic = |text: &str| {
        let mut scheme = Http::new(HttpAuthScheme::Basic);
        scheme.description = Some(text.to_owned());
        SecurityScheme::Http(scheme)
    };
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.description = Some("An API key.".to_owned());
    components.add_security_scheme("api_key", SecurityScheme::Http(bearer));
    let cookie = ApiKeyValue::with_description(
        "rapport_session",
        "A console session; a change carries the header x-rapport as well.",
    );
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let text = "A write key as the user name, without a password; or as writeKey in the body.";
    components.add_security_scheme("write_key", basic(text));
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = ResponseBuilder::new()
        .description("What went wrong.")
        .content("application/problem+json", problem)
        .build();
    components.responses.insert("Problem".to_owned(), RefOr::T(response));
    for (path, item) in &mut api.paths.paths {
        for (method, operation) in [
            (HttpMethod::Get, &mut item.get),
            (HttpMethod::Post, &mut item.post),
            (HttpMethod::Put, &mut item.put),
            (HttpMethod::Delete, &mut item.delete),
        ] {
            if let Some(operation) = operation {
                complete(path, &method, operation);
            }
        }
    }
    api
}

fn complete(path: &str, method: &HttpMethod, operation: &mut Operation) {
    let schemes: &[&str] = match path {
        "/api/session" if *method == HttpMethod::Post => &[],
        "/v1/{call}" => &["write_key"],
        _ if path.starts_with("/api/") => &["api_key", "session"],
        _ => &[],
    };
    if !schemes.is_empty() {
        let none: [&str; 0] = [];
        operation.security = Some(schemes.iter().map(|name| SecurityRequirement::new(*name, none)).collect());
    }
    let speaks_json = path.starts_with("/api/") || path == "/v1/{call}" || path == "/readyz";
    if speaks_json {
        let problem = RefOr::Ref(Ref::from_response_name("Problem"));
        operation.responses.responses.entry("default".to_owned()).or_insert(problem);
    }
}

/// The document as it is committed and served.
pub fn text() -> String {
    let api = crate::described().1;
    let mut text = api.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}
