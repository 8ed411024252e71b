//! The two-leg call as one serialisable value.
