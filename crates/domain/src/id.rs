//! Identities: all numbers, none of which can be handed over as another.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta] $name:ident)*) => {$(
        #[$doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

id! {
    /// Names a domain that mail is sent from.
    SendingDomainId
    /// Names a key that signs mail.
    DkimKeyId
    /// Names a contact.
    ContactId
    /// Names a list.
    ListId
    /// Names a campaign; at most 24 bits, as a [`DeliveryId`] carries it.
    CampaignId
    /// Names a raw report in the inbox.
    InboxId
    /// Names a noted bounce.
    BounceId
    /// Names an incident.
    IncidentId
    /// Names someone who may sign in.
    UserId
    /// Names a running worker, for as long as it runs.
    WorkerId
    /// Names an import.
    ImportId
    /// Names a piece of long work.
    JobId
    /// Names a server that takes our mail.
    ServerId
}

/// Names one message to one recipient: the campaign (24 bits) and the ordinal in it (31 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(pub i64);

const ORDINAL_BITS: u32 = 31;
const CAMPAIGN_BITS: u32 = 24;

impl DeliveryId {
    /// The delivery with `ordinal` (counted from 0) in `campaign`; `None` when either has no room.
    #[must_use]
    pub fn new(campaign: CampaignId, ordinal: i64) -> Option<Self> {
        let fits = (0..1 << CAMPAIGN_BITS).contains(&campaign.0) && (0..1 << ORDINAL_BITS).contains(&ordinal);
        fits.then_some(Self(campaign.0 << ORDINAL_BITS | ordinal))
    }

    /// The campaign it belongs to.
    #[must_use]
    pub fn campaign(self) -> CampaignId {
        CampaignId(self.0 >> ORDINAL_BITS)
    }

    /// Its place in the campaign, counted from 0.
    #[must_use]
    pub fn ordinal(self) -> i64 {
        self.0 & ((1 << ORDINAL_BITS) - 1)
    }

    /// The first and the last id that deliveries of `campaign` can have.
    #[must_use]
    pub fn range(campaign: CampaignId) -> (i64, i64) {
        let first = campaign.0 << ORDINAL_BITS;
        (first, first | ((1 << ORDINAL_BITS) - 1))
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_names_its_campaign_and_its_place() {
        let id = DeliveryId::new(CampaignId(41), 9_412).unwrap();
        assert_eq!((id.campaign(), id.ordinal()), (CampaignId(41), 9_412));
        assert!(id.0 < 1 << 55);
        assert_eq!(DeliveryId::new(CampaignId(1 << 24), 0), None);
        assert_eq!(DeliveryId::new(CampaignId(1), 1 << 31), None);
    }
}
