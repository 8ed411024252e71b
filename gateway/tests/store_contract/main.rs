//! The contract of every store. A new store gets a module here that calls [`contract::passes`].

#![expect(clippy::unwrap_used, reason = "tests")]

mod contract;

use gateway::adapters::memory::{Capacity, MemoryStore};
use gateway::ports::store::{StateStore, StoreError};
use sip_core::registrar::{Aor, Bindings};
use sip_core::time::UnixMillis;

#[tokio::test]
async fn the_memory_store_passes() {
    contract::passes(|| MemoryStore::new(Capacity { calls: 100, users: 100 })).await;
}

#[tokio::test]
async fn a_full_table_refuses_and_recovers() {
    let store = MemoryStore::new(Capacity { calls: 1, users: 1 });
    let first = contract::call("first");
    let version = store.put_call(first.clone(), None).await.unwrap();
    assert_eq!(store.put_call(contract::call("second"), None).await, Err(StoreError::Full));
    assert!(store.put_call(first.clone(), Some(version)).await.is_ok(), "what is there can still change");
    let version = store.call(&first.id()).await.unwrap().unwrap().version;
    store.remove_call(&first.id(), version).await.unwrap();
    assert!(store.put_call(contract::call("second"), None).await.is_ok());

    let (at, alice, bob) = (UnixMillis(1_000), Aor::new("alice", "localhost"), Aor::new("bob", "localhost"));
    assert!(store.put_bindings(&alice, Bindings::default(), None, at).await.is_ok());
    assert_eq!(store.put_bindings(&bob, Bindings::default(), None, at).await, Err(StoreError::Full));
    store.sweep(at).await;
    assert!(store.put_bindings(&bob, Bindings::default(), None, UnixMillis(2_000)).await.is_ok());
}
