//! What really happened to each delivery: written down by the database itself, row by row, in the moment it happened.
//!
//! A trigger notes every change of a delivery's state and owner. A checker reads that, the table of tries and the
//! hosts' own records, and believes none of the program's words.

use crate::postgres::ask;
use chrono::{DateTime, Utc};
use rebound_sandbox::Truth;
use std::collections::{BTreeMap, HashMap};

/// The names of workers outlast the workers.
const NOTES: &str = "
    CREATE UNLOGGED TABLE history (seq BIGSERIAL, at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
        delivery BIGINT NOT NULL, was SMALLINT NOT NULL, now SMALLINT NOT NULL, lost_by BIGINT, taken_by BIGINT,
        number SMALLINT NOT NULL);
    CREATE UNLOGGED TABLE names (worker BIGINT PRIMARY KEY, name TEXT NOT NULL);
    CREATE FUNCTION note_delivery() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO history (delivery, was, now, lost_by, taken_by, number) VALUES (NEW.id,
            CASE WHEN OLD.handed IS NULL THEN OLD.state ELSE 3 END, CASE WHEN NEW.handed IS NULL THEN NEW.state ELSE 3 END,
            OLD.worker, NEW.worker, NEW.attempts);
        RETURN NULL; END $$;
    CREATE TRIGGER note_delivery AFTER UPDATE ON deliveries FOR EACH ROW
        WHEN (OLD.state <> NEW.state OR OLD.worker IS DISTINCT FROM NEW.worker
            OR (OLD.handed IS NULL) <> (NEW.handed IS NULL)) EXECUTE FUNCTION note_delivery();
    CREATE FUNCTION note_worker() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO names VALUES (NEW.id, NEW.name); RETURN NULL; END $$;
    CREATE TRIGGER note_worker AFTER INSERT ON workers FOR EACH ROW EXECUTE FUNCTION note_worker();";

/// Changes that must never be: from one owner to another, to a new owner while somebody has it, a mark by somebody who
/// does not have it, and any change to what the one before did not leave. 2 is leased, 3 handing over.
const DOUBLE: &str = "
    SELECT count(*) FROM (SELECT *, lag(now) OVER before AS left_as, lag(taken_by) OVER before AS left_to
        FROM history WINDOW before AS (PARTITION BY delivery ORDER BY seq)) h
    WHERE (lost_by IS NOT NULL AND taken_by IS NOT NULL AND lost_by <> taken_by)
       OR (now = 2 AND lost_by IS NOT NULL)
       OR (now = 3 AND (was <> 2 OR lost_by IS DISTINCT FROM taken_by))
       OR ((now IN (2, 3)) <> (taken_by IS NOT NULL))
       OR (left_as IS NOT NULL AND (left_as <> was OR left_to IS DISTINCT FROM lost_by))";

/// Tries that were handed over, and not by who marked them.
const STRANGE_TRIES: &str = "
    SELECT count(*) FROM attempts a WHERE a.handed IS NOT NULL
        AND a.delivery_id IN (SELECT delivery FROM history)
        AND NOT EXISTS (SELECT 1 FROM history h WHERE h.delivery = a.delivery_id AND h.now = 3
            AND h.number = a.number AND h.taken_by = a.worker)";

/// Each mark: whose, when, and when it ended.
const MARKS: &str = "
    SELECT c.address, n.name, extract(epoch FROM h.at) * 1000000, extract(epoch FROM h.ended) * 1000000 FROM
        (SELECT *, lead(at) OVER (PARTITION BY delivery ORDER BY seq) AS ended FROM history) h
        JOIN deliveries d ON d.id = h.delivery JOIN contacts c ON c.id = d.contact_id
        JOIN names n ON n.worker = h.taken_by WHERE h.now = 3 ORDER BY h.seq";

/// The time between two clocks' readings of the same moment, in microseconds: the hosts note theirs in whole steps.
const AT_ONCE: i64 = 2_000;

/// What the checker found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Deliveries taken by a worker.
    pub(super) leases: u64,
    /// Copies that hosts took.
    pub(super) copies: u64,
    /// Deliveries that two workers had at a time, by the table's own history.
    pub(super) double: u64,
    /// Copies without a mark of the worker that handed them over.
    pub(super) unmarked: u64,
    /// Copies handed over after the delivery was taken from that worker: it slept.
    pub(super) late: u64,
    /// Second copies to somebody who is listed as in doubt.
    pub(super) named: u64,
    /// Second copies to anybody else.
    pub(super) unexplained: u64,
    /// Tries whose row names another worker than the one that marked them.
    pub(super) strange: u64,
}

/// One mark, in microseconds.
struct Mark {
    from: i64,
    to: Option<i64>,
}

