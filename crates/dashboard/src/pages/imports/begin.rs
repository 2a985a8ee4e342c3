//! `/imports/{id}` before it begins: what the columns are, and the first rows.

use crate::App;
use crate::error::PageError;
use crate::page::Frame;
use crate::session::{Submitted, Write};
use crate::words::Count;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Redirect;
use rebound_contacts::{PreviewColumn, Target, preview, start as begin};
use rebound_db::imports::{self, Import};
use rebound_db::jobs::JobState;
use rebound_domain::ImportId;
use std::collections::HashMap;

#[derive(Template)]
#[template(path = "imports/preview.html")]
pub(super) struct Before {
    frame: Frame,
    import: Import,
    list: String,
    size: String,
    columns: Vec<Choice>,
    has_header: bool,
    has_address: bool,
    bad: Vec<(Count, String)>,
    fault: Option<String>,
}

/// A column, and what its sender may make of it.
struct Choice {
    header: String,
    cells: Vec<String>,
    is_address: bool,
    is_skipped: bool,
    field: String,
}

impl Before {
    pub(super) async fn of(app: &App, frame: Frame, import: Import, list: String) -> Result<Self, PageError> {
        let size = size(import.total);
        let mut page = Self {
            frame,
            list,
            size,
            columns: vec![],
            has_header: false,
            has_address: false,
            bad: vec![],
            fault: None,
            import,
        };
        if page.import.state == JobState::Arriving {
            return Ok(page);
        }
        match preview(&app.db, page.import.id).await {
            Err(rebound_contacts::Error::Database(error)) => return Err(error.into()),
            Err(fault) => page.fault = Some(super::sentence(&fault.to_string())),
            Ok(found) => {
                page.has_header = found.has_header;
                page.has_address = found.columns.iter().any(|column| column.target == Target::Address);
                // The header is the first line of the file.
                let first = if found.has_header { 2 } else { 1 };
                let place = |(at, why)| (Count(i64::try_from(at).unwrap_or(0) + first), why);
                page.bad = found.bad.into_iter().map(place).collect();
                page.columns = found.columns.into_iter().map(Choice::of).collect();
            }
        }
        Ok(page)
    }

    fn is_arriving(&self) -> bool {
        self.import.state == JobState::Arriving
    }
}

impl Choice {
    fn of(column: PreviewColumn) -> Self {
        let (is_address, is_skipped) = (column.target == Target::Address, column.target == Target::Skip);
        let field = match column.target {
            Target::Field(name) => name,
            Target::Address | Target::Skip => String::new(),
        };
        Self { header: column.header, cells: column.cells, is_address, is_skipped, field }
    }
}

/// Says go, with the columns as they were chosen.
pub(crate) async fn start(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by: _, form }: Submitted<Write, Vec<(String, String)>>,
) -> Result<Redirect, PageError> {
    imports::get(&app.db, ImportId(id)).await?.ok_or(PageError::NotFound)?;
    let columns = chosen(&form);
    if !columns.is_empty() && !columns.iter().any(|(_, target)| *target == Target::Address) {
        return Err(PageError::NotNow("choose the column that has the addresses".to_owned()));
    }
    // Pressed twice, it goes once.
    begin(&app.db, ImportId(id), columns, app.now()).await?;
    app.work.notify_one();
    Ok(Redirect::to(&format!("/imports/{id}")))
}

/// `h0`, `t0`, `n0`: the header, what it becomes, and as which field.
fn chosen(form: &[(String, String)]) -> Vec<(String, Target)> {
    let form: HashMap<&str, &str> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let column = |at: usize| {
        let header = form.get(format!("h{at}").as_str())?;
        let target = match *form.get(format!("t{at}").as_str())? {
            "address" => Target::Address,
            "skip" => Target::Skip,
            _ => match form.get(format!("n{at}").as_str()).map(|name| name.trim()) {
                None | Some("") => Target::Field((*header).to_owned()),
                Some(name) => Target::Field(name.chars().take(200).collect()),
            },
        };
        Some(((*header).to_owned(), target))
    };
    (0..).map_while(column).collect()
}

/// `3.4 MB`.
fn size(bytes: i64) -> String {
    match bytes {
        ..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_what_was_chosen_for_them() {
        let form = [("h0", "Mail"), ("t0", "address"), ("n0", ""), ("h1", "First"), ("t1", "field"), ("n1", " Given ")];
        let form: Vec<_> = form.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let expected =
            vec![("Mail".to_owned(), Target::Address), ("First".to_owned(), Target::Field("Given".to_owned()))];
        assert_eq!(chosen(&form), expected);
    }

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        for (bytes, expected) in [(0, "0 bytes"), (1_234, "1 kB"), (3_460_000, "3.4 MB"), (256 << 20, "268.4 MB")] {
            assert_eq!(size(bytes), expected);
        }
    }
}
