//! Someone who may sign in, and what they may do.

use crate::{EmailAddress, UserId};
use serde::{Deserialize, Serialize};

/// Someone who may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Their identity.
    pub id: UserId,
    /// The address they sign in with.
    pub email: EmailAddress,
    /// What they are called here.
    pub name: String,
    /// As what they are here.
    pub role: Role,
}

/// As what someone is here, most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Set this installation up; there is one.
    Owner,
    /// Runs it.
    Admin,
    /// Writes and sends campaigns.
    Marketer,
    /// Sees everything, changes nothing.
    Auditor,
}

/// What a page or an order asks of the one who wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// To look.
    See,
    /// To change contacts, lists, suppressions and drafts.
    Write,
    /// To let mail go out, and to stop it.
    Launch,
    /// To read the audit log.
    Audit,
    /// To see how the installation is set up and to undo what many contacts suffered.
    Administer,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Marketer, Self::Auditor];

    /// The name in lower case, as the command line takes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Marketer => "marketer",
            Self::Auditor => "auditor",
        }
    }

    /// The role called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// The number that the database keeps: its place in [`Role::ALL`].
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The role with `code`.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }

    /// Whether someone in this role may do that.
    #[must_use]
    pub const fn may(self, permission: Permission) -> bool {
        match permission {
            Permission::See => true,
            Permission::Write | Permission::Launch => !matches!(self, Self::Auditor),
            Permission::Audit => !matches!(self, Self::Marketer),
            Permission::Administer => matches!(self, Self::Owner | Self::Admin),
        }
    }
}

impl Permission {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::See, Self::Write, Self::Launch, Self::Audit, Self::Administer];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_auditor_looks_and_a_marketer_does_not_administer() {
        use Permission::{Administer, Audit, Launch, See, Write};
        for (role, may) in [
            (Role::Owner, &[See, Write, Launch, Audit, Administer][..]),
            (Role::Admin, &[See, Write, Launch, Audit, Administer]),
            (Role::Marketer, &[See, Write, Launch]),
            (Role::Auditor, &[See, Audit]),
        ] {
            for permission in Permission::ALL {
                assert_eq!(role.may(permission), may.contains(&permission), "{role:?} {permission:?}");
            }
            assert_eq!(Role::from_code(role.code()), Some(role));
            assert_eq!(Role::named(role.as_str()), Some(role));
        }
        assert_eq!(Role::from_code(4), None);
    }
}
