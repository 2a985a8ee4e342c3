//! Any content and any contact: the host sees one message, byte for byte, with the headers that it should have.

use super::tests::relay_at;
use super::{Answer, Envelope, Line, Mail, Wire};
use crate::{Composer, Relay, Sender};
use chrono::{DateTime, Utc};
use proptest::prelude::*;
use rebound_domain::{
    Campaign, CampaignId, CampaignState, Contact, ContactId, DeliveryId, DoubtPolicy, Draft, EmailAddress, Fields,
    Keys, ListId,
};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// What a host took for messages: each as it stood between the answer to DATA and its end.
type Taken = Arc<Mutex<Vec<Vec<u8>>>>;

/// A host that offers PIPELINING; `end` is what it takes for the end of a message. Some take less than the standard's.
async fn host(ends: &'static [&'static [u8]]) -> (Relay, Taken) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let taken = Taken::default();
    let kept = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            tokio::spawn(serve(stream, ends, Arc::clone(&kept)));
        }
    });
    (relay_at(port), taken)
}

async fn serve(mut stream: TcpStream, ends: &[&[u8]], taken: Taken) -> Option<()> {
    stream.write_all(b"220 host\r\n").await.ok()?;
    let (mut input, mut is_data) = (Vec::new(), false);
    loop {
        let end = if is_data { ends } else { &[b"\r\n".as_slice()] };
        let first = end.iter().filter_map(|end| Some((find(&input, end)?, end.len()))).min();
        let Some((at, length)) = first else {
            if stream.read_buf(&mut input).await.ok()? == 0 {
                return None;
            }
            continue;
        };
        let piece: Vec<u8> = input.drain(..at + length).take(at).collect();
        let answer: &[u8] = match (is_data, piece.get(..4).unwrap_or_default()) {
            (true, _) => {
                taken.lock().unwrap().push(piece);
                is_data = false;
                b"250 queued\r\n"
            }
            (false, b"DATA") => {
                is_data = true;
                // So that an end right at the beginning is seen as one.
                input.splice(..0, *b"\r\n");
                b"354 go on\r\n"
            }
            (false, b"EHLO") => b"250-host\r\n250-PIPELINING\r\n250 SIZE\r\n",
            (false, b"MAIL" | b"RCPT" | b"RSET" | b"QUIT") => b"250 ok\r\n",
            (false, _) => b"500 what?\r\n",
        };
        stream.write_all(answer).await.ok()?;
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// What the message was before its dots were doubled, as RFC 5321 §4.5.2 tells a host to read it.
fn unstuffed(taken: &[u8]) -> Vec<u8> {
    let text = &taken[2..]; // the line end that was put before it
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    lines.into_iter().flat_map(|line| line.strip_prefix(b".").unwrap_or(line)).copied().collect()
}

fn headers(message: &[u8]) -> usize {
    let end = find(message, b"\r\n\r\n").expect("a message has a body");
    message[..end]
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.starts_with(b" ") && !line.starts_with(b"\t"))
        .count()
}

fn campaign(subject: &str, html: &str, text: &str, from_name: &str, reply_to: Option<EmailAddress>) -> Campaign {
    let draft = Draft {
        name: "Spring".into(),
        list: ListId(1),
        from_name: from_name.into(),
        from: "news@fernhill.example".parse().unwrap(),
        reply_to,
        subject: subject.into(),
        html: html.into(),
        text: text.into(),
        postal_address: "1 Garden Row".into(),
        defaults: Fields::new(),
        doubt: DoubtPolicy::Resend,
        counts_clicks: true,
    };
    Campaign {
        id: CampaignId(1),
        draft,
        state: CampaignState::Sending,
        reason: None,
        created: DateTime::UNIX_EPOCH,
        launched: None,
        finished: None,
        planned: 0,
        expected: 0,
        scheduled: None,
        resend: None,
    }
}

fn sender() -> Sender {
    Sender {
        keys: Keys::new(('a', b"a key of 32 bytes, kept in a file".to_vec()), vec![]),
        return_domain: "bounce.fernhill.example".into(),
        public_url: "https://news.fernhill.example".into(),
    }
}

fn composed(campaign: Campaign, contact: &Contact, number: i64) -> Option<String> {
    let links = crate::links_of(&campaign.draft).ok()?;
    let composer = Composer::new(campaign, "News", sender(), &links).ok()?;
    let delivery = DeliveryId::new(CampaignId(1), number).unwrap();
    Some(composer.compose(delivery, contact, DateTime::<Utc>::UNIX_EPOCH).unwrap())
}

fn contact(address: EmailAddress, name: &str, note: &str) -> Contact {
    let fields = Fields::from([("first_name".into(), name.into()), ("note".into(), note.into())]);
    Contact { id: ContactId(1), address, fields }
}

fn ada() -> Contact {
    contact("ada@orchard.example".parse().unwrap(), "Ada", "")
}

/// Addresses with all signs that RFC 5321 §4.1.2 allows without quotes, at domains of any script.
fn address() -> impl Strategy<Value = EmailAddress> {
    let domain =
        prop::sample::select(vec!["orchard.example", "bücher.example", "xn--bcher-kva.example", "a.b-c.d.example"]);
    ("[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\\.[a-z0-9+_-]{1,10}){0,2}", domain)
        .prop_filter_map("an address", |(local, domain)| format!("{local}@{domain}").parse().ok())
}

/// Text as people and attackers write it, without the signs that a template would read.
fn text() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        "\r\n.\r\n",
        "\n.\n",
        "\r.\r",
        "\r\n.\r",
        "\n.\r\n",
        ".",
        "..",
        "\r\n..",
        "\r\nBcc: eve@orchard.example\r\n",
        "\r\nMAIL FROM:<eve@orchard.example>\r\n",
        "\r\nDATA\r\n",
        "\r",
        "\n",
        "=",
        "=\r\n",
        "\u{2028}",
        "\u{85}",
        "ünï",
        "\u{202e}",
        "From ",
        "\t",
        "<p>",
        "</p>",
        "&",
        "\"",
    ])
    .prop_map(str::to_owned);
    let long = (1usize..3000).prop_map(|length| "x".repeat(length));
    let piece = prop_oneof![4 => nasty, 2 => "\\PC{0,40}", 1 => long];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat().replace(['{', '}'], "("))
}

