//! Rows of `campaigns`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "campaigns")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub name: String,
    pub list_id: i64,
    pub from_name: String,
    pub from_address: String,
    pub reply_to: Option<String>,
    pub subject: String,
    pub html: String,
    pub body: String,
    pub postal_address: String,
    pub defaults: String,
    pub doubt: i16,
    pub state: i16,
    pub reason: Option<String>,
    pub created: i64,
    pub launched: Option<i64>,
    pub finished: Option<i64>,
    pub planned: i64,
    pub audience_cursor: i64,
    pub trusted: i64,
    pub waits_for_relay: bool,
    pub scheduled: Option<i64>,
    pub expected: i64,
    pub parent: Option<i64>,
    pub cause: Option<String>,
    pub doubts_left: i64,
    pub counts_clicks: bool,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
