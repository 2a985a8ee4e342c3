//! Which contacts a page shows, and how many there are.
//!
//! A page has to come at once, however many contacts there are. Each condition is a set that an index knows. Where one
//! of the sets is small it is gone through whole; where all are large, contacts are walked in the order of the page
//! until it is full, which large sets make short.

use super::read;
use crate::imports::Fate;
use crate::sql::{all, millis, number};
use crate::{Connection, Error};
use chrono::{DateTime, Utc};
use rebound_domain::{Contact, ContactId, ImportId, IncidentId, ListId, SuppressionReason};
use sea_orm::{DatabaseBackend, Value};

/// A set of no more than so many contacts is gone through whole.
const SMALL: i64 = 5_000;
/// A count that no single index gives stops here.
const COUNTED: i64 = 1_000;
/// From so many contacts on, an estimate of all is good enough.
const ESTIMATED: i64 = 100_000;

/// Which contacts a page shows: those that fulfil every condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those whose address, name or last name begins with this; `@` and a domain: whose address ends so.
    pub search: String,
    /// Only those at this domain.
    pub domain: Option<String>,
    /// Only those who stand in this list as `membership` says.
    pub list: Option<ListId>,
    /// How they stand in `list`.
    pub membership: Membership,
    /// Only those who stand so: for all mail, or, where a list is given, for mail to it.
    pub state: Option<State>,
    /// Only those of whom this came in an import.
    pub import: Option<(ImportId, Fate)>,
    /// Only those whom an incident touched.
    pub incident: Option<IncidentId>,
}

/// How somebody stands in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Membership {
    /// They are on it.
    #[default]
    On,
    /// They asked to join, and have not confirmed.
    Pending,
    /// They are on it since this time or later.
    Since(DateTime<Utc>),
    /// They left it; at this time or later, where there is one.
    Left(Option<DateTime<Utc>>),
}

/// Whether somebody can be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No suppression stands; on a list, they have confirmed too.
    Mailable,
    /// Some suppression stands.
    Suppressed,
    /// A suppression for this reason stands.
    For(SuppressionReason),
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Last added first.
    #[default]
    Newest,
    /// First added first.
    Oldest,
    /// By address, A to Z.
    Address,
}

/// How many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// So many.
    pub count: i64,
    /// How that is meant.
    pub how: How,
}

/// How a count is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// To the last.
    Exactly,
    /// There are more than these.
    MoreThan,
    /// The database's own estimate.
    About,
}

/// Those that `filter` lets through, in the order of `sort`, that come after `after`.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Unreadable`]
pub async fn page(
    db: &impl Connection,
    filter: &Filter,
    sort: Sort,
    after: Option<ContactId>,
    limit: u32,
    now: DateTime<Utc>,
) -> Result<Vec<Contact>, Error> {
    let asked = Asked::of(filter, db.get_database_backend(), now);
    let from = asked.from(db).await?;
    let (after, order) = match (sort, after) {
        (Sort::Newest, after) => (Some(asked.id_below(after)), "c.id DESC"),
        (Sort::Oldest, after) => (Some(asked.id_above(after)), "c.id"),
        (Sort::Address, after) => {
            (after.map(|id| format!(" AND c.key > (SELECT key FROM contacts WHERE id = {id})")), "c.key")
        }
    };
    let after = after.unwrap_or_default();
    let sql = format!("SELECT c.id, c.address, c.fields FROM {from}{after} ORDER BY {order} LIMIT {limit}");
    read(all(db, &sql, asked.values()).await?)
}

/// How many `filter` lets through: to the last where an index knows, else counted only so far that a page can say
/// "more than".
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn count(db: &impl Connection, filter: &Filter, now: DateTime<Utc>) -> Result<Found, Error> {
    if *filter == Filter::default() {
        return total(db).await;
    }
    let asked = Asked::of(filter, db.get_database_backend(), now);
    if let [Set { ids, counts: true, .. }] = asked.sets.as_slice() {
        let sql = format!("SELECT count(*) FROM ({ids}) one WHERE {}", asked.named());
        return Ok(Found { count: number(db, &sql, asked.values()).await?, how: How::Exactly });
    }
    // In no order, so that the narrowest set is gone through: fewer are passed over in it.
    let from = asked.through(asked.narrowest());
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {from} LIMIT {}) sample", COUNTED + 1);
    let count = number(db, &sql, asked.values()).await?;
    let how = if count > COUNTED { How::MoreThan } else { How::Exactly };
    Ok(Found { count: count.min(COUNTED), how })
}

/// How many contacts there are; of very many on PostgreSQL, about how many: it keeps no count, and its estimate is
/// right within some hundredths.
///
/// # Errors
/// [`Error::Unavailable`]
pub async fn total(db: &impl Connection) -> Result<Found, Error> {
    if db.get_database_backend() == DatabaseBackend::Postgres {
        let sql = "SELECT CAST(reltuples AS BIGINT) FROM pg_class WHERE oid = CAST('contacts' AS regclass)";
        let about = number(db, sql, []).await?;
        if about >= ESTIMATED {
            return Ok(Found { count: about, how: How::About });
        }
    }
    let count = number(db, "SELECT COUNT(*) FROM contacts", []).await?;
    Ok(Found { count, how: How::Exactly })
}

