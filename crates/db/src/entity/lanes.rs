//! Rows of `lanes`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "lanes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub server_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub receiver: String,
    pub until: i64,
    pub rests: i64,
    pub cause: i16,
    pub words: String,
    pub per_hour: Option<i64>,
    pub places: Option<i64>,
    pub why: String,
    pub probing: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
