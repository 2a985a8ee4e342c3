//! Why the database could not answer.

/// Why the database could not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused, or could not be reached. Trying again later may help.
    #[error("the database did not answer")]
    Unavailable(#[from] sea_orm::DbErr),
    /// A row was changed by hand, or by a newer version. Trying again will not help.
    #[error("a row of {table} has an unreadable {column}")]
    Unreadable {
        /// Which table.
        table: &'static str,
        /// Which column.
        column: &'static str,
    },
    /// Something else has that name already.
    #[error("there is already a {what} of that name")]
    Taken {
        /// What has it.
        what: &'static str,
    },
    /// What was asked cannot be done, for a reason that a person can remove.
    #[error("{0}")]
    Refused(String),
    /// The address of the database cannot be used.
    #[error("{0}")]
    Url(String),
}

impl Error {
    /// `Unreadable`, for `ok_or` and `map_err`.
    pub(crate) fn unreadable(table: &'static str, column: &'static str) -> Self {
        Self::Unreadable { table, column }
    }
}
