//! The hosts of the pretend internet. Their names say nothing about what they do, so that nobody
//! who reads a bounce can take the cause from the domain.

use crate::mailboxes::{Behaviour, DOMAIN};

/// Labels below `sandbox.test`, by behaviour.
pub(crate) const DOMAINS: &[(Behaviour, &[&str])] = &[
    (
        Behaviour::Fine,
        &[
            "orchard", "lantern", "harbour", "meadow", "cobalt", "juniper", "saffron", "willow", "granite", "amber",
            "thistle", "quarry", "beacon", "clover", "marble", "tundra", "cedar", "pepper", "velvet", "falcon",
            "maple", "cinder", "opal", "bramble", "heron", "copper", "linden", "otter", "prairie", "walnut", "aurora",
            "pebble", "fennel", "ginger", "hazel", "indigo", "kestrel", "larch", "mosaic", "nutmeg",
        ],
    ),
    (Behaviour::Full, &["basil", "canyon", "drift"]),
    (Behaviour::FullThenEmptied, &["ember", "fjord", "glade"]),
    (Behaviour::FullByReport, &["hollow", "island"]),
    (Behaviour::Gone, &["jasper", "kelp", "lagoon", "mesa"]),
    (Behaviour::GoneByReport, &["north", "oasis", "pine"]),
    (Behaviour::Down, &["quartz", "ridge", "sierra", "topaz", "umber"]),
    (Behaviour::DownThenUp, &["valley", "wharf", "xenon", "yarrow", "zephyr"]),
    (Behaviour::TooLarge, &["acorn", "birch", "comet"]),
    (Behaviour::SpamFilter, &["delta", "elm", "flint"]),
    (Behaviour::Greylisting, &["grove", "heath", "iris", "jade"]),
    (Behaviour::Slow, &["koala", "lotus"]),
    (Behaviour::RateLimited, &["mint", "nectar", "onyx"]),
    (Behaviour::Forwards, &["plum", "quill"]),
    (Behaviour::OutOfOffice, &["raven", "sage", "teal"]),
    (Behaviour::Complains, &["violet", "wren"]),
];

/// The place of `domain` among those that behave alike.
pub(crate) fn place(domain: &str) -> Option<u64> {
    let name = domain.strip_suffix(DOMAIN)?.strip_suffix('.')?;
    let place = DOMAINS.iter().find_map(|(_, names)| names.iter().position(|listed| *listed == name))?;
    u64::try_from(place).ok()
}
