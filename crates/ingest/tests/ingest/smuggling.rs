//! One message in, one message kept: nothing in a message can begin another (SMTP smuggling), and nobody talks
//! before the answer.

use crate::world::World;
use rebound_ingest::Limits;

const ADA: &str = "ada@orchard.example";

/// Everything but CRLF, dot, CRLF that some host has taken for the end of a message.
fn variants() -> Vec<String> {
    let ends = ["\n", "\r", "\r\n", "\r\r\n", "\r\n\r", "\r\0\n", "\n\n", "\0"];
    let dots = [".", "..", "\0."];
    let all = ends.iter().flat_map(|before| dots.iter().flat_map(move |dot| ends.map(|after| [*before, *dot, after])));
    let real =
        |[before, dot, after]: &[&str; 3]| before.ends_with("\r\n") && *dot == "." && (after.starts_with("\r\n"));
    all.filter(|variant| !real(variant)).map(|variant| variant.concat()).collect()
}

#[tokio::test]
async fn no_message_hides_another() {
    let world = World::with(&[ADA]).await;
    let door = world.listen(Limits::default()).await;
    let recipient = world.return_path(ADA).await;
    let variants = variants();
    assert!(variants.len() >= 150);
    for variant in &variants {
        let mut caller = door.ready(&recipient).await;
        let hidden = format!("MAIL FROM:<>\r\nRCPT TO:<{recipient}>\r\nDATA\r\nhidden\r\n.\r\n");
        caller.say(format!("seen{variant}{hidden}").as_bytes()).await;
        let answer = caller.hear().await;
        let bare = variant.replace("\r\n", "").contains(['\r', '\n']);
        assert_eq!(answer.starts_with("550 5.5.2 "), bare, "{variant:?}: {answer}");
        let next = if bare { "" } else { "221 2.0.0 Bye\r\n" };
        assert_eq!(caller.ask("QUIT").await, next, "{variant:?}");
    }
    for kept in world.inbox().await {
        assert!(kept.starts_with(b"seen"), "{}", String::from_utf8_lossy(&kept));
    }
}

#[tokio::test]
async fn commands_that_follow_a_message_without_waiting_end_the_session() {
    let world = World::with(&[ADA]).await;
    let door = world.listen(Limits::default()).await;
    let recipient = world.return_path(ADA).await;
    let mut caller = door.ready(&recipient).await;
    caller.say(format!("a\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<{recipient}>\r\nDATA\r\nb\r\n.\r\n").as_bytes()).await;
    assert!(caller.hear().await.starts_with("554 5.5.0 "));
    assert_eq!(caller.hear().await, "");
    assert!(world.inbox().await.is_empty());
}

#[tokio::test]
async fn who_talks_early_is_hung_up_on() {
    let world = World::with(&[ADA]).await;
    let door = world.listen(Limits::default()).await;
    for early in
        ["MAIL FROM:<>\r\nRCPT TO:<x@y.example>\r\n", "NOOP\r\nNOOP\r\n", "RSET\r\nQ", "NOOP\r\n\n", "DATA\r\n.\r\n"]
    {
        let mut caller = door.greeted().await;
        caller.say(early.as_bytes()).await;
        assert!(caller.hear().await.starts_with("554 5.5.0 "), "{early:?}");
        assert_eq!(caller.hear().await, "", "{early:?}");
    }
}

#[tokio::test]
async fn commands_end_in_crlf_and_have_an_end() {
    let world = World::with(&[ADA]).await;
    let door = world.listen(Limits::default()).await;
    let mut caller = door.greeted().await;
    caller.say(b"NOOP\n").await;
    assert!(caller.hear().await.starts_with("500 5.5.2 "));
    caller.say(b"NOOP\rNOOP\r\n").await;
    assert!(caller.hear().await.starts_with("500 5.5.2 "));
    caller.say(&[b'x'; 5000]).await;
    assert!(caller.hear().await.starts_with("500 5.5.2 "));
}
