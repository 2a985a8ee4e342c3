//! Somebody follows the link in a letter.

use crate::engine::{Engine, on_both_engines};
use crate::pages::follow;
use crate::unsubscribe::link as link_of;
use crate::world::{World, until};

on_both_engines! {
    a_link_leads_on_and_the_pages_tell_who_followed_it,
}

const ADA: &str = "ada@sandbox.test";

async fn a_link_leads_on_and_the_pages_tell_who_followed_it(engine: Engine) {
    let world = World::start(engine).await;
    world.import(&format!("email\n{ADA}\nzoe@sandbox.test\n")).await;
    world.send("Spring").await;
    let (link, browser) = (world.counted_link(ADA).await, world.browser().await);
    let page = browser.text("/campaigns/1/links").await;
    assert!(page.contains("0 people followed a link of 2 people who got it"), "{page}");

    // Whoever is there at once is a machine; the person comes later.
    until("a person counts", async || {
        assert_eq!(
            follow(&link).await,
            (302.try_into().unwrap(), "https://fernhill.test/bulbs?for=ada%40sandbox.test".into())
        );
        let page = browser.text("/campaigns/1/links").await;
        assert!(page.contains("https://fernhill.test/bulbs?for={{ email|urlencode }}"), "{page}");
        page.contains("1 person followed a link of 2 people who got it").then_some(())
    })
    .await;
    let followers = browser.text("/campaigns/1/recipients?link=1").await;
    assert!(followers.contains(ADA) && !followers.contains("zoe@sandbox.test"), "{followers}");
    let ada = browser.text("/contacts/1").await;
    assert!(ada.contains("Followed a link of “Spring”"), "{ada}");

    // They ask that nothing is noted: what was is forgotten, and the link leads on.
    let preferences = format!("{}/preferences", link_of(&world, ADA).await);
    let (status, page) = browser.send(&preferences, &[("shown", "1"), ("list", "1"), ("asks", "counted")]).await;
    assert!(status.is_success() && page.contains("Saved"), "{status} {page}");
    assert_eq!(follow(&link).await.0, 302);
    let page = browser.text("/campaigns/1/links").await;
    assert!(page.contains("0 people followed a link"), "{page}");
}
