//! Why something could not be done to a contact.

/// Why something could not be done to a contact, or a file not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused.
    #[error(transparent)]
    Database(#[from] rebound_db::Error),
    /// The file, or the place that is written to, failed.
    #[error("the file cannot be read or written")]
    File(#[from] std::io::Error),
    /// There is nothing in the file.
    #[error("the file is empty")]
    Empty,
    /// It is not a text file with rows.
    #[error("this is not a CSV file but {0}")]
    NotText(&'static str),
    /// No column has addresses.
    #[error("no column is named like an e-mail address: the first line has {found}")]
    NoAddressColumn {
        /// The header as it was found.
        found: String,
    },
    /// There are more columns than a contact has room for.
    #[error("the first line has {0} columns, and a contact has room for {max}", max = crate::import::MAX_COLUMNS)]
    TooManyColumns(usize),
    /// Nobody has that identity.
    #[error("there is no such contact")]
    NoContact,
    /// Who asked to be forgotten stays forgotten.
    #[error("this person asked to be forgotten: that cannot be lifted")]
    Forgotten,
    /// Lifting this needs words that others can read later.
    #[error("say why: this person left or complained, and somebody may ask later")]
    NeedsReason,
    /// Somebody else saved a policy meanwhile.
    #[error("version {version} of the policy was saved meanwhile")]
    PolicyChanged {
        /// The version in force.
        version: u32,
    },
    /// Somebody else saved rules meanwhile.
    #[error("version {version} of the rules was saved meanwhile")]
    RulesChanged {
        /// The version in force.
        version: i64,
    },
    /// Rules that do not hold: every fault, with its rule and place.
    #[error("the rules do not hold: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    FaultyRules(Vec<rebound_classify::Fault>),
    /// The work was cancelled, or somebody else does it by now.
    #[error("it was stopped")]
    Stopped,
    /// The file of an import is not kept any more, or not all of it.
    #[error("the file is not kept any more: import it again")]
    FileGone,
    /// It was begun again and again, and never came further.
    #[error("it was begun five times and the program ended each time: tell whoever looks after Rebound")]
    Repeatedly,
    /// Our own fault: the reader ended where it should not.
    #[error("the file could not be read to its end: tell whoever looks after Rebound, and keep the file")]
    Unreadable,
}
