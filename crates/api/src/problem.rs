//! Errors as problem details. Source: RFC 9457.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::Kind;
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong, as `application/problem+json`. Source: RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Details {
    /// Names the kind of problem; leads to its documentation.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A stable code for programs.
    pub code: String,
    /// What happened, why, and what to do.
    pub detail: String,
    /// Each fault of the input, with its place.
    pub errors: Vec<Finding>,
}

/// A fault in something a person wrote, or what deserves a look there.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Finding {
    /// Where in the document, such as `/where`.
    pub path: String,
    /// Line from 1; 0 where it does not apply.
    pub line: u32,
    /// Column from 1; 0 where it does not apply.
    pub column: u32,
    /// Byte offset.
    pub offset: u32,
    /// What is wrong and what to do.
    pub message: String,
    /// What was expected there.
    pub expected: Vec<String>,
    /// The nearest known name.
    pub nearest: Option<String>,
}

impl From<flow::Problem> for Finding {
    fn from(found: flow::Problem) -> Finding {
        Finding {
            path: found.path,
            line: found.line,
            column: found.column,
            offset: found.offset,
            message: found.message,
            expected: found.expected,
            nearest: found.nearest,
        }
    }
}

/// An error on its way to the caller.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: String,
    detail: String,
    errors: Vec<Finding>,
    retry_after_s: Option<u32>,
}

impl Problem {
    fn plain(status: StatusCode, code: &str, detail: &str) -> Problem {
        Problem {
            status,
            code: code.to_owned(),
            detail: detail.to_owned(),
            errors: Vec::new(),
            retry_after_s: None,
        }
    }

    /// 404.
    pub fn missing(detail: &str) -> Problem {
        Problem::plain(StatusCode::NOT_FOUND, "missing", detail)
    }

    /// 401.
    pub fn unauthorised(detail: &str) -> Problem {
        Problem::plain(StatusCode::UNAUTHORIZED, "unauthorised", detail)
    }

    /// 403.
    pub fn forbidden(detail: &str) -> Problem {
        Problem::plain(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 400: it cannot be read at all.
    pub fn unreadable(detail: &str) -> Problem {
        Problem::plain(StatusCode::BAD_REQUEST, "unreadable", detail)
    }

    /// 405.
    pub fn method() -> Problem {
        Problem::plain(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "This address does not take that method: see the header Allow.",
        )
    }

    /// 409.
    pub fn conflict(code: &str, detail: &str) -> Problem {
        Problem::plain(StatusCode::CONFLICT, code, detail)
    }

    /// 415.
    pub fn unsupported(detail: &str) -> Problem {
        Problem::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    /// 422.
    pub fn invalid(detail: &str) -> Problem {
        Problem::plain(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
    }

    /// 413.
    pub fn too_large(detail: &str) -> Problem {
        Problem::plain(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    }

    /// 408: senders try again.
    pub fn slow() -> Problem {
        let detail = "The body did not arrive in time; send the same again.";
        Problem::plain(StatusCode::REQUEST_TIMEOUT, "timeout", detail)
    }

    /// 429.
    pub fn busy() -> Problem {
        let mut problem = Problem::plain(
            StatusCode::TOO_MANY_REQUESTS,
            "limited",
            "Too much is in work; send the same again after the time in Retry-After.",
        );
        problem.retry_after_s = Some(1);
        problem
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Problem {
        flow::Error::from(error).into()
    }
}

impl From<flow::Error> for Problem {
    fn from(error: flow::Error) -> Problem {
        if let flow::Error::Store(reused @ store::Error::Reused(_)) = &error {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Problem::plain(status, "idempotency_key_reused", &reused.to_string());
        }
        let status = match error.kind() {
            Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Denied => StatusCode::FORBIDDEN,
            Kind::Missing => StatusCode::NOT_FOUND,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::Limited => StatusCode::TOO_MANY_REQUESTS,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Corrupt | Kind::Bug => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let retry = matches!(error.kind(), Kind::Limited | Kind::Unavailable).then_some(1);
        if status.is_server_error() {
            tracing::error!(%error, "a request failed");
        }
        // What broke inside is for the log, not for the caller.
        let detail = if status == StatusCode::INTERNAL_SERVER_ERROR {
            "Something broke on our side; the log has the details.".to_owned()
        } else {
            error.to_string()
        };
        Problem {
            status,
            code: error.code().to_owned(),
            detail,
            errors: error.problems().iter().cloned().map(Finding::from).collect(),
            retry_after_s: retry,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Details {
            kind: format!("/docs/errors#{}", self.code),
            title: self.status.canonical_reason().unwrap_or_default().to_owned(),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail,
            errors: self.errors,
        };
        let text = serde_json::to_string(&body).unwrap_or_default();
        let mut response = (self.status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
