//! The server under load: the release binary on a fresh data directory, and what the kernel says it used.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::http::Connection;

/// A started server; killed and its data removed when dropped.
pub struct Server {
    child: Child,
    data: PathBuf,
    /// `host:port`.
    pub address: String,
    /// Accepted by the collector.
    pub write_key: String,
    api_key: String,
}

/// Wall time of a round.
pub struct Timer(std::time::Instant);

impl Timer {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    pub fn start() -> Timer {
        Timer(std::time::Instant::now())
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

impl Server {
    /// Builds and starts the release binary.
    pub fn start() -> Result<Server> {
        let built = Command::new("cargo").args(["build", "--release", "-q", "-p", "app"]).status()?;
        if !built.success() {
            bail!("the release binary does not build");
        }
        #[expect(clippy::disallowed_methods, reason = "where cargo puts the binary")]
        let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let data = std::env::temp_dir().join(format!("rapport-bench-{port}"));
        let (write_key, api_key) =
            ("bench-write-key-0123456789abcdef".to_owned(), "bench-api-key-0123456789abcdefgh".to_owned());
        let child = Command::new(format!("{target}/release/rapport"))
            .args(["serve", "--data"])
            .arg(&data)
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .env("RAPPORT_BOOTSTRAP_WRITE_KEY", &write_key)
            .env("RAPPORT_BOOTSTRAP_API_KEY", &api_key)
            .env("RAPPORT_LOG", "error")
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start the release binary")?;
        let server = Server { child, data, address: format!("127.0.0.1:{port}"), write_key, api_key };
        for _ in 0..200 {
            if Connection::open(&server.address).and_then(|mut c| c.get("/readyz")).is_ok_and(|s| s == 200) {
                return Ok(server);
            }
            rest(50);
        }
        bail!("the server did not become ready within 10 s")
    }

    /// The segments under which events are measured.
    pub fn segments(&self) -> Result<()> {
        let mut connection = Connection::open(&self.address)?;
        for (id, condition) in [
            ("viewed", "did \"Product Viewed\" in last 30 days"),
            ("keen", "count \"Product Viewed\" in last 7 days > 5"),
            ("cart", "did \"Product Added\" in last 48 hours"),
            ("shoes", "did \"Product Viewed\" where category = \"Shoes\" in last 30 days"),
            ("buyers", "sum(revenue) of \"Order Completed\" in last 180 days >= 500"),
        ] {
            let body = serde_json::json!({"id": id, "name": id, "description": "", "where": condition});
            let status = connection.post("/api/segments", &self.api_key, &body.to_string())?;
            if status >= 300 {
                bail!("segment {id}: {status} {}", String::from_utf8_lossy(&connection.body));
            }
        }
        Ok(())
    }

    /// Waits until every accepted event has been stepped.
    pub fn wait_idle(&self) -> Result<()> {
        let mut connection = Connection::open(&self.address)?;
        for _ in 0..6_000 {
            connection.get_as("/api/overview", &self.api_key)?;
            let overview: Value = serde_json::from_slice(&connection.body)?;
            if overview["lag_events"] == 0 {
                return Ok(());
            }
            rest(10);
        }
        bail!("events are still waiting after a minute")
    }

    /// The lines of `/metrics` that begin with `name`.
    pub fn metric_lines(&self, name: &str) -> Result<Vec<String>> {
        let mut connection = Connection::open(&self.address)?;
        connection.get("/metrics")?;
        let text = String::from_utf8_lossy(&connection.body).into_owned();
        Ok(text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect())
    }

    /// CPU time of the server so far. Units: seconds. Source: proc(5), fields 14 and 15 of `stat`.
    pub fn cpu_s(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after = stat.rsplit_once(')').context("no process name in stat")?.1;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        Ok(ticks / 100.0)
    }

    /// Peak resident memory. Units: megabytes.
    pub fn peak_mb(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM")?;
        let kilobytes: u64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
        Ok(kilobytes / 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

#[expect(clippy::disallowed_methods, reason = "a process outside is awaited; nothing signals its readiness")]
fn rest(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}
