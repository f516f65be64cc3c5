//! Packs the console's files into the binary: finds or builds `web/dist`, compresses it, writes the table that
//! `lib.rs` includes.
#![expect(clippy::disallowed_methods, reason = "a build script is configured by its environment")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use flate2::{Compression, write::GzEncoder};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RAPPORT_CONSOLE_DIST");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let web = root.join("../../web");
    if web.is_dir() {
        // Made empty so that a later `npm run build` is noticed; a tree that cannot be written is no reason to stop.
        let dist = web.join("dist");
        if !dist.is_dir() && fs::create_dir_all(&dist).is_ok() {
            // Dated back: what is younger than this run makes cargo run it a second time.
            fs::File::open(&dist).and_then(|dir| dir.set_modified(std::time::SystemTime::UNIX_EPOCH)).ok();
        }
    }
    for name in ["src", "dist", "package.json", "package-lock.json", "index.html", "vite.config.ts"] {
        // A path that is absent would make cargo run this script every time.
        if web.join(name).exists() {
            println!("cargo:rerun-if-changed={}", web.join(name).display());
        }
    }
    let files = match find(&web, &out) {
        Some(dist) => read_all(&dist).unwrap_or_else(|error| {
            println!("cargo:warning=the console in {} cannot be read: {error}", dist.display());
            Vec::new()
        }),
        None => Vec::new(),
    };
    write_table(&out, &files).expect("OUT_DIR is writable");
}

/// Finds the folder to embed, building it when this is a release build and Node is there.
fn find(web: &Path, out: &Path) -> Option<PathBuf> {
    if let Some(given) = env::var_os("RAPPORT_CONSOLE_DIST").filter(|value| !value.is_empty()) {
        let given = PathBuf::from(given);
        println!("cargo:rerun-if-changed={}", given.display());
        if given.join("index.html").is_file() {
            return Some(given);
        }
        println!(
            "cargo:warning=RAPPORT_CONSOLE_DIST is {} but there is no index.html in it",
            given.display()
        );
        return None;
    }
    let dist = web.join("dist");
    if dist.join("index.html").is_file() {
        return Some(dist);
    }
    if env::var("PROFILE").as_deref() != Ok("release") {
        return None;
    }
    build(web, out)
}

/// Runs `npm ci` and `npm run build`, with the result in `OUT_DIR` so that the source tree is left as it was.
fn build(web: &Path, out: &Path) -> Option<PathBuf> {
    if !web.join("package-lock.json").is_file() {
        return None;
    }
    let Some(version) = node_version() else {
        println!(
            "cargo:warning=Node is not installed: the binary is built without the console (install Node 20.19 or newer and build again)"
        );
        return None;
    };
    if version < (20, 19) {
        println!(
            "cargo:warning=Node {}.{} is too old for the console: 20.19 or newer is needed; the binary is built without it",
            version.0, version.1
        );
        return None;
    }
    println!(
        "cargo:warning=building the console with Node {}.{}; this takes a minute the first time",
        version.0, version.1
    );
    let target = out.join("dist");
    let steps: [(&str, Vec<&str>); 2] = [
        ("npm ci", vec!["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]),
        (
            "npm run build",
            vec!["run", "--silent", "build", "--", "--emptyOutDir", "--logLevel", "error", "--outDir"],
        ),
    ];
    for (name, arguments) in steps {
        if name == "npm ci" && web.join("node_modules/vite").is_dir() {
            continue;
        }
        let mut command = Command::new(npm());
        command.args(&arguments).current_dir(web);
        if name == "npm run build" {
            command.arg(&target);
        }
        match command.output() {
            Ok(done) if done.status.success() => {}
            Ok(done) => {
                println!(
                    "cargo:warning={name} failed in web ({}): the binary is built without the console",
                    done.status
                );
                for line in String::from_utf8_lossy(&done.stderr).lines().take(8) {
                    println!("cargo:warning=  {line}");
                }
                return None;
            }
            Err(error) => {
                println!(
                    "cargo:warning={name} cannot be run ({error}): the binary is built without the console"
                );
                return None;
            }
        }
    }
    target.join("index.html").is_file().then_some(target)
}

fn npm() -> &'static str {
    if cfg!(windows) { "npm.cmd" } else { "npm" }
}

/// Reads the version of Node as (major, minor); `None` when Node or npm is missing.
fn node_version() -> Option<(u32, u32)> {
    Command::new(npm()).arg("--version").output().ok().filter(|done| done.status.success())?;
    let done = Command::new("node").arg("--version").output().ok()?;
    let text = String::from_utf8(done.stdout).ok()?;
    let mut parts = text.trim().trim_start_matches('v').split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Reads every file below `dist` in the order of their paths, so that equal inputs give equal binaries.
fn read_all(dist: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut folders = vec![dist.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(relative) = path.strip_prefix(dist) {
                let name = relative.to_string_lossy().replace('\\', "/");
                files.push((name, fs::read(&path)?));
            }
        }
    }
    files.sort();
    Ok(files)
}

fn write_table(out: &Path, files: &[(String, Vec<u8>)]) -> io::Result<()> {
    let folder = out.join("assets");
    fs::create_dir_all(&folder)?;
    let mut code = String::from("pub(crate) static TABLE: &[Asset] = &[\n");
    for (index, (name, bytes)) in files.iter().enumerate() {
        fs::write(folder.join(format!("{index}.raw")), bytes)?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        io::Write::write_all(&mut encoder, bytes)?;
        let packed = encoder.finish()?;
        let smaller = packed.len() + packed.len() / 20 < bytes.len();
        let gzip = if smaller {
            fs::write(folder.join(format!("{index}.gz")), &packed)?;
            format!("Some(include_bytes!(concat!(env!(\"OUT_DIR\"), \"/assets/{index}.gz\")))")
        } else {
            String::from("None")
        };
        writeln!(
            code,
            "    Asset {{ path: {name:?}, content_type: {:?}, etag: \"\\\"{:016x}\\\"\", immutable: {}, bytes: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/assets/{index}.raw\")), gzip: {gzip} }},",
            content_type(name),
            hash(bytes),
            name.starts_with("assets/"),
        )
        .expect("a String takes every write");
    }
    code.push_str("];\n");
    fs::write(out.join("table.rs"), code)
}

/// FNV-1a, 64 bits: tells one build of a file from another; nothing depends on it against an adversary.
fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |state, byte| (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    }
}