/// A condition, in the two ways of asking for it.
struct Set {
    /// The ids of all in it.
    ids: String,
    /// Whether `contacts c` is in it.
    holds: String,
    /// Whether counting the ids is quick and counts everybody once.
    counts: bool,
    size: Size,
}

/// How many there usually are in a set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Size {
    Few,
    Many,
    /// So few are outside of it that it is never worth going through.
    Most,
}

/// A filter in SQL. Numbers stand in it as they are, so that PostgreSQL plans for the very ones; texts are parameters.
struct Asked {
    backend: DatabaseBackend,
    sets: Vec<Set>,
    texts: Vec<String>,
    /// The ids of the people of an import: they lie together, and a walk is to begin there.
    imported: Option<String>,
}

impl Asked {
    fn of(filter: &Filter, backend: DatabaseBackend, now: DateTime<Utc>) -> Self {
        let mut asked = Self { backend, sets: vec![], texts: vec![], imported: None };
        let search = filter.search.trim().to_lowercase();
        match search.strip_prefix('@') {
            Some(domain) => asked.domain(domain),
            None if !search.is_empty() => asked.begins_with(&search),
            None => {}
        }
        if let Some(domain) = &filter.domain {
            asked.domain(&domain.to_lowercase());
        }
        if let Some(list) = filter.list {
            asked.list(list, filter.membership, filter.state == Some(State::Mailable));
        }
        if let Some((import, fate)) = filter.import {
            asked.import(import, fate);
        }
        if let Some(incident) = filter.incident {
            asked.incident(incident);
        }
        if let Some(state) = filter.state {
            asked.state(state, filter.list, now);
        }
        asked
    }

    /// The place of a text in the statement.
    fn text(&mut self, text: impl Into<String>) -> String {
        self.texts.push(text.into());
        format!("${}", self.texts.len())
    }

    fn values(&self) -> Vec<Value> {
        self.texts.iter().map(|text| text.as_str().into()).collect()
    }

    /// True, and names every text: PostgreSQL wants each parameter to be named in each statement that is given it.
    fn named(&self) -> String {
        let named = (1..=self.texts.len()).map(|n| format!(" AND CAST(${n} AS TEXT) IS NOT NULL"));
        format!("1 = 1{}", named.collect::<String>())
    }

