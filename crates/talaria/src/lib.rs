//! talaria
