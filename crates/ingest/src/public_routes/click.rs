//! `/c/…`: a counted link of a letter. It leads on to where the letter's author wanted it, and is noted before.

use super::{Desk, Peer, Trouble};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rebound_contacts::{Caller, record_click};
use rebound_db::{campaigns, clicks, contacts, deliveries, lists};
use rebound_domain::CountedLink;
use std::net::IpAddr;

pub(super) async fn follow(
    State(desk): State<Desk>,
    Path(token): Path<String>,
    Peer(peer): Peer,
    method: Method,
    headers: HeaderMap,
) -> Response {
    // Who asks for the head of a page alone does not go there.
    let caller = (method == Method::GET).then(|| caller(&headers));
    match desk.destination(&token, peer, caller).await {
        Ok(destination) => (StatusCode::FOUND, [(header::LOCATION, destination)]).into_response(),
        Err(trouble) => desk.sorry(trouble),
    }
}

fn caller(headers: &HeaderMap) -> Caller<'_> {
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_ahead = ["sec-purpose", "purpose", "x-purpose", "x-moz"];
    let is_ahead = is_ahead.iter().any(|name| ["prefetch", "preview"].iter().any(|word| said(name).contains(word)));
    Caller { agent: said("user-agent"), is_ahead }
}

impl Desk {
    /// Where the link leads. That it was followed is noted before: as whose, `caller` tells.
    async fn destination(&self, token: &str, peer: IpAddr, caller: Option<Caller<'_>>) -> Result<String, Trouble> {
        let Some(link) = CountedLink::verify(token, &self.pages.keys) else {
            return Err(self.wrong(peer, Trouble::CutLink));
        };
        let db = &self.pages.db;
        let target = clicks::target(db, link).await?.ok_or(Trouble::LeadsNowhere)?;
        let draft = campaigns::get(db, link.delivery.campaign()).await?.ok_or(Trouble::LeadsNowhere)?.draft;
        let list = lists::get(db, draft.list).await?.map_or_else(String::new, |list| list.name);
        let contact = match deliveries::get(db, &[link.delivery]).await?.into_iter().next() {
            Some(delivery) => contacts::get(db, delivery.contact).await?,
            None => None,
        };
        let destination = (self.pages.destination)(&draft, &list, &target, contact.as_ref());
        let destination = destination.ok_or(Trouble::LeadsNowhere)?;
        if let (Some(caller), Some(contact)) = (caller, &contact) {
            record_click(db, link, contact, &caller, self.now()).await?;
        }
        Ok(destination)
    }
}
