//! What runs under load: processes, and what the kernel says they used.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::http::Connection;

const WRITE_KEY: &str = "bench-write-key-0123456789abcdef";
const API_KEY: &str = "bench-api-key-0123456789abcdefgh";

/// A started process; killed when dropped.
pub struct Process {
    child: Child,
    /// `host:port`.
    pub address: String,
}

impl Process {
    fn start(command: &mut Command, address: String) -> Result<Process> {
        let child = command.stdout(Stdio::null()).spawn().context("cannot start a process to measure")?;
        let process = Process { child, address };
        for _ in 0..200 {
            let ready = Connection::open(&process.address).and_then(|mut c| c.get("/readyz"));
            if ready.is_ok_and(|status| status == 200) {
                return Ok(process);
            }
            rest(50);
        }
        bail!("a process to measure did not become ready within 10 s")
    }

    /// One of the peers of `xtask bench-peer`.
    pub fn peer(arguments: &[&str]) -> Result<Process> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut command = Command::new(std::env::current_exe()?);
        Process::start(command.arg("bench-peer").arg(&address).args(arguments), address)
    }

    /// CPU time so far. Units: seconds. Source: proc(5), fields 14 and 15 of `stat`.
    pub fn cpu_s(&self) -> Result<f64> {
        cpu_of(&self.child.id().to_string())
    }

    /// Peak resident memory. Units: megabytes.
    pub fn peak_mb(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM")?;
        let kilobytes: u64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
        Ok(kilobytes / 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of a process. Units: seconds.
pub fn cpu_of(pid: &str) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after = stat.rsplit_once(')').context("no process name in stat")?.1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}

/// CPU time of this process, which drives the load. Units: seconds.
pub fn driver_cpu_s() -> Result<f64> {
    cpu_of("self")
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The server on a fresh data directory, which is removed when this is dropped.
pub struct Server {
    /// Where it listens, and what it uses.
    pub process: Process,
    data: PathBuf,
    command: Command,
}

impl Server {
    /// Builds the release binary and starts it; mail goes to `smtp` (`host:port`), or to the built-in inbox.
    pub fn start(smtp: Option<&str>) -> Result<Server> {
        let binary = match super::environment("RAPPORT_BENCH_BINARY") {
            Some(binary) => binary,
            None => {
                let built = Command::new("cargo").args(["build", "--release", "-q", "-p", "app"]).status()?;
                if !built.success() {
                    bail!("the release binary does not build");
                }
                let target = super::environment("CARGO_TARGET_DIR").unwrap_or_else(|| "target".to_owned());
                format!("{target}/release/rapport")
            }
        };
        let port = free_port()?;
        let data = std::env::temp_dir().join(format!("rapport-bench-{port}"));
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(binary);
        command
            .args(["serve", "--listen", &address, "--data"])
            .arg(&data)
            .env("RAPPORT_BOOTSTRAP_WRITE_KEY", WRITE_KEY)
            .env("RAPPORT_BOOTSTRAP_API_KEY", API_KEY)
            .env("RAPPORT_FROM", "Bench <bench@sender.example>")
            .env("RAPPORT_LOG", "error");
        if let Some(smtp) = smtp {
            command.env("RAPPORT_SMTP_URL", format!("smtp://{smtp}?tls=none"));
        }
        Ok(Server { process: Process::start(&mut command, address)?, data, command })
    }

    /// Stops it, lets `work` write into its data directory, and starts it there again.
    pub fn again(&mut self, work: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        self.process.child.kill()?;
        self.process.child.wait()?;
        work(&self.data)?;
        let address = self.process.address.clone();
        self.process = Process::start(&mut self.command, address)?;
        Ok(())
    }

    /// Where its lake is.
    pub fn lake(&self) -> PathBuf {
        self.data.join("lake")
    }

    /// Creates something by the admin API.
    pub fn create(&self, path: &str, body: &Value) -> Result<()> {
        let mut connection = Connection::open(&self.process.address)?;
        let status = connection.post(path, API_KEY, &body.to_string())?;
        if status >= 300 {
            bail!("{path}: {status} {}", String::from_utf8_lossy(&connection.body));
        }
        Ok(())
    }

    /// Asks the admin API by POST.
    pub fn ask(&self, path: &str, body: &Value) -> Result<Value> {
        let mut connection = Connection::open(&self.process.address)?;
        let status = connection.post(path, API_KEY, &body.to_string())?;
        if status >= 300 {
            bail!("{path}: {status} {}", String::from_utf8_lossy(&connection.body));
        }
        Ok(serde_json::from_slice(&connection.body)?)
    }

    /// Reads from the admin API.
    pub fn get(&self, path: &str) -> Result<Value> {
        let mut connection = Connection::open(&self.process.address)?;
        connection.get_as(path, API_KEY)?;
        Ok(serde_json::from_slice(&connection.body)?)
    }

    /// The segments under which events are measured.
    pub fn segments(&self) -> Result<()> {
        for (id, condition) in [
            ("viewed", "did \"Product Viewed\" in last 30 days"),
            ("keen", "count \"Product Viewed\" in last 7 days > 5"),
            ("cart", "did \"Product Added\" in last 48 hours"),
            ("shoes", "did \"Product Viewed\" where category = \"Shoes\" in last 30 days"),
            ("buyers", "sum(revenue) of \"Order Completed\" in last 180 days >= 500"),
        ] {
            self.create(
                "/api/segments",
                &json!({"id": id, "name": id, "description": "", "where": condition}),
            )?;
        }
        Ok(())
    }

    /// Events that wait to be stepped.
    pub fn lag(&self) -> Result<i64> {
        let text = self.metrics()?;
        let line = text.lines().find(|line| line.starts_with("rapport_lag_events ")).context("no lag")?;
        Ok(line.rsplit(' ').next().context("no figure")?.parse()?)
    }

    /// Waits until every accepted event has been stepped; the server's own events count too.
    pub fn wait_idle(&self) -> Result<()> {
        let mut still = 0;
        for _ in 0..60_000 {
            still = if self.lag()? == 0 { still + 1 } else { 0 };
            if still == 3 {
                return Ok(());
            }
            rest(10);
        }
        bail!("events are still waiting after ten minutes")
    }

    fn metrics(&self) -> Result<String> {
        let mut connection = Connection::open(&self.process.address)?;
        connection.get("/metrics")?;
        Ok(String::from_utf8_lossy(&connection.body).into_owned())
    }

    /// A histogram of `/metrics`: upper limits in seconds, and how many were at most that.
    pub fn histogram(&self, name: &str) -> Result<Vec<(f64, u64)>> {
        let start = format!("{name}_bucket{{le=\"");
        let mut out = Vec::new();
        for line in self.metrics()?.lines() {
            let Some((limit, count)) = line.strip_prefix(&start).and_then(|rest| rest.split_once("\"} "))
            else {
                continue;
            };
            let limit = if limit == "+Inf" { f64::INFINITY } else { limit.parse()? };
            out.push((limit, count.parse()?));
        }
        Ok(out)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.child.kill();
        let _ = self.process.child.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// The write key of every measured server.
pub fn write_key() -> &'static str {
    WRITE_KEY
}

#[expect(clippy::disallowed_methods, reason = "a process outside is awaited; nothing signals its readiness")]
pub fn rest(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}
