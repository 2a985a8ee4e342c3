//! Messages classified per second, beside what `mail-parser` alone takes for the same messages.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn fixtures() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let messages = files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|ending| ending == "eml"));
    messages.filter_map(|path| std::fs::read(path).ok()).collect()
}

fn reports(criterion: &mut Criterion) {
    let messages = fixtures();
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

criterion_group!(benches, reports);
criterion_main!(benches);
