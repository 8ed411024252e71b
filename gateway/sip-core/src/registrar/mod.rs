//! Bindings of an address-of-record: RFC 3261 §10.3, RFC 5626 §6.
