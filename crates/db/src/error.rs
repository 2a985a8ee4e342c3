//! Why the database could not answer.

use sea_orm::{DbErr, RuntimeErr, SqlxError};

/// Why the database could not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused, or could not be reached. Trying again helps where it is an [`outage`](Self::outage).
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

    /// What keeps the database from answering, where that is not a fault of the question.
    #[must_use]
    pub fn outage(&self) -> Option<Outage> {
        match self {
            Self::Unavailable(error) => Outage::of(error),
            _ => None,
        }
    }
}

/// From where the driver is asked without SeaORM between.
impl From<SqlxError> for Error {
    fn from(error: SqlxError) -> Self {
        Self::Unavailable(DbErr::Query(RuntimeErr::SqlxError(error.into())))
    }
}

/// What keeps the database from answering, though nothing is wrong with the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// It cannot be reached, is just starting or stopping, or another program holds it.
    Away,
    /// There is no room for what is to be written, or, on SQLite, for what is to be sorted.
    Full,
}

impl Outage {
    fn of(error: &DbErr) -> Option<Self> {
        match error {
            DbErr::ConnectionAcquire(_) => Some(Self::Away),
            DbErr::Conn(RuntimeErr::SqlxError(error))
            | DbErr::Exec(RuntimeErr::SqlxError(error))
            | DbErr::Query(RuntimeErr::SqlxError(error)) => Self::of_driver(error),
            _ => None,
        }
    }

    fn of_driver(error: &SqlxError) -> Option<Self> {
        match error {
            SqlxError::Io(_) | SqlxError::PoolTimedOut | SqlxError::PoolClosed | SqlxError::WorkerCrashed => {
                Some(Self::Away)
            }
            SqlxError::Database(said) => Self::of_code(&said.code()?),
            _ => None,
        }
    }

    /// SQLite's result codes are numbers whose last byte is the kind; PostgreSQL's have five letters or digits.
    fn of_code(code: &str) -> Option<Self> {
        if code.len() == 5 && !code.starts_with('0') || code.starts_with("08") {
            return match code {
                "53100" => Some(Self::Full),
                "53300" | "57P01" | "57P02" | "57P03" | "57P05" => Some(Self::Away),
                // It let go of us, as it heard nothing in the midst of a transaction: see `Pool::begin_briefly`.
                "25P03" => Some(Self::Away),
                // Others were in the way (a circle of waits, a lock), or a standby takes over.
                "40001" | "40P01" | "55P03" | "25006" => Some(Self::Away),
                _ => code.starts_with("08").then_some(Self::Away),
            };
        }
        match code.parse::<u32>().ok()? & 0xff {
            5 | 6 => Some(Self::Away),
            // A file in memory that cannot grow is told as an error of input and output.
            10 | 13 => Some(Self::Full),
            _ => None,
        }
    }
}
