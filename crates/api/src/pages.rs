//! What recipients meet: open, click, unsubscribe, preferences, view in browser. Without script, in the workspace's look.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use flow::{Hint, Recipient};
use mail::TokenKind;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::extract::Raw;
use crate::{App, Problem, collector};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(open))
        .routes(routes!(click))
        .routes(routes!(unsubscribe_page, unsubscribe))
        .routes(routes!(unsubscribe_slash))
        .routes(routes!(preferences_page, preferences))
        .routes(routes!(view))
}

fn hint(method: &Method, headers: &HeaderMap) -> Hint {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Hint { method: method.to_string(), user_agent: agent.to_owned(), ip: None }
}

/// Notes an open; always answers with a transparent picture.
#[utoipa::path(get, path = "/t/o/{token}", tag = "recipients", params(("token" = String, Path, description = "From a mail of ours; authenticated.")), responses((status = 200, body = String, content_type = "image/gif", description = "The picture.")))]
async fn open(
    State(app): State<App>,
    Path(token): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    app.platform.opened(&token, hint(&method, &headers)).await;
    collector::gif()
}

/// Notes a click and leads on; the destination is the message's own.
#[utoipa::path(get, path = "/t/c/{token}", tag = "recipients", params(("token" = String, Path, description = "From a mail of ours; authenticated.")), responses((status = 302, description = "To the destination."), (status = 404, body = String, content_type = "text/html", description = "The token is not ours.")))]
async fn click(
    State(app): State<App>,
    Path(token): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    match app.platform.clicked(&token, hint(&method, &headers)).await {
        Ok(url) => match axum::http::HeaderValue::from_str(&url) {
            Ok(value) => {
                (StatusCode::FOUND, [(header::LOCATION, value)], [(header::CACHE_CONTROL, "no-store")])
                    .into_response()
            }
            Err(_) => lost(),
        },
        Err(_) => lost(),
    }
}

fn lost() -> Response {
    let body = "<h1>This link is not valid</h1><p>Use the link in the mail as it is, without changes.</p>";
    (StatusCode::NOT_FOUND, page("Link not valid", "#1f6f78", "", body)).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

fn page(title: &str, color: &str, brand: &str, body: &str) -> Response {
    let plain =
        color.len() == 7 && color.starts_with('#') && color[1..].bytes().all(|byte| byte.is_ascii_hexdigit());
    let color = if plain { color } else { "#1f6f78" };
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><meta name=\"robots\" content=\"noindex\"><title>{title}</title><style>\
         :root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui,sans-serif;margin:0;background:Canvas;color:CanvasText}}\
         main{{max-width:32rem;margin:12vh auto;padding:0 1.5rem}}h1{{font-size:1.5rem;line-height:1.3}}\
         button{{font:inherit;font-weight:600;color:#fff;background:{color};border:0;border-radius:8px;padding:.7rem 1.2rem;cursor:pointer}}\
         label{{display:block;padding:.6rem 0;border-bottom:1px solid #8884}}.brand{{color:GrayText}}</style></head>\
         <body><main><p class=\"brand\">{}</p>{body}</main></body></html>",
        escape(brand)
    );
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy), (header::REFERRER_POLICY, "no-referrer")], Html(html))
        .into_response()
}

fn unsubscribe_form(recipient: &Recipient, token: &str, preferences: &str) -> Response {
    let body = format!(
        "<h1>Stop these mails?</h1><p>{} will get no more marketing mail from us.</p>\
         <form method=\"post\" action=\"/u/{}\"><button>Unsubscribe</button></form>{preferences}",
        escape(&recipient.email),
        escape(token),
    );
    page("Unsubscribe", &recipient.color, &recipient.brand, &body)
}

/// Shows a page and changes nothing: scanners follow links too.
#[utoipa::path(get, path = "/u/{token}", tag = "recipients", params(("token" = String, Path, description = "From a mail of ours; authenticated.")), responses((status = 200, body = String, content_type = "text/html", description = "The page."), (status = 404, body = String, content_type = "text/html", description = "The token is not ours.")))]
async fn unsubscribe_page(State(app): State<App>, Path(token): Path<String>) -> Response {
    match app.platform.recipient(TokenKind::Unsubscribe, &token).await {
        Ok(recipient) => unsubscribe_form(&recipient, &token, ""),
        Err(_) => lost(),
    }
}

