//! The sink as a process of its own: `rapport-sink --listen ADDR --ledger FILE`.

use std::io::Write;

use testkit::sink::{Ledger, Script, serve};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (mut listen, mut ledger, mut script) = ("127.0.0.1:0".to_owned(), None, Script::default());
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| anyhow::anyhow!("{name} takes a value"))?;
        match name.as_str() {
            "--listen" => listen = value,
            "--ledger" => ledger = Some(value),
            "--drop-after-dot" => script.drop_after_dot = value.parse()?,
            "--defer" => script.defer = value.parse()?,
            _ => anyhow::bail!("unknown option {name}: --listen, --ledger, --drop-after-dot, --defer"),
        }
    }
    let listener = tokio::net::TcpListener::bind(&listen).await?;
    let ledger = match ledger {
        Some(path) => Ledger::to_file(std::fs::File::options().create(true).append(true).open(path)?),
        None => Ledger::default(),
    };
    println!("listening on {}", listener.local_addr()?);
    std::io::stdout().flush()?;
    serve(listener, ledger, script).await?;
    Ok(())
}
