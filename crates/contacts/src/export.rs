//! A list as CSV.

use crate::Error;
use rebound_db::Connection;
use rebound_db::subscriptions::{self, Member};
use rebound_domain::{ContactId, ListId, SubscriptionState};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Write;

const PAGE: u32 = 2000;

/// Writes everyone who ever joined `list`: address, fields, and how they stand by what consent.
///
/// What a spreadsheet would take for a formula gets a quote before it; [`import`](crate::import()) takes it off again.
///
/// # Errors
/// [`Error::Database`], [`Error::File`]
pub async fn export(db: &impl Connection, list: ListId, to: impl Write + Send) -> Result<(), Error> {
    let fields = field_names(db, list).await?;
    let mut csv = csv::Writer::from_writer(to);
    let header = ["email"].into_iter().chain(fields.iter().map(String::as_str)).chain(["status", "consent", "since"]);
    csv.write_record(header).map_err(std::io::Error::from)?;
    let mut after = ContactId(0);
    loop {
        let members = subscriptions::members(db, list, after, PAGE).await?;
        let Some(last) = members.last() else { return Ok(csv.flush()?) };
        after = last.contact.id;
        for member in &members {
            csv.write_record(cells(member, &fields).iter().map(|cell| guarded(cell).into_owned()))
                .map_err(std::io::Error::from)?;
        }
    }
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
pub(crate) fn guarded(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}
