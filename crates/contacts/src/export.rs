//! A list as CSV.

use crate::Error;
use rebound_db::Connection;
use rebound_db::subscriptions::{self, Member};
use rebound_domain::{ContactId, ListId, SubscriptionState};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Write;

const PAGE: u32 = 2000;

/// Everyone who ever joined a list, part by part: however long the list, one part is in memory at a time.
#[derive(Debug)]
pub struct Export {
    list: ListId,
    fields: BTreeSet<String>,
    after: ContactId,
    is_begun: bool,
}

impl Export {
    /// Begins one; looks which fields the people on the list have.
    ///
    /// # Errors
    /// [`Error::Database`]
    pub async fn of(db: &impl Connection, list: ListId) -> Result<Self, Error> {
        Ok(Self { list, fields: field_names(db, list).await?, after: ContactId(0), is_begun: false })
    }

    /// The next part, the first with the header: address, fields, and how each stands by what consent.
    ///
    /// What a spreadsheet would take for a formula gets a quote before it; [`import`](crate::import()) takes it off
    /// again.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::File`]
    pub async fn next(&mut self, db: &impl Connection) -> Result<Option<Vec<u8>>, Error> {
        let members = subscriptions::members(db, self.list, self.after, PAGE).await?;
        if members.is_empty() && self.is_begun {
            return Ok(None);
        }
        let mut csv = csv::Writer::from_writer(Vec::new());
        if !self.is_begun {
            let fields = self.fields.iter().map(String::as_str);
            let header = ["email"].into_iter().chain(fields).chain(["status", "consent", "since"]);
            csv.write_record(header).map_err(std::io::Error::from)?;
        }
        for member in &members {
            csv.write_record(cells(member, &self.fields).iter().map(|cell| guarded(cell).into_owned()))
                .map_err(std::io::Error::from)?;
        }
        self.is_begun = true;
        self.after = members.last().map_or(self.after, |last| last.contact.id);
        Ok(Some(csv.into_inner().map_err(|error| error.into_error())?))
    }
}

/// Writes everyone who ever joined `list` to a file: see [`Export`].
///
/// # Errors
/// [`Error::Database`], [`Error::File`]
pub async fn export(db: &impl Connection, list: ListId, mut to: impl Write + Send) -> Result<(), Error> {
    let mut export = Export::of(db, list).await?;
    while let Some(part) = export.next(db).await? {
        to.write_all(&part)?;
    }
    Ok(to.flush()?)
}

async fn field_names(db: &impl Connection, list: ListId) -> Result<BTreeSet<String>, Error> {
    let mut names = BTreeSet::new();
    let mut after = ContactId(0);
    loop {
        let members = subscriptions::members(db, list, after, PAGE).await?;
        let Some(last) = members.last() else { return Ok(names) };
        after = last.contact.id;
        for name in members.iter().flat_map(|member| member.contact.fields.keys()) {
            if !names.contains(name) {
                names.insert(name.clone());
            }
        }
    }
}

fn cells(member: &Member, fields: &BTreeSet<String>) -> Vec<String> {
    let status = match member.subscription.state {
        SubscriptionState::Pending => "pending",
        SubscriptionState::Confirmed => "confirmed",
        SubscriptionState::Left => "left",
    };
    let mut cells = vec![member.contact.address.to_string()];
    cells.extend(fields.iter().map(|name| member.contact.fields.get(name).cloned().unwrap_or_default()));
    cells.extend([status.to_owned(), member.subscription.source.clone(), member.subscription.since.to_rfc3339()]);
    cells
}

/// A cell that no spreadsheet takes for a formula.
#[must_use]
pub fn guarded(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}
