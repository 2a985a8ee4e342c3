//! A person we may write to.

use crate::{ContactId, EmailAddress};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A person we may write to, and what is known of them for merging into a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Its identity.
    pub id: ContactId,
    /// Where mail goes.
    pub address: EmailAddress,
    /// What can be merged into a message, by field name in lower case (`first_name`).
    pub fields: Fields,
}

/// What can be merged into a message: field name in lower snake case → value.
pub type Fields = BTreeMap<String, String>;

/// What a person is called, if their fields say so: first and last name, or the whole one.
///
/// ```
/// use rebound_domain::{Fields, full_name};
/// let fields = Fields::from([("first_name".into(), "Mira".into()), ("last_name".into(), " Holt ".into())]);
/// assert_eq!(full_name(&fields).as_deref(), Some("Mira Holt"));
/// ```
#[must_use]
pub fn full_name(fields: &Fields) -> Option<String> {
    let field = |name: &str| fields.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    let parts: Vec<&str> = [field("first_name"), field("last_name")].into_iter().flatten().collect();
    if parts.is_empty() { field("name").map(str::to_owned) } else { Some(parts.join(" ")) }
}

/// The merge name of a column's header: lower case, runs of anything but letters and digits as `_`.
///
/// ```
/// assert_eq!(rebound_domain::field_name(" First Name "), "first_name");
/// ```
#[must_use]
pub fn field_name(header: &str) -> String {
    let mut name = String::with_capacity(header.len());
    for c in header.trim().chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            name.push(c);
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    name.trim_matches('_').to_owned()
}
