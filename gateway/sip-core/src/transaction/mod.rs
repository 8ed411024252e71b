//! The transaction layer: RFC 3261 §17 as amended by RFC 6026.
