//! What two services use.