#[test]
fn what_holds_a_nul_is_not_made_and_says_where() {
    let well = ["Hello", "<p>{{ note }}</p>", "{{ note }}", "Fernhill"];
    for (place, part) in [(0, "Subject, line 1: "), (1, "HTML, line 2: "), (2, "Text, line 2: ")] {
        let mut words = well.map(str::to_owned);
        words[place] += if place == 0 { "\0" } else { "\n\0" };
        let [subject, html, text, name] = &words;
        let refused = Composer::new(campaign(subject, html, text, name, None), "News", sender(), &[]).unwrap_err();
        assert!(refused.to_string().starts_with(&format!("{part}it holds a NUL")), "{refused}");
    }
    let [subject, html, text, name] = well;
    let composer = Composer::new(campaign(subject, html, text, name, None), "News", sender(), &[]).unwrap();
    let eve = contact("eve@orchard.example".parse().unwrap(), "Eve", "a\0b");
    let refused = composer.compose(DeliveryId(1), &eve, DateTime::<Utc>::UNIX_EPOCH).unwrap_err();
    assert_eq!(refused.to_string(), "HTML: filled in, it holds a NUL character, which no mail may hold");
}

/// Sends two messages over one line, the second envelope behind the first message; what the host took.
async fn sent(relay: &Relay, taken: &Taken, to: &EmailAddress, messages: [&str; 2]) -> Vec<Vec<u8>> {
    let mut line = Line::open(relay).await.unwrap();
    let mail = |message: &str| Mail { from: "b@bounce.example", to: to.as_str(), size: message.len() };
    assert!(matches!(line.envelope(&mail(messages[0])).await, Envelope::Ready));
    let (answer, envelope) =
        line.message_and(&Wire::new(messages[0]), &mail(messages[1]), &CancellationToken::new()).await;
    assert!(matches!((&answer, &envelope), (Answer::Accepted(_), Envelope::Ready)), "{answer:?} {envelope:?}");
    assert!(matches!(line.message(&Wire::new(messages[1])).await, Answer::Accepted(_)));
    line.close().await;
    std::mem::take(&mut taken.lock().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_host_sees_one_message_byte_for_byte(
        subject in text(), html in text(), plain in text(), from_name in text(), name in text(), note in text(),
        address in address(), reply_to in prop::option::of(address()),
    ) {
        let html = format!("<p title=\"{{{{ note }}}}\">{{{{ first_name }}}}</p>{html}");
        let subject = format!("{{{{ first_name }}}} {subject}");
        let plain = format!("{plain}{{{{ note }}}}");
        let campaign = campaign(&subject, &html, &plain, &from_name, reply_to.clone());
        let contact = contact(address, &name, &note);
        let Some(first) = composed(campaign.clone(), &contact, 0) else { return Ok(()) };
        let second = composed(campaign, &ada(), 1).unwrap();
        let plainest = self::campaign("a", "<p>b</p>", "c", "d", reply_to);
        let expected = headers(composed(plainest, &ada(), 2).unwrap().as_bytes());
        prop_assert_eq!(headers(first.as_bytes()), expected, "{}", first);
        prop_assert!(first.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n', '\0'])));

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // The second takes whatever some hosts have taken for the end of a message.
        let hosts: [&'static [&'static [u8]]; 2] =
            [&[b"\r\n.\r\n"], &[b"\r\n.\r\n", b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n"]];
        for ends in hosts {
            let seen = runtime.block_on(async {
                let (relay, taken) = host(ends).await;
                sent(&relay, &taken, &contact.address, [&first, &second]).await
            });
            prop_assert_eq!(seen.len(), 2);
            for (seen, message) in seen.iter().zip([&first, &second]) {
                // The line end before the final dot belongs to both.
                let seen = String::from_utf8(unstuffed(seen)).unwrap() + "\r\n";
                let whole = if message.ends_with("\r\n") { message.clone() } else { format!("{message}\r\n") };
                prop_assert_eq!(seen, whole);
            }
        }
    }
}
