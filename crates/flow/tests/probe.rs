//! A transport is tried before mail depends on it: nothing is sent, and what is wrong is said with a remedy.

mod common;

use common::{Shop, W};
use flow::SmtpDraft;
use testkit::smtp::{Script, Server, Stage};

fn draft(server: &Server, tls: &str, username: Option<&str>) -> SmtpDraft {
    SmtpDraft {
        host: server.address.ip().to_string(),
        port: server.address.port(),
        tls: tls.to_owned(),
        username: username.map(str::to_owned),
        password: username.map(|_| "secret".to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_says_what_works_and_what_to_do_and_sends_nothing() {
    let shop = Shop::open().await;
    let tried = async |draft: Option<SmtpDraft>, to: Option<&str>| {
        shop.platform.probe_transport(W, draft, to.map(str::to_owned)).await.expect("an answer")
    };
    let inbox = tried(None, None).await;
    assert!(inbox.works && inbox.detail.contains("inbox"), "{inbox:?}");

    let server = Server::start(Script::new()).await.expect("a server");
    let plain = tried(Some(draft(&server, "none", None)), None).await;
    assert!(plain.works && plain.detail.contains("Nothing was sent"), "{plain:?}");
    let asked = tried(Some(draft(&server, "none", None)), Some("ada@inbox.example")).await;
    assert!(asked.works && asked.detail.contains("ada@inbox.example"), "{asked:?}");
    let no_tls = tried(Some(draft(&server, "starttls", None)), None).await;
    assert!(!no_tls.works && no_tls.detail.contains("offers no TLS"), "{no_tls:?}");
    assert!(no_tls.remedy.expect("a remedy").contains("465"));
    let log = server.log();
    assert!(log.mails.is_empty() && log.count("DATA") == 0, "a trial sent something");
    assert_eq!((log.count("MAIL"), log.count("RCPT"), log.count("QUIT")), (1, 1, 2));

    let script = Script::new().offer("AUTH PLAIN").say(Stage::Auth, "535 5.7.8 wrong password");
    let strict = Server::start(script).await.expect("a server");
    let login = tried(Some(draft(&strict, "none", Some("shop"))), None).await;
    assert!(!login.works && login.remedy.expect("a remedy").contains("password"), "{}", login.detail);

    let script = Script::new().say(Stage::Rcpt, "550 5.7.1 relaying denied");
    let closed = Server::start(script).await.expect("a server");
    let refused = tried(Some(draft(&closed, "none", None)), Some("ada@inbox.example")).await;
    assert!(!refused.works && refused.detail.contains("relaying denied"), "{refused:?}");

    let address = closed.address;
    drop(closed);
    let gone = SmtpDraft {
        host: address.ip().to_string(),
        port: address.port(),
        tls: "none".to_owned(),
        username: None,
        password: None,
    };
    let gone = tried(Some(gone), None).await;
    assert!(!gone.works && gone.remedy.expect("a remedy").contains("host and port"), "{}", gone.detail);
    let wrong = shop.platform.probe_transport(W, None, None).await;
    assert!(wrong.is_ok());
}
