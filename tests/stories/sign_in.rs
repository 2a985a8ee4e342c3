//! Getting in, and out.

use crate::engine::{Engine, on_both_engines};
use crate::pages::{Browser, text_of};
use crate::world::World;

on_both_engines! {
    the_first_account_is_made_by_a_link_that_works_once,
    a_wrong_password_opens_nothing_and_signing_out_closes_everything,
}

const INES: [(&str, &str); 3] =
    [("name", "Ines"), ("email", "ines@fernhill.test"), ("password", "tulips before the frost")];

async fn the_first_account_is_made_by_a_link_that_works_once(engine: Engine) {
    let world = World::start(engine).await;
    let link = world.setup_link().await;
    let browser = Browser::new(world.pages);
    let short = [INES[0], INES[1], ("password", "short")];

    let (status, page) = browser.send(&link, &short).await;
    assert!(status.is_client_error() && text_of(&page).contains("Nothing was made"), "{status}: {page}");
    let (status, page) = browser.send(&link, &INES).await;
    assert!(status.is_success() && text_of(&page).contains("Sign in"), "{status}: {page}");

    let again = [INES[0], ("email", "eve@elsewhere.test"), INES[2]];
    assert_eq!(browser.send(&link, &again).await.0, 404, "it worked once");
    assert_eq!(browser.get(&link).await.0, 404);
    let (status, page) = browser.sign_in(INES[1].1, INES[2].1).await;
    assert!(status.is_success() && page.contains("Sign out"));
}

async fn a_wrong_password_opens_nothing_and_signing_out_closes_everything(engine: Engine) {
    let world = World::start(engine).await;
    let ines = world.browser().await;
    let stranger = Browser::new(world.pages);

    for (email, password) in [(INES[1].1, "not the password"), ("eve@elsewhere.test", INES[2].1)] {
        let (status, page) = stranger.sign_in(email, password).await;
        assert_eq!(status, 422);
        assert!(text_of(&page).contains("The address or the password is not right"), "{page}");
    }
    let (_, page) = stranger.get("/contacts").await;
    assert!(text_of(&page).contains("E-mail address") && !page.contains("Sign out"), "{page}");

    let (status, _) = ines.send("/sign-out", &[("csrf", "forged")]).await;
    assert!(status.is_client_error(), "another site cannot sign her out: {status}");
    assert!(ines.get("/").await.1.contains("Sign out"));
    ines.press("/account", "/sign-out", &[]).await;
    let (_, page) = ines.get("/").await;
    assert!(!page.contains("Sign out"), "{page}");
}
