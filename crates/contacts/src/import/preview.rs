//! What a file looks like, before anything is done with it.

use super::columns::Columns;
use super::records::Records;
use super::text::Text;
use super::upload::Kept;
use super::{Import, Target, run};
use crate::Error;
use rebound_db::{Pool, imports, jobs};
use rebound_domain::ImportId;
use std::io::Read;

/// How many rows are shown.
const ROWS: usize = 5;

/// The columns of a file and its first rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Each column, in the order of the file.
    pub columns: Vec<PreviewColumn>,
    /// Which of the first rows would be refused, and why: by its place among them, counted from 0.
    pub bad: Vec<(usize, String)>,
    /// How many rows are shown.
    pub rows: usize,
    /// Whether the first line names the columns: only then can they be told apart by name.
    pub has_header: bool,
}

/// A column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviewColumn {
    /// What the first line calls it; `column 3` where there is no such line.
    pub header: String,
    /// What it is taken for.
    pub target: Target,
    /// What the first rows have in it.
    pub cells: Vec<String>,
}

/// The first rows of the file of an import, and what its columns would be taken for.
///
/// # Errors
/// [`Error::Empty`], [`Error::NotText`], [`Error::NoAddressColumn`] where not even a header can be read,
/// [`Error::TooManyColumns`], [`Error::FileGone`]: no import can come of it. [`Error::Database`].
pub async fn preview(db: &Pool, id: ImportId) -> Result<Preview, Error> {
    let import = imports::get(db, id).await?.ok_or(Error::FileGone)?;
    let job = jobs::get(db, import.job).await?.ok_or(Error::FileGone)?;
    let settings = run::settings(&import, &job);
    let source = Kept::open(db, id, import.total);
    let read = tokio::task::spawn_blocking(move || look(source, &settings));
    read.await.map_err(|_| Error::Unreadable)?.map_err(run::taken_out)
}

fn look(source: impl Read, settings: &Import) -> Result<Preview, Error> {
    let mut records = Records::new(Text::open(source)?)?;
    let first = match records.next()? {
        None => return Err(Error::Empty),
        Some(Ok(first)) => first,
        Some(Err(bad)) => return Err(Error::NoAddressColumn { found: format!("a row that is {}", bad.reason) }),
    };
    let (columns, is_header) = match Columns::read(&first, settings) {
        // Whoever sent it may say which column it is.
        Err(Error::NoAddressColumn { .. }) => (Columns::without_address(&first), true),
        read => read?,
    };
    let name = |(at, cell): (usize, &str)| if is_header { shown(cell) } else { format!("column {}", at + 1) };
    let headers: Vec<String> = first.cells().enumerate().map(name).collect();
    let cells = vec![Vec::new(); headers.len()];
    let mut preview = Preview { columns: Vec::new(), bad: Vec::new(), rows: 0, has_header: is_header };
    let mut looked = Looked { cells, columns, preview: &mut preview };
    if !is_header {
        looked.take(&first);
    }
    records.expect(headers.len());
    while looked.preview.rows < ROWS {
        match records.next()? {
            None => break,
            Some(Ok(row)) => looked.take(&row),
            Some(Err(bad)) => looked.refuse(&bad.content, bad.reason),
        }
    }
    let Looked { cells, columns, .. } = looked;
    let targets = columns.targets().iter().cloned();
    let column = |((header, target), cells)| PreviewColumn { header, target, cells };
    preview.columns = headers.into_iter().zip(targets).zip(cells).map(column).collect();
    Ok(preview)
}

struct Looked<'a> {
    cells: Vec<Vec<String>>,
    columns: Columns,
    preview: &'a mut Preview,
}

impl Looked<'_> {
    fn take(&mut self, row: &super::records::Row<'_>) {
        if let Err(bad) = self.columns.person(row) {
            self.preview.bad.push((self.preview.rows, bad.reason));
        }
        self.cells.iter_mut().zip(row.cells()).for_each(|(column, cell)| column.push(shown(cell)));
        self.preview.rows += 1;
    }

    /// A row that has not the right number of cells is shown in the first column.
    fn refuse(&mut self, content: &str, reason: String) {
        self.preview.bad.push((self.preview.rows, reason));
        let cells = std::iter::once(content).chain(std::iter::repeat(""));
        self.cells.iter_mut().zip(cells).for_each(|(column, cell)| column.push(shown(cell)));
        self.preview.rows += 1;
    }
}

/// A cell as a page shows it.
fn shown(cell: &str) -> String {
    let cell = cell.trim();
    let cut: String = cell.chars().filter(|c| !c.is_control()).take(80).collect();
    if cell.chars().count() > 80 { cut + "…" } else { cut }
}
