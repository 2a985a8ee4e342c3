//! `/contacts/{id}/edit`: what is known of a person, changed by hand.

use crate::App;
use crate::error::PageError;
use crate::page::{Faulty, Frame, Page, Place};
use crate::session::{Allowed, Needs, Submitted, Write};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use rebound_db::contacts;
use rebound_domain::{Contact, ContactId, Fields, field_name, full_name};

/// Fields that can be added at once.
const NEW: usize = 3;
/// The longest value, in characters.
const LONGEST: usize = 1_000;

#[derive(Template)]
#[template(path = "contacts/edit.html")]
pub(crate) struct Edit {
    frame: Frame,
    id: ContactId,
    name: String,
    address: String,
    fields: Vec<(String, String)>,
    fault: Option<&'static str>,
}

pub(crate) async fn edit(
    by: Allowed<Write>,
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Page<Edit>, PageError> {
    let contact = found(&app, id).await?;
    let fields = contact.fields.clone().into_iter().collect();
    Ok(Page(form(&app, &by, &contact, fields, None).await?))
}

/// The fields come as pairs of `name` and `value`, in their order; one without a value is taken away.
pub(crate) async fn update(
    State(app): State<App>,
    Path(id): Path<i64>,
    Submitted { by, form: said }: Submitted<Write, Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let contact = found(&app, id).await?;
    let all = |name: &'static str| said.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.trim());
    let pairs: Vec<(String, String)> =
        all("name").zip(all("value")).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    match read(&pairs) {
        Ok(fields) => {
            rebound_contacts::set_fields(&app.db, &contact, fields, by.actor(), app.now()).await?;
            Ok(Redirect::to(&format!("/contacts/{id}")).into_response())
        }
        Err(fault) => Ok(Faulty(form(&app, &by, &contact, pairs, Some(fault)).await?).into_response()),
    }
}

fn read(pairs: &[(String, String)]) -> Result<Fields, &'static str> {
    let mut fields = Fields::new();
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        let name = field_name(name);
        if name.is_empty() {
            return Err("a value has no name: name it, such as town");
        }
        if value.chars().count() > LONGEST || name.chars().count() > 100 {
            return Err("a value is longer than 1,000 characters, or its name than 100");
        }
        if fields.insert(name, value.clone()).is_some() {
            return Err("two fields have the same name");
        }
    }
    Ok(fields)
}

async fn form<P: Needs>(
    app: &App,
    by: &Allowed<P>,
    contact: &Contact,
    mut fields: Vec<(String, String)>,
    fault: Option<&'static str>,
) -> Result<Edit, PageError> {
    let empty = fields.iter().filter(|(_, value)| value.is_empty()).count();
    fields.extend(std::iter::repeat_n((String::new(), String::new()), NEW.saturating_sub(empty)));
    Ok(Edit {
        frame: Frame::of(app, by, Place::Contacts).await?,
        id: contact.id,
        name: full_name(&contact.fields).unwrap_or_else(|| contact.address.to_string()),
        address: contact.address.to_string(),
        fields,
        fault,
    })
}

async fn found(app: &App, id: i64) -> Result<Contact, PageError> {
    contacts::get(&app.db, ContactId(id)).await?.ok_or(PageError::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_once_and_empty_ones_go() {
        let pairs =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>();
        let fields = read(&pairs(&[("First Name", "Mira"), ("town", ""), ("", "")])).unwrap();
        assert_eq!(fields, Fields::from([("first_name".to_owned(), "Mira".to_owned())]));
        assert!(read(&pairs(&[("", "Ulmen")])).is_err());
        assert!(read(&pairs(&[("town", "Ulmen"), ("Town", "Ghent")])).is_err());
    }
}
