//! `rebound classify`.

mod line;
mod lines;

use anyhow::Context;
use line::{Weighs, in_order};
use lines::{Line, Lines};
use rebound_classify::{Answer, Fault, ReplyAnswer, Rules, VerdictAnswer};
use std::fmt::Write as _;
use std::io::{BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["paths", "reply", "replies", "lint"])))]
pub(super) struct Args {
    /// Messages: .eml files, folders of them, mbox, Maildir; `-` for standard input
    paths: Vec<PathBuf>,
    /// One SMTP reply: `--reply "550 5.1.1 no such user"`
    #[arg(long, value_name = "TEXT")]
    reply: Option<String>,
    /// A file of SMTP replies, one a line; of a line the first 64 KiB are read
    #[arg(long, value_name = "FILE")]
    replies: Option<PathBuf>,
    /// Say what is wrong with the rules, and judge nothing
    #[arg(long)]
    lint: bool,
    /// A file of rules of your own, laid over those built in
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// How many messages are judged at once; as many as the machine has cores, unless said
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
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

/// Something that is judged.
enum Asked {
    Reply(String),
    Message { path: PathBuf, raw: Vec<u8> },
}

impl Weighs for anyhow::Result<Asked> {
    fn weight(&self) -> usize {
        match self {
            Ok(Asked::Reply(reply)) => reply.len(),
            Ok(Asked::Message { raw, .. }) => raw.len(),
            Err(_) => 0,
        }
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let own = match &args.rules {
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            match Rules::with(&text) {
                Ok(rules) => Some(rules),
                Err(faults) => {
                    tell(&faults, &format!("{}: ", file.display()));
                    return Ok(ExitCode::FAILURE);
                }
            }
        }
        None => None,
    };
    let rules = match &own {
        Some(own) => own,
        None => Rules::built_in(),
    };
    if args.lint {
        return Ok(linted(rules));
    }
    let threads = args.threads.map_or_else(
        || std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        |threads| threads.into(),
    );
    let mut unread = 0_u64;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let judge = |asked: anyhow::Result<Asked>| asked.and_then(|asked| answer(rules, &asked, args.format));
    in_order(threads, asked(args)?, judge, |answer| match answer {
        Ok(lines) => Ok(out.write_all(lines.as_bytes())?),
        Err(error) => {
            unread += 1;
            eprintln!("rebound: {error:#}");
            Ok::<(), anyhow::Error>(())
        }
    })?;
    out.flush()?;
    Ok(if unread == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn linted(rules: &Rules) -> ExitCode {
    let faults = rules.lint();
    if faults.is_empty() {
        println!("All is well with the rules {}.", rules.version());
        return ExitCode::SUCCESS;
    }
    tell(&faults, "");
    ExitCode::FAILURE
}

fn tell(faults: &[Fault], place: &str) {
    for fault in faults {
        eprintln!("rebound: {place}{fault}");
    }
}

/// What was asked for, read as it is needed.
fn asked(args: &Args) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Asked>> + Send> {
    let reply = args.reply.clone().map(|reply| Ok(Asked::Reply(reply)));
    let replies = match &args.replies {
        Some(file) => Some(std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?),
        None => None,
    };
    let lines = replies.into_iter().flat_map(|file| Lines::of(BufReader::new(file)));
    let replies = lines.map(|line| {
        let Line { text, number, is_cut } = line?;
        if is_cut {
            eprintln!("rebound: line {number} is longer than 64 KiB: the rest of it is left out");
        }
        Ok(Asked::Reply(text))
    });
    let messages = args.paths.clone().into_iter().flat_map(|path| rebound_ingest::messages(&path)).map(|found| {
        let found = found?;
        Ok(Asked::Message { path: found.path, raw: found.raw })
    });
    Ok(reply.into_iter().chain(replies).chain(messages))
}

/// The answer in whole lines.
fn answer(rules: &Rules, asked: &Asked, format: Format) -> anyhow::Result<String> {
    let mut out = String::new();
    match asked {
        Asked::Reply(reply) => {
            let verdict = rules.reply(reply.as_bytes());
            let answer = ReplyAnswer::new(reply, verdict.as_ref());
            match (format, &answer.verdict) {
                (Format::Jsonl, _) => writeln!(out, "{}", serde_json::to_string(&answer)?)?,
                (Format::Text, None) => writeln!(out, "no failure: {reply}")?,
                (Format::Text, Some(verdict)) => {
                    writeln!(out, "{}: {}", judged(verdict), verdict.diagnostic)?;
                    explain(&mut out, verdict, "  ")?;
                }
            }
        }
        Asked::Message { path, raw } => {
            let (path, report) = (path.display().to_string(), rules.report(raw));
            let answer = Answer::new(&path, &report);
            match format {
                Format::Jsonl => writeln!(out, "{}", serde_json::to_string(&answer)?)?,
                Format::Text => {
                    writeln!(out, "{path}: {}", answer.kind.as_str())?;
                    for failed in &answer.recipients {
                        let who = failed.recipient.unwrap_or("(recipient not named)");
                        let words = failed.verdict.diagnostic.lines().next().unwrap_or_default();
                        writeln!(out, "  {who}: {}\n    {words}", judged(&failed.verdict))?;
                        explain(&mut out, &failed.verdict, "    ")?;
                    }
                }
            }
        }
    }
    Ok(out)
}

fn judged(verdict: &VerdictAnswer<'_>) -> String {
    format!("{}, {} ({} % sure)", verdict.cause.title(), verdict.permanence, verdict.confidence)
}

/// Which rules said so, what came next, and what can be done.
fn explain(out: &mut String, verdict: &VerdictAnswer<'_>, margin: &str) -> std::fmt::Result {
    let by: Vec<String> = verdict.evidence.iter().map(|one| format!("{} “{}”", one.rule, one.matched)).collect();
    if !by.is_empty() {
        writeln!(out, "{margin}by {}", by.join(", "))?;
    }
    if let Some((cause, sure)) = verdict.second.filter(|(cause, _)| *cause != verdict.cause) {
        writeln!(out, "{margin}next best: {} ({sure} % sure)", cause.title())?;
    }
    writeln!(out, "{margin}marketer: {}", verdict.advice.marketer)?;
    writeln!(out, "{margin}admin: {}", verdict.advice.admin)
}
