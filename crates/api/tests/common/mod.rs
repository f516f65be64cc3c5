//! A platform in a directory of its own, and requests through the real router.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test file uses a part; helpers of tests"
)]

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
        Server::at(Clock::system(), change).await
    }

    /// With a clock of the test's own.
    pub async fn at(clock: Clock, change: impl FnOnce(&mut Options)) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options {
            data_dir: dir.path().to_owned(),
            base_url: "http://shop.example".to_owned(),
            bootstrap_write_key: Some(WRITE_KEY.to_owned()),
            bootstrap_api_key: Some(API_KEY.to_owned()),
            ..Options::default()
        };
        change(&mut options);
        let platform = Platform::open(options, clock).await.unwrap();
        let router = api::router(platform.clone());
        Server { platform, router, _dir: dir }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 64 << 20).await.unwrap().to_vec();
        Answer { status: head.status, headers: head.headers, body }
    }

    /// Calls of a server's key; all of them are stored.
    pub async fn collect(&self, calls: Value) {
        let key = [("authorization", basic(WRITE_KEY))];
        let key: Vec<(&str, &str)> = key.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = serde_json::json!({"batch": calls}).to_string();
        let answer = self.send(request("POST", "/v1/batch", &key, body)).await;
        assert_eq!(answer.text(), r#"{"success":true}"#);
    }

    /// Waits for the workers: everything collected has been stepped and is in the lake.
    pub async fn stepped(&self) {
        until(async || self.platform.lag_events() == 0).await;
    }

    /// All items of a list, page by page.
    pub async fn pages(&self, path: &str, limit: usize) -> Vec<Value> {
        let mut out = Vec::new();
        let mut cursor = String::new();
        let sign = if path.contains('?') { '&' } else { '?' };
        loop {
            let answer = self.call("GET", &format!("{path}{sign}limit={limit}{cursor}"), None).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
            let page = answer.json();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= limit, "{path}");
            out.extend(items.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => {
                    assert_eq!(items.len(), limit, "{path}: a cursor stands on a full page");
                    cursor = format!("&cursor={}", next.replace(':', "%3A"));
                }
                None => return out,
            }
        }
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

/// Waits until something holds; gives up after a minute.
pub async fn until(holds: impl AsyncFn() -> bool) {
    for _ in 0..6_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it did not come to hold");
}

/// `Basic` authorization with a write key.
pub fn basic(key: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{key}:")))
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
