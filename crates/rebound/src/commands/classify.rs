//! `rebound classify`.

use anyhow::Context;
use rebound_classify::{Answer, ReplyAnswer};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["paths", "reply", "replies"])))]
pub(super) struct Args {
    /// Messages: .eml files, folders of them, mbox, Maildir; `-` for one message on standard input
    paths: Vec<PathBuf>,
    /// One SMTP reply: `--reply "550 5.1.1 no such user"`
    #[arg(long, value_name = "TEXT")]
    reply: Option<String>,
    /// A file of SMTP replies, one a line
    #[arg(long, value_name = "FILE")]
    replies: Option<PathBuf>,
    /// How to answer
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object a message or reply
    Jsonl,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    if let Some(reply) = &args.reply {
        one_reply(&mut out, reply, args.format)?;
    }
    if let Some(file) = &args.replies {
        let lines = std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        for line in BufReader::new(lines).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).trim_end().to_owned();
            one_reply(&mut out, &line, args.format)?;
        }
    }
    let mut unread = 0;
    for path in &args.paths {
        if path.as_os_str() == "-" {
            let mut raw = Vec::new();
            std::io::stdin().lock().take(rebound_ingest::LARGEST as u64).read_to_end(&mut raw)?;
            one_message(&mut out, "-", &raw, args.format)?;
            continue;
        }
        for found in rebound_ingest::messages(path) {
            match found {
                Ok(found) => one_message(&mut out, &found.path.display().to_string(), &found.raw, args.format)?,
                Err(error) => {
                    unread += 1;
                    eprintln!("rebound: {error}");
                }
            }
        }
    }
    out.flush()?;
    Ok(if unread == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn one_reply(out: &mut impl Write, reply: &str, format: Format) -> anyhow::Result<()> {
    let verdict = rebound_classify::reply(reply.as_bytes());
    match (format, verdict) {
        (Format::Jsonl, verdict) => {
            writeln!(out, "{}", serde_json::to_string(&ReplyAnswer::new(reply, verdict.as_ref()))?)?;
        }
        (Format::Text, None) => writeln!(out, "no failure: {reply}")?,
        (Format::Text, Some(verdict)) => {
            writeln!(
                out,
                "{}, {} ({} % sure): {}",
                verdict.cause.title(),
                verdict.permanence,
                verdict.confidence,
                verdict.diagnostic
            )?;
        }
    }
    Ok(())
}

fn one_message(out: &mut impl Write, path: &str, raw: &[u8], format: Format) -> anyhow::Result<()> {
    let report = rebound_classify::report(raw);
    match format {
        Format::Jsonl => writeln!(out, "{}", serde_json::to_string(&Answer::new(path, &report))?)?,
        Format::Text => {
            writeln!(out, "{path}: {}", report.kind.as_str())?;
            for failed in &report.recipients {
                let verdict = &failed.verdict;
                let who = failed.recipient.as_deref().unwrap_or("(recipient not named)");
                writeln!(
                    out,
                    "  {who}: {}, {} ({} % sure)\n    {}",
                    verdict.cause.title(),
                    verdict.permanence,
                    verdict.confidence,
                    verdict.diagnostic.lines().next().unwrap_or_default()
                )?;
            }
        }
    }
    Ok(())
}
