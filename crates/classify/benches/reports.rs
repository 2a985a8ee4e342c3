//! Messages classified per second, beside what `mail-parser` alone takes for the same messages.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Our fixtures, or every message in the folder that `REBOUND_CORPUS` names.
fn messages() -> Vec<Vec<u8>> {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures").into();
    let folder = std::env::var_os("REBOUND_CORPUS").map_or(fixtures, std::path::PathBuf::from);
    let mut messages = Vec::new();
    collect(&folder, &mut messages);
    messages
}

fn collect(folder: &std::path::Path, messages: &mut Vec<Vec<u8>>) {
    for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path()) {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if path.is_dir() {
            collect(&path, messages);
        } else if !matches!(ending, "tsv" | "py" | "md" | "toml") {
            messages.extend(std::fs::read(path));
        }
    }
}

fn reports(criterion: &mut Criterion) {
    let messages = messages();
    let mut group = criterion.benchmark_group("reports");
    group.throughput(Throughput::Elements(messages.len() as u64));
    group.bench_function("classified", |bencher| {
        bencher
            .iter(|| messages.iter().map(|message| rebound_classify::report(message).recipients.len()).sum::<usize>());
    });
    group.bench_function("parsed by mail-parser", |bencher| {
        let parser = mail_parser::MessageParser::default();
        bencher
            .iter(|| messages.iter().filter_map(|message| parser.parse(message)).map(|m| m.parts.len()).sum::<usize>());
    });
    group.finish();
    criterion.bench_function("reply", |bencher| {
        bencher.iter(|| {
            rebound_classify::reply(b"550 5.7.1 <ada@x.test>: Recipient address rejected: blocked, see bl.spamcop.net")
        });
    });
}

fn start(criterion: &mut Criterion) {
    // What a program pays once: every rule compiled, and a handful of local ones linted.
    let local = "[[rule]]\nid = 'local.a'\ncause = 'virus'\nwhy = 'a bench'\nwords = ['bad egg']\n\
                 example = '550 bad egg'\nnot = '550 full'";
    criterion.bench_function("rules compiled and linted", |bencher| {
        bencher.iter(|| rebound_classify::Rules::with(local).map(|rules| rules.version().len()));
    });
}

criterion_group!(benches, reports, start);
criterion_main!(benches);