    /// What keeps SQLite to the walk: without it, it starts at the index of a text, or makes a join of `EXISTS` that
    /// goes through a whole list for every contact. PostgreSQL knows how much it would find there.
    fn walked(&self) -> &'static str {
        if self.backend == DatabaseBackend::Sqlite { "+" } else { "" }
    }

    fn domain(&mut self, domain: &str) {
        let domain = self.text(domain);
        self.sets.push(Set {
            ids: format!("SELECT id FROM contacts WHERE domain = {domain}"),
            holds: format!("c.domain = {domain}"),
            counts: true,
            size: Size::Many,
        });
    }

    fn begins_with(&mut self, word: &str) {
        let (from, to) = (self.text(word), self.text(format!("{word}\u{10ffff}")));
        let walked = self.walked();
        let range = |column: &str| format!("{column} >= {from} AND {column} < {to}");
        let either = |table: &str| {
            let [key, name, surname] = ["key", "name", "surname"].map(|column| range(&format!("{table}{column}")));
            format!("(({key}) OR ({name} AND {table}name <> '') OR ({surname} AND {table}surname <> ''))")
        };
        let by = |column: &str, more: &str| format!("SELECT id FROM contacts WHERE {}{more}", range(column));
        self.sets.push(Set {
            ids: format!(
                "{} UNION ALL {} UNION ALL {}",
                by("key", ""),
                by("name", " AND name <> ''"),
                by("surname", " AND surname <> ''")
            ),
            holds: either(&format!("{walked}c.")),
            counts: false,
            size: Size::Few,
        });
    }

    fn list(&mut self, list: ListId, membership: Membership, confirmed: bool) {
        // 0 is pending, 1 confirmed, 2 left.
        let since = |from: DateTime<Utc>| format!(" AND s.since >= {}", millis(from));
        let state = match membership {
            Membership::On if confirmed => "s.state = 1".to_owned(),
            Membership::On => "s.state IN (0, 1)".to_owned(),
            Membership::Pending => "s.state = 0".to_owned(),
            Membership::Since(from) => format!("s.state IN (0, 1){}", since(from)),
            Membership::Left(from) => format!("s.state = 2{}", from.map(since).unwrap_or_default()),
        };
        let walked = self.walked();
        self.sets.push(Set {
            ids: format!("SELECT s.contact_id AS id FROM subscriptions s WHERE s.list_id = {list} AND {state}"),
            holds: format!(
                "{walked}EXISTS (SELECT 1 FROM subscriptions s WHERE s.list_id = {list} AND s.contact_id = c.id AND {state})"
            ),
            counts: true,
            size: Size::Many,
        });
    }

    fn import(&mut self, import: ImportId, fate: Fate) {
        let of = format!("p.import_id = {import} AND p.fate = {}", fate.code());
        let walked = self.walked();
        self.sets.push(Set {
            ids: format!("SELECT p.contact_id AS id FROM import_people p WHERE {of}"),
            holds: format!("{walked}EXISTS (SELECT 1 FROM import_people p WHERE {of} AND p.contact_id = c.id)"),
            counts: true,
            size: Size::Many,
        });
        self.imported = Some(format!("(p.contact_id) FROM import_people p WHERE {of}"));
    }

    fn incident(&mut self, incident: IncidentId) {
        let walked = self.walked();
        self.sets.push(Set {
            ids: format!(
                "SELECT k.id FROM bounces b CROSS JOIN contacts k WHERE k.key = b.key AND b.incident_id = {incident}"
            ),
            holds: format!(
                "{walked}EXISTS (SELECT 1 FROM bounces b WHERE b.key = c.key AND {walked}b.incident_id = {incident})"
            ),
            counts: false,
            size: Size::Few,
        });
    }

    /// Where a walk from the newest begins: after the page before, and not before the newest of an import.
    fn id_below(&self, after: Option<ContactId>) -> String {
        let newest = self.imported.as_ref().map(|of| format!(" AND c.id <= (SELECT max{of})"));
        after.map(|id| format!(" AND c.id < {id}")).or(newest).unwrap_or_default()
    }

    /// The same from the oldest.
    fn id_above(&self, after: Option<ContactId>) -> String {
        let oldest = self.imported.as_ref().map(|of| format!(" AND c.id >= (SELECT min{of})"));
        after.map(|id| format!(" AND c.id > {id}")).or(oldest).unwrap_or_default()
    }

    fn state(&mut self, state: State, list: Option<ListId>, now: DateTime<Utc>) {
        let (now, list) = (millis(now), list.map_or(0, |list| list.0));
        let stands = format!("x.scope IN (0, {list}) AND x.since <= {now} AND (x.until IS NULL OR x.until > {now})");
        let code = if let State::For(reason) = state { Some(reason.code()) } else { None };
        let reason = code.map_or(String::new(), |code| format!(" AND x.reason = {code}"));
        // Asked of one contact, SQLite is to look under its key, and not through all that stand for the reason.
        let walked = self.walked();
        let each = code.map_or(String::new(), |code| format!(" AND {walked}x.reason = {code}"));
        let not = if state == State::Mailable { "NOT " } else { walked };
        self.sets.push(Set {
            ids: format!(
                "SELECT k.id FROM suppressions x CROSS JOIN contacts k WHERE k.key = x.key AND {stands}{reason}"
            ),
            holds: format!("{not}EXISTS (SELECT 1 FROM suppressions x WHERE x.key = c.key AND {stands}{each})"),
            counts: matches!(state, State::For(_)),
            size: if state == State::Mailable { Size::Most } else { Size::Few },
        });
    }

    /// What the rows come from, and under which conditions: `FROM {}`, to which more can be added by `AND`.
    async fn from(&self, db: &impl Connection) -> Result<String, Error> {
        Ok(self.through(self.small(db).await?))
    }

    /// The same, going through set `n`, or walking contacts.
    fn through(&self, n: Option<usize>) -> String {
        let rest =
            self.sets.iter().enumerate().filter(|(other, _)| Some(*other) != n).map(|(_, set)| set.holds.clone());
        let rest: Vec<String> = std::iter::once(self.named()).chain(rest).collect();
        let rest = rest.join(" AND ");
        let Some(set) = n.map(|n| &self.sets[n]) else { return format!("contacts c WHERE {rest}") };
        let once = if set.counts { "" } else { "DISTINCT " };
        // `CROSS JOIN`: SQLite keeps to this order.
        format!("(SELECT {once}id FROM ({}) few) few CROSS JOIN contacts c WHERE c.id = few.id AND {rest}", set.ids)
    }

    fn narrowest(&self) -> Option<usize> {
        // One that holds somebody twice has to be gone through to its end before it can be counted.
        let sets = self.sets.iter().enumerate().filter(|(_, set)| set.size != Size::Most && set.counts);
        sets.min_by_key(|(_, set)| set.size).map(|(n, _)| n)
    }

    /// The first set that is small, if any is.
    async fn small(&self, db: &impl Connection) -> Result<Option<usize>, Error> {
        for (n, set) in self.sets.iter().enumerate().filter(|(_, set)| set.size != Size::Most) {
            let sql = format!(
                "SELECT count(*) FROM (SELECT 1 FROM ({}) one LIMIT {}) sample WHERE {}",
                set.ids,
                SMALL + 1,
                self.named()
            );
            if number(db, &sql, self.values()).await? <= SMALL {
                return Ok(Some(n));
            }
        }
        Ok(None)
    }
}
