//! Which column is what: the header's names, in the languages people export in, or the caller's word.

use super::records::Row;
use super::{Import, MAX_CELL, MAX_COLUMNS, Target};
use crate::Error;
use rebound_db::imports::BadRow;
use rebound_domain::{AddressKey, EmailAddress, Fields, field_name};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// A person as one row has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Person {
    pub(super) key: AddressKey,
    pub(super) line: i64,
    pub(super) address: EmailAddress,
    pub(super) fields: Fields,
}

/// What each column is.
pub(super) struct Columns(Vec<Target>);

/// Names of address columns, as [`field_name`] folds them; `e_mail` and `email` are told apart by nobody.
const ADDRESS_NAMES: &[&str] = &[
    "email",
    "emailaddress",
    "emailadresse",
    "emailaddresse",
    "mailaddress",
    "mailadresse",
    "adresseemail",
    "adressemail",
    "adresseelectronique",
    "adresseélectronique",
    "courriel",
    "correo",
    "correoelectronico",
    "correoelectrónico",
    "direcciondecorreo",
    "direccióndecorreo",
    "emailadres",
    "mailadres",
    "epost",
    "epostadress",
    "epostadresse",
    "eposta",
    "epostaadresi",
    "sähköposti",
    "sähköpostiosoite",
    "postaelettronica",
    "indirizzoemail",
    "enderecodeemail",
    "endereçodeemail",
    "adresemail",
    "adresaemail",
    "почта",
    "электроннаяпочта",
    "имейл",
    "メール",
    "メールアドレス",
    "邮箱",
    "电子邮件",
    "電子郵件",
    "電子信箱",
    "이메일",
    "primaryemail",
    "contactemail",
    "useremail",
    "subscriberemail",
    "customeremail",
    "workemail",
    "homeemail",
    "personalemail",
    "recipient",
    "recipientemail",
    "email1",
    "email1value",
    "emailaddress1",
];
/// Names that may mean an address, where no better one is there.
const WEAK_NAMES: &[&str] = &["mail", "address", "adresse", "emails", "to", "contact", "username", "login"];

impl Columns {
    /// Reads a header; or finds that there is none, and the first row is a person already.
    pub(super) fn read(first: &Row<'_>, settings: &Import) -> Result<(Self, bool), Error> {
        let names: Vec<&str> = first.cells().map(str::trim).collect();
        if names.len() > MAX_COLUMNS {
            return Err(Error::TooManyColumns(names.len()));
        }
        let asked = |name: &str| {
            settings
                .columns
                .iter()
                .find(|(header, _)| header.trim().eq_ignore_ascii_case(name))
                .map(|(_, to)| to.clone())
        };
        let chosen: Vec<Option<Target>> = names.iter().map(|name| asked(name)).collect();
        if let Some(address) = address_column(&names, &chosen) {
            return Ok((Self::named(&names, chosen, address), true));
        }
        let people: Vec<usize> =
            names.iter().enumerate().filter(|(_, cell)| mailbox(cell).is_ok()).map(|(at, _)| at).collect();
        match people.as_slice() {
            [address] => {
                let name =
                    |at| if at == *address { Target::Address } else { Target::Field(format!("column_{}", at + 1)) };
                Ok((Self((0..names.len()).map(name).collect()), false))
            }
            _ => Err(Error::NoAddressColumn { found: found(&names) }),
        }
    }

    /// A header in which no address was found, as fields.
    pub(super) fn without_address(first: &Row<'_>) -> Self {
        let names: Vec<&str> = first.cells().map(str::trim).collect();
        Self::named(&names, vec![None; names.len()], usize::MAX)
    }

