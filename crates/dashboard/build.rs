//! Builds the stylesheets, scripts and pictures into the program.
//!
//! Each gets a name with a hash of its content, so that browsers may keep it for good, and a compressed twin.

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use data_encoding::HEXLOWER;
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

/// What pages call it, and where it lies below `web/`.
const ASSETS: [(&str, &str); 8] = [
    ("app.css", "static/app.css"),
    ("app.js", "static/app.js"),
    ("htmx-sse.js", "node_modules/htmx.org/dist/ext/hx-sse.min.js"),
    ("htmx.js", "node_modules/htmx.org/dist/htmx.min.js"),
    ("icon.svg", "static/icon.svg"),
    ("tabler.css", "node_modules/@tabler/core/dist/css/tabler.min.css"),
    ("uplot.css", "node_modules/uplot/dist/uPlot.min.css"),
    ("uplot.js", "node_modules/uplot/dist/uPlot.iife.min.js"),
];

fn main() -> ExitCode {
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes `assets.rs`, a list of [`Asset`]s, into the folder of what is generated.
fn embed() -> Result<(), String> {
    // Asked when it runs, not when it was compiled: two checkouts may share a target folder.
    let told = |name| env::var_os(name).map(PathBuf::from).ok_or(format!("{name} is not set: run this through cargo"));
    let (web, out) = (told("CARGO_MANIFEST_DIR")?.join("../../web"), told("OUT_DIR")?);
    // The pages' own templates are compiled in by askama, which watches them by itself.
    println!("cargo::rerun-if-changed=build.rs");

    let mut list = String::from("&[\n");
    for (name, path) in ASSETS {
        let source = web.join(path);
        println!("cargo::rerun-if-changed={}", source.display());
        let content = fs::read(&source).map_err(|error| advice(path, &error))?;
        list.push_str(&entry(name, &content, &out).map_err(|error| format!("{}: {error}", out.display()))?);
    }
    list.push(']');
    fs::write(out.join("assets.rs"), list).map_err(|error| format!("{}: {error}", out.display()))
}

/// What to do when the file at `path` below `web/` cannot be read.
fn advice(path: &str, error: &io::Error) -> String {
    if path.starts_with("node_modules") && error.kind() == io::ErrorKind::NotFound {
        format!("the front-end libraries are missing (web/{path}): run `make assets`, which is `npm ci` in web/")
    } else {
        format!("web/{path}: {error}")
    }
}

/// The line of the list for one asset; its bytes are kept beside the list.
fn entry(name: &str, content: &[u8], out: &Path) -> io::Result<String> {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let hash = &HEXLOWER.encode(&Sha256::digest(content))[..8];
    let mut compressed = GzEncoder::new(Vec::new(), Compression::best());
    compressed.write_all(content)?;
    fs::write(out.join(name), content)?;
    fs::write(out.join(format!("{name}.gz")), compressed.finish()?)?;
    Ok(format!(
        "    Asset {{ name: {name:?}, path: \"/assets/{stem}.{hash}.{extension}\", \
         plain: include_bytes!({name:?}), gzip: include_bytes!(\"{name}.gz\") }},\n"
    ))
}