/// One click, as a form, multipart or nothing at all in the body: the address alone says who. Source: RFC 8058.
#[utoipa::path(post, path = "/u/{token}", tag = "recipients", params(("token" = String, Path, description = "From a mail of ours; authenticated.")), responses((status = 200, body = String, content_type = "text/html", description = "It is in force."), (status = 404, body = String, content_type = "text/html", description = "The token is not ours.")))]
async fn unsubscribe(
    State(app): State<App>,
    Path(token): Path<String>,
    Raw(body): Raw,
) -> Result<Response, Problem> {
    let one_click = body.windows(9).any(|part| part == b"One-Click");
    let Ok(recipient) = app.platform.recipient(TokenKind::Unsubscribe, &token).await else {
        return Ok(lost());
    };
    app.platform.unsubscribe(&token, if one_click { "one_click" } else { "link" }).await?;
    let body = format!(
        "<h1>You are unsubscribed</h1><p>{} will get no more marketing mail from us. It is in force now.</p>",
        escape(&recipient.email)
    );
    Ok(page("Unsubscribed", &recipient.color, &recipient.brand, &body))
}

/// The same; some mail programs add a slash.
#[utoipa::path(post, path = "/u/{token}/", tag = "recipients", params(("token" = String, Path, description = "From a mail of ours; authenticated.")), responses((status = 200, body = String, content_type = "text/html", description = "It is in force."), (status = 404, body = String, content_type = "text/html", description = "The token is not ours.")))]
async fn unsubscribe_slash(app: State<App>, token: Path<String>, body: Raw) -> Result<Response, Problem> {
    unsubscribe(app, token, body).await
}

/// The preference centre.
#[utoipa::path(get, path = "/p/{token}", tag = "recipients", params(("token" = String, Path, description = "From a mail of ours; authenticated.")), responses((status = 200, body = String, content_type = "text/html", description = "The page."), (status = 404, body = String, content_type = "text/html", description = "The token is not ours.")))]
async fn preferences_page(State(app): State<App>, Path(token): Path<String>) -> Response {
    match app.platform.recipient(TokenKind::Preferences, &token).await {
        Ok(recipient) => preferences_form(&recipient, &token, ""),
        Err(_) => lost(),
    }
}

fn preferences_form(recipient: &Recipient, token: &str, notice: &str) -> Response {
    let mut topics = recipient.topics.clone();
    for known in ["marketing", recipient.topic.as_str()] {
        if known != "transactional" && !topics.iter().any(|(topic, _)| topic == known) {
            topics.push((known.to_owned(), true));
        }
    }
    let rows: String = topics
        .iter()
        .map(|(topic, subscribed)| {
            let checked = if *subscribed { " checked" } else { "" };
            let name = escape(topic);
            format!(
                "<input type=\"hidden\" name=\"known\" value=\"{name}\"><label><input type=\"checkbox\" name=\"topic\" \
                 value=\"{name}\"{checked}> {name}</label>"
            )
        })
        .collect();
    let body = format!(
        "<h1>What may we send you?</h1>{notice}<p>{}</p><form method=\"post\" action=\"/p/{}\">{rows}<p><button>Save</button></p></form>",
        escape(&recipient.email),
        escape(token)
    );
    page("Preferences", &recipient.color, &recipient.brand, &body)
}

/// Sets topics; in force when it answers.
#[utoipa::path(post, path = "/p/{token}", tag = "recipients", params(("token" = String, Path, description = "From a mail of ours; authenticated.")), responses((status = 200, body = String, content_type = "text/html", description = "The page, saved."), (status = 404, body = String, content_type = "text/html", description = "The token is not ours.")))]
async fn preferences(
    State(app): State<App>,
    Path(token): Path<String>,
    Raw(body): Raw,
) -> Result<Response, Problem> {
    let form: Vec<(String, String)> = form_pairs(&body);
    if app.platform.recipient(TokenKind::Preferences, &token).await.is_err() {
        return Ok(lost());
    }
    let chosen = |topic: &str| form.iter().any(|(name, value)| name == "topic" && value == topic);
    let topics: Vec<(String, bool)> = form
        .iter()
        .filter(|(name, value)| name == "known" && value.len() <= 100)
        .take(50)
        .map(|(_, topic)| (topic.clone(), chosen(topic)))
        .collect();
    app.platform.set_topics(&token, &topics).await?;
    let recipient = app.platform.recipient(TokenKind::Preferences, &token).await?;
    Ok(preferences_form(&recipient, &token, "<p><strong>Saved.</strong></p>"))
}

fn form_pairs(body: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(body);
    let decode = |part: &str| {
        percent_encoding::percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned()
    };
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// The mail as it was sent.
#[utoipa::path(get, path = "/v/{token}", tag = "recipients", params(("token" = String, Path, description = "From a mail of ours; authenticated.")), responses((status = 200, body = String, content_type = "text/html", description = "The mail."), (status = 404, body = String, content_type = "text/html", description = "The token is not ours.")))]
async fn view(State(app): State<App>, Path(token): Path<String>) -> Response {
    match app.platform.view_in_browser(&token).await {
        Ok(html) => {
            let policy = "default-src 'none'; img-src * data:; style-src 'unsafe-inline'; font-src *; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";
            ([(header::CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response()
        }
        Err(_) => lost(),
    }
}
