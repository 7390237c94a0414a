//! talaria-sim
