//! Ordinary uses, which must go on working.
