//! All that is looked at before a launch: one row a check, with its weight, its reason and whose rule it is.

use super::finding::{Level, Mend, Part};
use Level::{Hints, Stops, Warns};
use Part::{Content, From, Subject, To};

/// One row of the table.
struct Row {
    name: &'static str,
    part: Part,
    level: Level,
    mend: Mend,
    rules: &'static str,
    why: &'static str,
}

/// Writes the enum, its order and its table in one go, so that no check is without a row.
macro_rules! checks {
    ($($check:ident, $name:literal, $part:ident, $level:ident, $mend:expr, $rules:literal, $why:literal;)*) => {
        /// Something that is looked at before a launch.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Check {
            $(#[doc = $why] $check,)*
        }

        impl Check {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$check,)*];

            fn row(self) -> Row {
                match self {
                    $(Self::$check => Row { name: $name, part: $part, level: $level, mend: $mend, rules: $rules, why: $why },)*
                }
            }
        }
    };
}

impl Check {
    /// Its name for programs: `spf_missing`. It does not change.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().name
    }

    /// The part of the campaign that it is about.
    #[must_use]
    pub fn part(self) -> Part {
        self.row().part
    }

    /// Whose rule it is: receivers, laws, standards; with commas between them.
    #[must_use]
    pub fn rules(self) -> &'static str {
        self.row().rules
    }

    /// Why it matters, in a sentence.
    #[must_use]
    pub fn why(self) -> &'static str {
        self.row().why
    }

    /// What it weighs where nothing makes it heavier.
    #[must_use]
    pub fn level(self) -> Level {
        self.row().level
    }

    /// Where it is mended.
    pub(super) fn mend(self) -> Mend {
        self.row().mend
    }
}

