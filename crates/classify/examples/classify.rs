//! Classifies messages: `cargo run -p rebound-classify --example classify -- DIR…` prints a line of JSON for each
//! file; with `--replies` every line of standard input is one SMTP reply.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use rebound_classify::{Answer, ReplyAnswer};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if arguments.iter().any(|argument| argument == "--replies") {
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            let verdict = rebound_classify::reply(line.as_bytes());
            writeln!(out, "{}", serde_json::to_string(&ReplyAnswer::new(&line, verdict.as_ref()))?)?;
        }
        return Ok(());
    }
    for argument in &arguments {
        for file in files(Path::new(argument))? {
            let report = rebound_classify::report(&std::fs::read(&file)?);
            writeln!(out, "{}", serde_json::to_string(&Answer::new(&file.to_string_lossy(), &report))?)?;
        }
    }
    Ok(())
}

fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path)? {
        found.extend(files(&entry?.path())?);
    }
    found.sort();
    Ok(found)
}
