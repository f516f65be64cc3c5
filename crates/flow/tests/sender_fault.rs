//! A receiver refuses a mail for a fault of the sender: the journey that sends is paused, and goes on when it is resumed.

mod common;

use common::{Shop, W, accepted, wait_then_send};
use serde_json::json;
use testkit::smtp::{Act, Script, Server, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_senders_fault_pauses_the_journey_with_the_reason_and_loses_no_other_mail() {
    for code in ["5.7.25", "5.7.26", "5.7.515"] {
        let answer = format!("550 {code} unauthenticated");
        let script = Script::new().for_recipient("ada@example.com", Stage::Dot, Act::Say(answer.clone()));
        let server = Server::start(script).await.expect("a server");
        let shop = Shop::open_with_smtp(&server.url()).await;
        for template in ["t1", "t2"] {
            shop.template(
                template,
                "<p>Hello.</p><p><a href=\"{{ links.unsubscribe }}\">Unsubscribe</a></p>",
            )
            .await;
        }
        shop.journey("j", wait_then_send(60, "t1")).await;
        shop.journey("other", wait_then_send(7_200, "t2")).await;
        for user in ["ada", "ben"] {
            shop.identify(user, json!({})).await;
            shop.track(user, "Go", json!({})).await;
            shop.work().await;
        }
        shop.pass_and_work(60).await;
        let mut mails = shop.mails().await;
        mails.sort();
        let wanted = ["planned", "rejected"].map(|state| ("t1".to_owned(), state.to_owned()));
        assert_eq!(mails, wanted, "ben's mail is held: {code}");
        let because = shop.platform.paused_because(W, "j").await.expect("answered").expect("a reason");
        assert!(because.contains(&answer), "{because}");
        assert!(!shop.platform.registry(W).journeys["j"].live);
        assert!(shop.platform.registry(W).journeys["other"].live, "what did not send goes on");
        assert!(shop.platform.suppression(W, "ada@example.com").await.expect("answered").is_none());

        shop.set_journey("j", "live").await;
        shop.work().await;
        assert!(shop.mails().await.contains(&accepted("t1")), "ben's mail goes out after the resume");
        assert_eq!(shop.platform.paused_because(W, "j").await.expect("answered"), None);
        shop.set_journey("j", "paused").await;
        assert_eq!(shop.platform.paused_because(W, "j").await.expect("answered"), None, "a person paused it");
    }
}
