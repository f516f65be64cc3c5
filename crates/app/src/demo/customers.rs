//! Simulated customers: they look into the built-in inbox, and some open, click or unsubscribe, through the same
//! links a real recipient would use.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use flow::{Hint, Platform};

use super::WORKSPACE;
use super::random::Random;

/// Messages looked at in one round.
const LOOK_MAX: usize = 100;

/// Reads new mails until `stop` is set.
pub async fn run(platform: Arc<Platform>, seed: u64, stop: Arc<AtomicBool>) -> Result<()> {
    let mut seen: HashSet<String> = HashSet::new();
    let mut beat = tokio::time::interval(Duration::from_secs(2));
    let hint = || Hint {
        method: "GET".to_owned(),
        user_agent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) RapportDemo/1.0".to_owned(),
        ip: None,
    };
    while !stop.load(Ordering::Relaxed) {
        beat.tick().await;
        for (id, html) in platform.delivered_html(WORKSPACE, LOOK_MAX).await? {
            if !seen.insert(id.clone()) {
                continue;
            }
            let number = id.bytes().fold(0_u64, |n, b| n.wrapping_mul(31).wrapping_add(u64::from(b)));
            let mut random = Random::new(seed, number);
            if !random.chance(0.7) {
                continue;
            }
            if let Some(token) = token(&html, "/t/o/") {
                platform.opened(token, hint()).await;
            }
            if random.chance(0.55) {
                if let Some(token) = token(&html, "/t/c/") {
                    platform.clicked(token, hint()).await?;
                }
            } else if random.chance(0.04)
                && let Some(token) = token(&html, "/u/")
            {
                platform.unsubscribe(token, "link").await?;
            }
        }
        if seen.len() > 50_000 {
            seen.clear();
        }
    }
    Ok(())
}

/// The token behind the first link with `path`.
fn token<'a>(html: &'a str, path: &str) -> Option<&'a str> {
    let start = html.find(path)? + path.len();
    let rest = &html[start..];
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.'))?;
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::token;

    #[test]
    fn the_first_token_of_a_kind_is_found() {
        let html = r#"<a href="http://x/t/c/ab-C_1">x</a><img src="http://x/t/o/zz">"#;
        assert_eq!(token(html, "/t/c/"), Some("ab-C_1"));
        assert_eq!(token(html, "/t/o/"), Some("zz"));
        assert_eq!(token(html, "/u/"), None);
    }
}
