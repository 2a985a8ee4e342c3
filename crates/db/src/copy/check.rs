//! Row by row: what one database holds, the other holds.

use super::row::Claim;
use super::source::Source;
use super::target::Target;
use super::{Copied, Progress, Step, Table};
use crate::Error;
use futures_util::stream::{BoxStream, StreamExt};
use sha2::{Digest, Sha256};

/// Rows that are compared at a time.
const TOGETHER: i64 = 10_000;

/// Compares every row and every column of a table; what both have.
pub(super) async fn compare(
    source: &mut Source,
    target: &mut Target,
    table: &Table,
    claim: &Claim,
    progress: &mut (impl FnMut(Progress<'_>) + Send),
) -> Result<Copied, Error> {
    let total = source.count(&table.name).await?;
    let mut ours = Lines::new(source.lines(table));
    let mut theirs = Lines::new(target.lines(table, claim).await?);
    let (mut hash, mut rows) = (Sha256::new(), 0);
    loop {
        let (one, other) = (ours.chunk(true).await?, theirs.chunk(false).await?);
        if Sha256::digest(&one) != Sha256::digest(&other) {
            return Err(different(table, rows, &one, &other));
        }
        if one.is_empty() {
            break;
        }
        rows += i64::try_from(one.iter().filter(|byte| **byte == b'\n').count()).unwrap_or(i64::MAX);
        hash.update(&one);
        progress(Progress { step: Step::Comparing, table: &table.name, rows, total });
    }
    Ok(Copied { table: table.name.clone(), rows, digest: data_encoding::HEXLOWER.encode(&hash.finalize()) })
}

/// Lines that come in pieces.
struct Lines<'a> {
    pieces: BoxStream<'a, Result<Vec<u8>, Error>>,
    rest: Vec<u8>,
}

impl<'a> Lines<'a> {
    fn new(pieces: BoxStream<'a, Result<Vec<u8>, Error>>) -> Self {
        Self { pieces, rest: Vec::new() }
    }

    /// The next lines, `TOGETHER` of them where there are so many, each with its end. `bare`: each piece is a line
    /// that has none.
    async fn chunk(&mut self, bare: bool) -> Result<Vec<u8>, Error> {
        let mut chunk = std::mem::take(&mut self.rest);
        let mut lines = 0;
        let mut seen = 0;
        loop {
            while let Some(end) = chunk.get(seen..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n')) {
                seen += end + 1;
                lines += 1;
                if lines == TOGETHER {
                    self.rest = chunk.split_off(seen);
                    return Ok(chunk);
                }
            }
            seen = chunk.len();
            let Some(piece) = self.pieces.next().await else { return Ok(chunk) };
            chunk.extend_from_slice(&piece?);
            if bare {
                chunk.push(b'\n');
            }
        }
    }
}

/// Names the first row that differs by its key alone: the rest of it may be nobody's business.
fn different(table: &Table, before: i64, one: &[u8], other: &[u8]) -> Error {
    let mut pairs = one.split(|byte| *byte == b'\n').zip(other.split(|byte| *byte == b'\n')).enumerate();
    let at = pairs.find(|(_, (one, other))| one != other).map_or(0, |(at, _)| at);
    let row = before + i64::try_from(at).unwrap_or(0) + 1;
    let key = table.key.join(", ");
    Error::Refused(format!("{} differs at its row {row} in the order of {key}: nothing was switched", table.name))
}