checks! {
    ListGone, "list_gone", To, Stops, Mend::Edit("list"), "Rebound", "A campaign goes to the people of a list.";
    NobodyLeft, "nobody_left", To, Stops, Mend::People, "Rebound", "There is nobody to send it to.";
    SameMailbox, "same_mailbox", To, Warns, Mend::People, "Gmail, Yahoo", "Who gets the same letter twice presses “report spam” the sooner.";
    RoleAddresses, "role_addresses", To, Warns, Mend::People, "Gmail, Yahoo, Microsoft", "Behind such an address nobody asked for the mail, and abuse@ and postmaster@ are read by those who block senders.";
    NeverWritten, "never_written", To, Warns, Mend::People, "Microsoft", "Receivers ask for clean lists; new addresses bounce the most.";
    ExpectedBounces, "expected_bounces", To, Warns, Mend::Bounces, "Gmail, Yahoo, Microsoft", "Past 5 % of hard bounces receivers slow a sender down or block it.";
    DeadDomains, "dead_domains", To, Warns, Mend::People, "RFC 7505, RFC 5321", "A domain that takes no mail returns every message, and spam traps live on such domains.";
    VolumeJump, "volume_jump", To, Warns, Mend::Bounces, "Gmail, Yahoo, Microsoft", "A sender that suddenly sends much more is taken for a broken-into one until it has a history.";
    TakesLong, "takes_long", To, Hints, Mend::Servers, "Rebound", "The sending server's limit decides when the last letter leaves.";
    Complaints, "complaints", To, Warns, Mend::Bounces, "Gmail, Yahoo", "Gmail wants fewer than 0.10 % complaints and never 0.30 %; above it, mail goes to spam or is refused.";

    MailboxProvider, "mailbox_provider", From, Stops, Mend::Edit("from"), "Gmail, Yahoo", "Such a provider lets only its own servers send in its name, and receivers refuse the rest by DMARC.";
    FromBeyondAscii, "from_beyond_ascii", From, Stops, Mend::Edit("from"), "RFC 6531", "Headers with such an address need SMTPUTF8 at every host on the way; most refuse or spoil the letter, whoever it is for.";
    ReplyToBeyondAscii, "reply_to_beyond_ascii", From, Stops, Mend::Edit("reply_to"), "RFC 6531", "Headers with such an address need SMTPUTF8 at every host on the way; most refuse or spoil the letter, whoever it is for.";
    FromDomainMissing, "from_domain_missing", From, Stops, Mend::Edit("from"), "Gmail, Microsoft, RFC 5321", "Receivers refuse mail from a domain that does not exist.";
    FromDeaf, "from_deaf", From, Warns, Mend::Edit("from"), "Microsoft", "The sender's address must be able to receive mail.";
    ReplyToDeaf, "reply_to_deaf", From, Warns, Mend::Edit("reply_to"), "Microsoft", "The address for answers must be able to receive mail.";
    SpfMissing, "spf_missing", From, Warns, Mend::Dns, "Gmail, Yahoo, Microsoft", "SPF names the servers that may send; bulk senders must have it. Receivers ask it of the return path's domain.";
    SpfSeveral, "spf_several", From, Warns, Mend::Dns, "RFC 7208", "With two records SPF fails for good (permerror), as if there were none.";
    SpfBroken, "spf_broken", From, Warns, Mend::Dns, "RFC 7208", "A record with a mistake in it fails for good (permerror), as if there were none.";
    SpfLookups, "spf_lookups", From, Warns, Mend::Dns, "RFC 7208", "After ten look-ups receivers stop reading, and SPF fails for good.";
    SpfOpen, "spf_open", From, Warns, Mend::Dns, "Gmail, Yahoo, Microsoft", "Such a record lets anybody send in your name; filters distrust it.";
    SpfRefuses, "spf_refuses", From, Warns, Mend::Dns, "Gmail, Yahoo, Microsoft", "Mail from a server that the record does not name fails SPF.";
    DkimUnseen, "dkim_unseen", From, Warns, Mend::SendingDomains, "Gmail, Yahoo, Microsoft", "Bulk senders must sign with DKIM, and a signature survives forwarding where SPF does not.";
    DkimWaiting, "dkim_waiting", From, Warns, Mend::SendingDomains, "Gmail, Yahoo, Microsoft", "Until the record is found in DNS, nothing is signed.";
    DkimMissing, "dkim_missing", From, Warns, Mend::SendingDomains, "Gmail, Yahoo, Microsoft", "Without its record in DNS a signature proves nothing, and DKIM fails.";
    DkimDiffers, "dkim_differs", From, Warns, Mend::SendingDomains, "Gmail, Yahoo, Microsoft", "A signature that another key made fails for every message.";
    DkimWeak, "dkim_weak", From, Warns, Mend::SendingDomains, "Gmail, RFC 8301", "Gmail takes no key below 1024 bits, and advises 2048.";
    DmarcMissing, "dmarc_missing", From, Warns, Mend::Dns, "Gmail, Yahoo, Microsoft", "Bulk senders must have at least p=none; Microsoft refuses the rest with 550 5.7.515.";
    DmarcBroken, "dmarc_broken", From, Warns, Mend::Dns, "RFC 7489", "Receivers pass over a record that they cannot read, as if there were none.";
    Unaligned, "unaligned", From, Warns, Mend::Dns, "Gmail, Yahoo, Microsoft", "DMARC passes only where SPF or DKIM speaks for the domain that people see.";
    PtrMissing, "ptr_missing", From, Warns, Mend::Dns, "Gmail, Yahoo, Microsoft", "Receivers refuse mail from an address without a name (PTR record).";
    PtrForward, "ptr_forward", From, Warns, Mend::Dns, "Gmail, Yahoo", "The name of a sending address must lead back to the address.";
    NotPublic, "not_public", From, Warns, Mend::Settings, "RFC 8058", "People outside reach neither the unsubscribe page nor the return path of such a set-up.";
    ReturnUnreachable, "return_unreachable", From, Stops, Mend::ReturnPath, "Rebound", "Bounces cannot come back, and addresses that are gone are written to again and again.";
    ReturnUnsure, "return_unsure", From, Warns, Mend::ReturnPath, "Rebound", "Bounces that do not come back cannot be understood.";
    ListenerSilent, "listener_silent", From, Warns, Mend::ReturnPath, "Rebound", "Bounces wait elsewhere, and are lost when they wait for too long.";

    SubjectEmpty, "subject_empty", Subject, Stops, Mend::Edit("subject"), "RFC 5322", "Mail without a subject is not opened, and filters distrust it.";
    SubjectLong, "subject_long", Subject, Hints, Mend::Edit("subject"), "Rebound", "Lists of mail show the first 60 letters.";
    SubjectShouts, "subject_shouts", Subject, Warns, Mend::Edit("subject"), "Gmail, Yahoo", "Capitals from end to end are a mark of spam.";
    SubjectPretends, "subject_pretends", Subject, Warns, Mend::Edit("subject"), "CAN-SPAM, Gmail", "A subject that pretends to be an answer deceives, and the law forbids that.";

    MessageEmpty, "message_empty", Content, Stops, Mend::Edit("html"), "Rebound", "There is nothing to read.";
    CannotBeMade, "cannot_be_made", Content, Stops, Mend::Edit("html"), "Rebound", "A message that cannot be made cannot be sent.";
    FieldEmpty, "field_empty", Content, Stops, Mend::Edit("defaults"), "Rebound", "“Dear ,” tells people that a machine wrote to them.";
    AddressMissing, "address_missing", Content, Stops, Mend::Edit("postal_address"), "CAN-SPAM, CASL", "The law asks where the sender can be found.";
    AddressHidden, "address_hidden", Content, Stops, Mend::Edit("html"), "CAN-SPAM, CASL", "The law asks where the sender can be found, in every message.";
    UnsubscribeHidden, "unsubscribe_hidden", Content, Stops, Mend::Edit("html"), "Gmail, Yahoo, CAN-SPAM, CASL", "Each message must show a way out; who finds none presses “report spam”.";
    OneClickMissing, "one_click_missing", Content, Stops, Mend::Settings, "Gmail, Yahoo, RFC 8058", "Marketing mail must carry both headers of one-click unsubscribe.";
    OneClickPlain, "one_click_plain", Content, Stops, Mend::Settings, "RFC 8058", "Mail programs use one-click unsubscribe over https only.";
    OneClickFails, "one_click_fails", Content, Stops, Mend::Settings, "Gmail, Yahoo, RFC 8058", "A wish to leave must be honoured within two days; here it is not even heard.";
    OneClickActs, "one_click_acts", Content, Stops, Mend::Settings, "RFC 8058", "Programs open links to look at them; whoever only looks must stay subscribed.";
    OneClickUnreachable, "one_click_unreachable", Content, Warns, Mend::Settings, "Gmail, Yahoo, RFC 8058", "Who cannot leave presses “report spam”.";
    TextEmpty, "text_empty", Content, Warns, Mend::Edit("text"), "RFC 2046", "Watches, screen readers and filters read the plain text; one that says nothing is a mark of spam.";
    Clipped, "clipped", Content, Warns, Mend::Edit("html"), "Gmail", "Gmail cuts a message off after 102 KB, and the unsubscribe link with it.";
    TooLarge, "too_large", Content, Stops, Mend::Edit("html"), "Gmail, Yahoo, Microsoft", "Many hosts refuse a message of more than 10 MB.";
    LineTooLong, "line_too_long", Content, Stops, Mend::Edit("html"), "RFC 5322", "A line has 998 characters at most; hosts break longer ones, and the signature with them, or refuse.";
    LinkBroken, "link_broken", Content, Warns, Mend::Edit("html"), "Rebound", "A press on it leads nowhere.";
    LinkPlain, "link_plain", Content, Warns, Mend::Edit("html"), "Gmail", "Browsers warn of pages without https.";
    LinkBareIp, "link_bare_ip", Content, Warns, Mend::Edit("html"), "Gmail, Yahoo, Microsoft", "Filters take a bare IP address for an attack.";
    LinkShortened, "link_shortened", Content, Warns, Mend::Edit("html"), "Gmail, Microsoft", "A shortener hides where a link leads; filters refuse it for what others hid.";
    LinkDangerous, "link_dangerous", Content, Stops, Mend::Edit("html"), "Gmail, Yahoo, Microsoft", "Filters take code in a link for an attack, and refuse the message.";
    PictureSilent, "picture_silent", Content, Warns, Mend::Edit("html"), "Gmail", "People who cannot see a picture, or whose program does not load it, read nothing.";
    PictureInside, "picture_inside", Content, Warns, Mend::Edit("html"), "Gmail, Microsoft", "Gmail and Outlook do not show pictures that are inside the message.";
    NoPreheader, "no_preheader", Content, Hints, Mend::Edit("html"), "Rebound", "Lists of mail show the first words beside the subject.";

    Unchecked, "unchecked", From, Hints, Mend::ReturnPath, "Rebound", "It is not known whether it is well; that is no fault.";
}
