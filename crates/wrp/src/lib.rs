//! wrp