    fn named(names: &[&str], chosen: Vec<Option<Target>>, address: usize) -> Self {
        let mut taken = HashSet::new();
        let target = |(at, (name, chosen)): (usize, (&&str, Option<Target>))| {
            if at == address {
                return Target::Address;
            }
            let field = match chosen {
                Some(Target::Field(field)) => field_name(&field),
                Some(Target::Address | Target::Skip) => return Target::Skip,
                None => field_name(name),
            };
            match field {
                field if field.is_empty() => Target::Skip,
                field if taken.insert(field.clone()) => Target::Field(field),
                field => Target::Field(format!("{field}_{}", at + 1)),
            }
        };
        Self(names.iter().zip(chosen).enumerate().map(target).collect())
    }

    pub(super) fn targets(&self) -> &[Target] {
        &self.0
    }

    pub(super) fn width(&self) -> usize {
        self.0.len()
    }

    /// The person in a row, or why there is none.
    pub(super) fn person(&self, row: &Row<'_>) -> Result<Person, BadRow> {
        let mut fields = Fields::new();
        let (mut address, mut display) = (None, String::new());
        for (cell, target) in row.cells().zip(&self.0) {
            let cell = cell.trim();
            match target {
                Target::Skip => {}
                Target::Address => match mailbox(cell) {
                    Ok((name, found)) => (address, display) = (Some(found), name),
                    Err(why) => return Err(row.bad(why)),
                },
                Target::Field(_) if cell.is_empty() => {}
                Target::Field(name) => match value(cell) {
                    Ok(value) => drop(fields.insert(name.clone(), value.to_owned())),
                    Err(why) => {
                        let why = format!("{why}, in “{name}”");
                        return Err(row.bad(why));
                    }
                },
            }
        }
        let Some(address) = address else { return Err(row.bad("there is no address")) };
        if !display.is_empty() && value(&display).is_ok() {
            fields.entry("name".to_owned()).or_insert(display);
        }
        Ok(Person { key: address.key(), line: row.line, address, fields })
    }
}

impl Person {
    /// Takes what another row says of the same person: what it leaves out stays.
    pub(super) fn learn(&mut self, later: Self) {
        self.fields.extend(later.fields);
    }
}

fn address_column(names: &[&str], chosen: &[Option<Target>]) -> Option<usize> {
    let said = chosen.iter().position(|target| matches!(target, Some(Target::Address)));
    let folded: Vec<String> = names.iter().map(|name| field_name(name).replace('_', "")).collect();
    let free = |at: &usize| chosen.get(*at).is_some_and(Option::is_none);
    let like = |known: &[&str]| {
        (0..names.len()).filter(free).find(|at| folded.get(*at).is_some_and(|name| known.contains(&name.as_str())))
    };
    said.or_else(|| like(ADDRESS_NAMES)).or_else(|| like(WEAK_NAMES))
}

/// The name and the address in `Ada <ada@orchard.example>`, or in an address alone.
fn mailbox(cell: &str) -> Result<(String, EmailAddress), String> {
    let cell = cell.strip_prefix("mailto:").unwrap_or(unguarded(cell));
    let (name, address) = match cell.rsplit_once('<') {
        Some((name, rest)) => (name, rest.strip_suffix('>').ok_or("the < before the address is never closed")?),
        None => ("", cell),
    };
    let address = address.parse().map_err(|error: rebound_domain::BadAddress| error.to_string())?;
    Ok((name.trim().trim_matches('"').trim().to_owned(), address))
}

/// A value that may stand in a header or a line of a message.
fn value(cell: &str) -> Result<&str, String> {
    let cell = unguarded(cell);
    if cell.contains(['\r', '\n', '\0']) {
        return Err("a line break or a NUL".to_owned());
    }
    if cell.len() > MAX_CELL {
        return Err(format!("longer than {MAX_CELL} bytes"));
    }
    Ok(cell)
}

/// Without the quote that [`crate::export`] puts before what a spreadsheet would take for a formula.
fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'')
        .filter(|rest| rest.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']))
        .unwrap_or(cell)
}

fn found(names: &[&str]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(8)
        .map(|name| format!("“{}”", name.chars().filter(|c| !c.is_control()).take(40).collect::<String>()))
        .collect();
    let more = if names.len() > shown.len() { " …" } else { "" };
    shown.join(", ") + more
}
