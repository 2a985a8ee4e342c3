//! Suppressions as CSV.

use crate::{Error, guarded};
use chrono::{DateTime, Utc};
use rebound_db::Connection;
use rebound_db::suppressions::{self, Filter};
use rebound_domain::{Scope, Suppression};

const PAGE: u32 = 2000;

/// Suppressions, part by part: however many, one part is in memory at a time.
#[derive(Debug)]
pub struct SuppressionExport {
    filter: Filter,
    after: Option<Suppression>,
    is_begun: bool,
}

impl SuppressionExport {
    /// Begins one of those that `filter` lets through.
    #[must_use]
    pub fn of(filter: Filter) -> Self {
        Self { filter, after: None, is_begun: false }
    }

    /// The next part, the first with the header; `None` at the end. What a spreadsheet would take for a formula gets a
    /// quote before it.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::File`]
    pub async fn next(&mut self, db: &impl Connection, now: DateTime<Utc>) -> Result<Option<Vec<u8>>, Error> {
        let found = suppressions::page(db, &self.filter, self.after.as_ref(), PAGE, now).await?;
        if found.is_empty() && self.is_begun {
            return Ok(None);
        }
        let mut csv = csv::Writer::from_writer(Vec::new());
        if !self.is_begun {
            csv.write_record(["email", "reason", "list", "since", "until", "evidence"])
                .map_err(std::io::Error::from)?;
        }
        for one in &found {
            csv.write_record(cells(one).iter().map(|cell| guarded(cell).into_owned())).map_err(std::io::Error::from)?;
        }
        self.is_begun = true;
        self.after = found.into_iter().next_back().or_else(|| self.after.take());
        Ok(Some(csv.into_inner().map_err(|error| error.into_error())?))
    }
}

fn cells(one: &Suppression) -> [String; 6] {
    let list = match one.scope {
        Scope::Everywhere => String::new(),
        Scope::List(list) => list.to_string(),
    };
    let until = one.until.map(|until| until.to_rfc3339()).unwrap_or_default();
    [one.address.to_string(), one.reason.as_str().to_owned(), list, one.since.to_rfc3339(), until, one.evidence.clone()]
}
