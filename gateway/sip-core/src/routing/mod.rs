//! Where a message goes: flows, trunks, sealed tokens.
