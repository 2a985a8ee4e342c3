//! Rows of `imports`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "imports")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub list_id: i64,
    pub file: String,
    pub digest: String,
    pub lines: i64,
    pub added: i64,
    pub updated: i64,
    pub unchanged: i64,
    pub duplicates: i64,
    pub suppressed: i64,
    pub bad: i64,
    pub started: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
