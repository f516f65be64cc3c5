//! Reading requests: a path, a query or a body that cannot be read is a problem with its reason, never a bare status.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::Problem;

/// A JSON body.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// Query parameters.
#[derive(Debug)]
pub struct Ask<T>(pub T);

/// Parameters of the path.
#[derive(Debug)]
pub struct At<T>(pub T);

/// A body as it came.
#[derive(Debug)]
pub struct Raw(pub Bytes);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, Problem> {
        let read = Json::<T>::from_request(request, state).await;
        read.map(|Json(value)| Body(value)).map_err(|error| {
            let detail = error.body_text();
            match error {
                JsonRejection::MissingJsonContentType(_) => {
                    Problem::unsupported("Send the body as JSON, with Content-Type: application/json.")
                }
                JsonRejection::JsonSyntaxError(_) => Problem::unreadable(&detail),
                JsonRejection::JsonDataError(_) => Problem::invalid(&detail),
                other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => too_large(),
                _ => Problem::unreadable(&detail),
            }
        })
    }
}

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Raw, Problem> {
        let read = Bytes::from_request(request, state).await;
        read.map(Raw).map_err(|error| {
            if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
                too_large()
            } else {
                Problem::unreadable(&error.body_text())
            }
        })
    }
}

fn too_large() -> Problem {
    Problem::too_large("The body is longer than this address takes: send less at once.")
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Ask<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Ask<T>, Problem> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        read.map(|Query(value)| Ask(value)).map_err(|error| Problem::unreadable(&error.body_text()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<At<T>, Problem> {
        let read = Path::<T>::from_request_parts(parts, state).await;
        // An id that cannot be one names nothing.
        read.map(|Path(value)| At(value)).map_err(|error| Problem::missing(&error.body_text()))
    }
}