/// Has `database` note what happens from now on.
pub(super) fn note(database: &str) {
    ask(database, NOTES);
}

/// Checks what was noted against what each node's hosts took, and against the doubts that the ledger lists by
/// recipient; then begins anew.
pub(super) fn check(database: &str, taken: &[(usize, Vec<Truth>)], in_doubt: &BTreeMap<String, i64>) -> Findings {
    let count = |sql: &str| ask(database, sql).trim().parse::<u64>().unwrap();
    let marks = marks(&ask(database, MARKS));
    let mut found = Findings {
        leases: count("SELECT count(*) FROM history WHERE now = 2"),
        double: count(DOUBLE),
        strange: count(STRANGE_TRIES),
        ..Findings::default()
    };
    let mut copies: HashMap<&str, u64> = HashMap::new();
    for (node, line) in taken.iter().flat_map(|(node, lines)| lines.iter().map(|line| (*node, line))) {
        found.copies += 1;
        *copies.entry(&line.recipient).or_default() += 1;
        match mark_of(&marks, node, &line.recipient, line.at) {
            None => found.unmarked += 1,
            Some(mark) => found.late += u64::from(mark.to.is_some_and(|to| to + AT_ONCE < line.at.timestamp_micros())),
        }
    }
    for (who, copies) in copies {
        let doubts = u64::try_from(in_doubt.get(who).copied().unwrap_or(0)).unwrap();
        found.named += (copies - 1).min(doubts);
        let unexplained = (copies - 1).saturating_sub(doubts);
        if unexplained > 0 {
            tell(database, who, taken);
        }
        found.unexplained += unexplained;
    }
    ask(database, "TRUNCATE history");
    found
}

/// Prints what happened to one recipient's letter.
fn tell(database: &str, who: &str, taken: &[(usize, Vec<Truth>)]) {
    let of = |table: &str| {
        format!(
            "WHERE {table} IN (SELECT d.id FROM deliveries d JOIN contacts c ON c.id = d.contact_id WHERE c.key = '{who}')"
        )
    };
    let history = ask(database, &format!("SELECT * FROM history {} ORDER BY seq", of("delivery")));
    let tries = ask(database, &format!("SELECT * FROM attempts {} ORDER BY number", of("delivery_id")));
    let copies = taken.iter().flat_map(|(node, lines)| lines.iter().map(move |line| (node, line)));
    let copies: Vec<_> = copies.filter(|(_, line)| line.recipient == who).map(|(node, line)| (node, line.at)).collect();
    eprintln!("{who}\nhistory\n{history}tries\n{tries}copies {copies:?}");
}

/// When the second of two nodes first marked what was taken back from the first after `since`.
pub(super) fn resumed(database: &str, (from, to): (usize, usize), since: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let sql = format!(
        "SELECT extract(epoch FROM min(h.at)) * 1000000 FROM history h JOIN names n ON n.worker = h.taken_by
         WHERE h.now = 3 AND n.name LIKE 'node{to}.%' AND EXISTS (SELECT 1 FROM history b JOIN names o ON o.worker = b.lost_by
             WHERE b.delivery = h.delivery AND b.seq < h.seq AND b.now IN (0, 1) AND b.at > '{}' AND o.name LIKE 'node{from}.%')",
        since.to_rfc3339()
    );
    let micros = ask(database, &sql);
    DateTime::from_timestamp_micros(micros.trim().split('.').next()?.parse().ok()?)
}

/// Whether the server has been there for a lease: before, nobody is taken for dead, as it has forgotten the locks.
pub(super) fn knows_locks(database: &str) -> bool {
    ask(database, "SELECT clock_timestamp() - pg_postmaster_start_time() > interval '16 seconds'").trim() == "t"
}

/// The last mark of that node's worker before a copy.
fn mark_of<'a>(marks: &'a Marks, node: usize, recipient: &str, at: DateTime<Utc>) -> Option<&'a Mark> {
    let marks = marks.get(&(node, recipient.to_owned()))?;
    marks.iter().rev().find(|mark| mark.from <= at.timestamp_micros() + AT_ONCE)
}

/// By node and recipient, in their order.
type Marks = HashMap<(usize, String), Vec<Mark>>;

fn marks(text: &str) -> Marks {
    let mut marks = Marks::new();
    for line in text.lines() {
        let [who, name, from, to] = line.split('|').collect::<Vec<_>>().try_into().unwrap();
        let node = name.strip_prefix("node").and_then(|rest| rest.split('.').next()).unwrap().parse().unwrap();
        let micros = |text: &str| text.split('.').next().and_then(|whole| whole.parse().ok());
        let mark = Mark { from: micros(from).unwrap(), to: micros(to) };
        marks.entry((node, who.to_lowercase())).or_default().push(mark);
    }
    marks
}
