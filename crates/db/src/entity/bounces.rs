//! Rows of `bounces`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bounces")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub at: i64,
    pub delivery_id: Option<i64>,
    pub attempt: i16,
    pub campaign_id: Option<i64>,
    pub contact_id: Option<i64>,
    pub key: String,
    pub domain: String,
    pub inbox_id: Option<i64>,
    pub grade: i16,
    pub is_final: bool,
    pub cause: String,
    pub hard: bool,
    pub confidence: i16,
    pub second: Option<String>,
    pub status: Option<String>,
    pub reply_code: Option<i16>,
    pub diagnostic: String,
    pub words: String,
    pub reporting_mta: Option<String>,
    pub evidence: String,
    pub detail: Option<String>,
    pub retry_after: Option<i64>,
    pub policy_version: i64,
    pub incident_id: Option<i64>,
    pub excused: bool,
    pub held: bool,
    pub corrected: Option<String>,
    pub rules: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
