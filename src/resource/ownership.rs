//! The fields `owner`, `group` and `mode`, for every kind that puts something
//! at a path.

use super::Args;
use crate::plan::Meta;
use crate::values::{GroupName, Mode, UserName};
use std::{fmt::Display, str::FromStr};

/// Owner, group and mode as a step gives them; root, root and `default_mode`
/// where it does not. None if something is wrong with them.
pub(super) fn meta(args: &mut Args<'_>, default_mode: u16) -> Option<Meta> {
    let owner = account::<UserName>(args, "owner");
    let group = account::<GroupName>(args, "group");
    let mode = if args.node("mode").is_some() { args.parse("mode") } else { Some(Mode::from_bits(default_mode)) };
    Some(Meta { owner: owner?, group: group?, mode: mode? })
}

/// A name, or a number as `stat` prints it for an account without a name.
fn account<N: FromStr<Err: Display> + Display>(args: &mut Args<'_>, field: &str) -> Option<String> {
    let Some(text) = args.string(field) else { return Some("root".to_owned()) };
    match text.parse::<u32>() {
        Ok(number) => Some(number.to_string()),
        Err(_) => args.parse::<N>(field).map(|name| name.to_string()),
    }
}
