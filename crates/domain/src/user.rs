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

/// Why somebody may not change another's role, or whether they may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTheirs {
    /// It takes the right to administer.
    #[error("your role does not allow it")]
    NoAdministrator,
    /// Whoever set the installation up stays its owner.
    #[error("the owner stays the owner")]
    Owner,
    /// Nobody locks themselves out, so somebody who may administer is always left.
    #[error("nobody changes their own role or access; ask another admin")]
    Oneself,
    /// There is one owner.
    #[error("there is an owner already, and there is only one")]
    SecondOwner,
}

impl User {
    /// Whether they may change the role of `whom`, sign them out, or shut them out.
    ///
    /// # Errors
    /// [`NotTheirs`]
    pub fn may_manage(&self, whom: &Self) -> Result<(), NotTheirs> {
        match () {
            () if !self.role.may(Permission::Administer) => Err(NotTheirs::NoAdministrator),
            () if whom.id == self.id => Err(NotTheirs::Oneself),
            () if whom.role == Role::Owner => Err(NotTheirs::Owner),
            () => Ok(()),
        }
    }

    /// Whether they may give `whom` that role.
    ///
    /// # Errors
    /// [`NotTheirs`]
    pub fn may_make(&self, whom: &Self, role: Role) -> Result<(), NotTheirs> {
        self.may_manage(whom)?;
        if role == Role::Owner { Err(NotTheirs::SecondOwner) } else { Ok(()) }
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

    #[test]
    fn the_owner_and_oneself_are_out_of_reach() {
        let user = |id, role| {
            let email = format!("{id}@fernhill.example").parse().unwrap();
            User { id: UserId(id), email, name: String::new(), role }
        };
        let [owner, admin, other, marketer, auditor] =
            [Role::Owner, Role::Admin, Role::Admin, Role::Marketer, Role::Auditor]
                .map(|role| user(role.code().into(), role));
        let other = User { id: UserId(9), ..other };
        for (who, whom, expected) in [
            (&owner, &admin, Ok(())),
            (&admin, &other, Ok(())),
            (&admin, &marketer, Ok(())),
            (&admin, &owner, Err(NotTheirs::Owner)),
            (&owner, &owner, Err(NotTheirs::Oneself)),
            (&admin, &admin, Err(NotTheirs::Oneself)),
            (&marketer, &auditor, Err(NotTheirs::NoAdministrator)),
            (&auditor, &auditor, Err(NotTheirs::NoAdministrator)),
        ] {
            assert_eq!(who.may_manage(whom), expected, "{:?} {:?}", who.role, whom.role);
        }
        assert_eq!(owner.may_make(&admin, Role::Owner), Err(NotTheirs::SecondOwner));
        assert_eq!(owner.may_make(&admin, Role::Auditor), Ok(()));
    }
}
