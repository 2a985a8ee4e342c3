//! What an import refused, to be corrected.

use crate::Error;
use crate::export::guarded;
use rebound_db::{Connection, imports};
use rebound_domain::ImportId;
use std::io::Write;

const PART: u32 = 1000;

/// The rows that an import refused as CSV, part by part: however many, one part is in memory at a time.
#[derive(Debug)]
pub struct BadRows {
    import: ImportId,
    after: i64,
    is_begun: bool,
}

impl BadRows {
    /// Those of `import`.
    #[must_use]
    pub fn of(import: ImportId) -> Self {
        Self { import, after: 0, is_begun: false }
    }

    /// The next part, the first with the header: line, reason, and the row as it was.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::File`]
    pub async fn next(&mut self, db: &impl Connection) -> Result<Option<Vec<u8>>, Error> {
        let rows = imports::bad_rows(db, self.import, self.after, PART).await?;
        if rows.is_empty() && self.is_begun {
            return Ok(None);
        }
        let mut csv = csv::Writer::from_writer(Vec::new());
        if !self.is_begun {
            csv.write_record(["line", "reason", "row"]).map_err(std::io::Error::from)?;
        }
        for row in &rows {
            let cells = [row.line.to_string(), row.reason.clone(), guarded(&row.content).into_owned()];
            csv.write_record(&cells).map_err(std::io::Error::from)?;
        }
        self.is_begun = true;
        self.after = rows.last().map_or(self.after, |last| last.line);
        Ok(Some(csv.into_inner().map_err(csv::IntoInnerError::into_error)?))
    }
}

/// Writes the rows that an import refused to a file: see [`BadRows`].
///
/// # Errors
/// [`Error::Database`], [`Error::File`]
pub async fn bad_rows(db: &impl Connection, import: ImportId, mut to: impl Write + Send) -> Result<(), Error> {
    let mut rows = BadRows::of(import);
    while let Some(part) = rows.next(db).await? {
        to.write_all(&part)?;
    }
    Ok(to.flush()?)
}
