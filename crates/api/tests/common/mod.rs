//! A platform in a directory of its own, and requests through the real router.
#![allow(dead_code, reason = "each test file uses a part")]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use flow::{Options, Platform};
use model::Clock;
use serde_json::Value;
use tower::ServiceExt;

pub const WRITE_KEY: &str = "server-write-key-0123456789abcdef";
pub const API_KEY: &str = "api-key-0123456789abcdef0123456789";

/// A platform without workers, and its routes.
pub struct Server {
    pub platform: Arc<Platform>,
    pub router: Router,
    _dir: tempfile::TempDir,
}

/// An answer, read.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Server {
    pub async fn open() -> Server {
        Server::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Options)) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options {
            data_dir: dir.path().to_owned(),
            base_url: "http://shop.example".to_owned(),
            bootstrap_write_key: Some(WRITE_KEY.to_owned()),
            bootstrap_api_key: Some(API_KEY.to_owned()),
            ..Options::default()
        };
        change(&mut options);
        let platform = Platform::open(options, Clock::system()).await.unwrap();
        let router = api::router(platform.clone());
        Server { platform, router, _dir: dir }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 64 << 20).await.unwrap().to_vec();
        Answer { status: head.status, headers: head.headers, body }
    }

    /// A call of the admin API with the API key.
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.call_with(method, path, body, &[]).await
    }

    pub async fn call_with(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path)
            .header("authorization", format!("Bearer {API_KEY}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }
}

/// A request of any kind.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

/// Each operation of the document: (method, path as described).
pub fn operations() -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(&api::openapi::text()).unwrap();
    let mut out = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            out.push((method.to_uppercase(), path.clone()));
        }
    }
    out
}
