//! SIP messages: wire form, headers, addresses, framing (RFC 3261 §7, §18–§20, §25).
