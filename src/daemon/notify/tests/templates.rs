//! What people read.

use serde_json::Value;

use super::notice;
use crate::notify::{email, slack, teams, webhook};

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

#[test]
fn plain_text_of_a_mail() {
    insta::assert_snapshot!("mail_text", email::text(&notice("a")));
}

#[test]
fn html_of_a_mail() {
    insta::assert_snapshot!("mail_html", email::html(&notice("a")));
}

#[test]
fn blocks_of_slack() {
    insta::assert_snapshot!("slack", pretty(&slack::body(&notice("a"))));
}

#[test]
fn a_card_of_teams() {
    insta::assert_snapshot!("teams", pretty(&teams::body(&notice("a"))));
}

#[test]
fn json_of_a_webhook() {
    insta::assert_snapshot!("webhook", pretty(&webhook::body(&notice("a"))));
}

#[test]
fn the_largest_notice_is_within_what_slack_and_teams_take() {
    let mut large = notice("a");
    large.title = "<".repeat(160);
    large.text = "<&".repeat(1_400);
    large.facts = (0..24)
        .map(|n| certroll_core::notice::Fact { label: format!("fact {n}"), value: "&".repeat(500) })
        .collect();
    let body = slack::body(&large);
    let blocks = body["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50);
    let length = |text: &Value| text.as_str().unwrap().chars().count();
    assert!(length(&blocks[0]["text"]["text"]) <= 150);
    assert!(length(&blocks[1]["text"]["text"]) <= 3_000);
    for fields in blocks.iter().filter_map(|block| block["fields"].as_array()) {
        assert!(fields.len() <= 10 && fields.iter().all(|field| length(&field["text"]) <= 2_000));
    }
    assert!(teams::body(&large).to_string().len() < 28 * 1024);
    large.facts.iter_mut().for_each(|fact| fact.value = "[".repeat(500));
    assert!(teams::body(&large).to_string().len() < 28 * 1024);
}
