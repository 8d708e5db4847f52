//! The keys: what verifies tokens, what signs them, and how both change.

mod algorithm;
mod decrypt;
mod error;
mod fetch;
mod jwk;
mod reload;
mod remote;
mod ring;
mod roca;
mod rotate;
mod signing;

pub use algorithm::Algorithm;
pub use decrypt::{Curve, DecryptionKey};
pub use error::KeyError;
pub use jwk::{MAX_KID, MIN_SECRET, Origin, RSA_BITS, VerifyKey, Window};
pub use reload::{KeySource, Reload, Reloading};
pub use remote::{RemoteKeys, RemoteSettings, Remotes};
pub use ring::{ENCRYPTION, KeyRing, SIGNING, SYMMETRIC};
pub use rotate::{Rotation, init, list, rotate};
pub use signing::SigningKey;
