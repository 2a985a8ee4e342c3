//! Rows of `inbox`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "inbox")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub received: i64,
    pub source: String,
    pub digest: String,
    pub mail_from: String,
    pub recipient: String,
    pub raw: Vec<u8>,
    pub kind: Option<String>,
    pub read: Option<i64>,
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
