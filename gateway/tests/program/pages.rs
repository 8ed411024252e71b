//! Several pages of one user, with one instance (RFC 5626 §4.1).

use crate::phone::Phone;
use crate::program::Gateway;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_page_takes_no_call_from_a_page_that_lives() {
    let gateway = gateway(32_712);
    let mut page = Phone::register_page(gateway.ws, "alice", "one").await;
    let mut bob = Phone::register(gateway.ws, "bob").await;
    let (call, ()) = tokio::join!(bob.dial("alice"), page.take_call());
    let mut copy = Phone::register_page(gateway.ws, "alice", "two").await;
    tokio::join!(bob.hang_up(&call), page.hung_up());
    // New calls ring where the user registered last.
    let (call, ()) = tokio::join!(bob.dial("alice"), copy.take_call());
    tokio::join!(bob.hang_up(&call), copy.hung_up());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_comes_back_by_another_connection_takes_its_call_along() {
    let gateway = gateway(32_714);
    let mut page = Phone::register_page(gateway.ws, "alice", "one").await;
    let mut bob = Phone::register(gateway.ws, "bob").await;
    let (call, ()) = tokio::join!(bob.dial("alice"), page.take_call());
    // Its connection still seems to live: the network went away without a word.
    let mut again = page.register_again(gateway.ws).await;
    tokio::join!(bob.hang_up(&call), again.hung_up());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_finds_its_call_again_although_another_page_registered_meanwhile() {
    let gateway = gateway(32_716);
    let mut page = Phone::register_page(gateway.ws, "alice", "one").await;
    let mut bob = Phone::register(gateway.ws, "bob").await;
    let (call, ()) = tokio::join!(bob.dial("alice"), page.take_call());
    let _copy = Phone::register_page(gateway.ws, "alice", "two").await;
    let mut again = page.register_again(gateway.ws).await;
    drop(page);
    tokio::join!(bob.hang_up(&call), again.hung_up());
}

fn gateway(first_port: u16) -> Gateway {
    let last_port = first_port + 1;
    let relay = format!("[relay]\nbrowser_port = 0\nrtp_ports = [{first_port}, {last_port}]\nworkers = 1\n");
    Gateway::with_relay("udp", &relay)
}
