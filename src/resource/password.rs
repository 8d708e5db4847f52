//! The password of a user, and the day on which the account expires (shadow(5)).

use super::account::DesiredAccount;
use super::plan_builder::PlanBuilder;
use crate::plan::{AccountOp, Op, PlanError};
use crate::values::Secret;

pub(super) fn password(draft: &mut PlanBuilder<'_>, wanted: &DesiredAccount) -> Result<(), PlanError> {
    let name = &wanted.name;
    let found = draft.host().shadow(name.as_str())?.map(|shadow| shadow.hash.expose().to_owned()).unwrap_or_default();
    let was_locked = found.starts_with('!');
    let bare = found.trim_start_matches('!').to_owned();
    let mut usable = !matches!(bare.as_str(), "" | "*");
    let mut locked = was_locked;
    if let Some(hash) = &wanted.password
        && hash.secret().expose() != bare
    {
        let before = usable.then_some(Secret::MASK);
        draft.change("password_hash", before, Some(Secret::MASK));
        draft.push(Op::Account(AccountOp::SetPasswordHash { user: name.clone(), hash: hash.secret().clone() }));
        // A lock on a password that was one is kept; "!" alone is no password yet.
        let keep = was_locked && usable && wanted.locked.is_none();
        (usable, locked) = (true, false);
        if keep {
            draft.push(Op::Account(AccountOp::LockPassword { user: name.clone(), lock: true }));
            return Ok(());
        }
    }
    match wanted.locked {
        Some(true) if !locked && (usable || bare != "*") => {
            if wanted.is_login(draft) {
                draft.note(format!(
                    "the password of '{name}', as whom you are logged in, no longer works for sudo; keys still log in"
                ));
            }
            if !was_locked {
                draft.change("locked", Some("false"), Some("true"));
            }
            draft.push(Op::Account(AccountOp::LockPassword { user: name.clone(), lock: true }));
        }
        Some(false) if locked && usable => {
            draft.change("locked", Some("true"), Some("false"));
            // usermod(8) takes one of the marks off.
            draft.push(match found.starts_with("!!") {
                true => Op::Account(AccountOp::SetPasswordHash { user: name.clone(), hash: Secret::new(bare) }),
                false => Op::Account(AccountOp::LockPassword { user: name.clone(), lock: false }),
            });
        }
        Some(false) if !usable => {
            draft.note(format!("'{name}' has no password, so there is nothing to unlock; give 'password_hash'"));
        }
        _ => {}
    }
    Ok(())
}

pub(super) fn expiry(draft: &mut PlanBuilder<'_>, wanted: &DesiredAccount) -> Result<(), PlanError> {
    let Some(day) = wanted.expires else { return Ok(()) };
    let found = draft.host().shadow(wanted.name.as_str())?.and_then(|shadow| shadow.expires);
    if found == day {
        return Ok(());
    }
    if day.is_some() && (wanted.is_login(draft) || wanted.name.as_str() == "root") {
        draft.note(format!("'{}' cannot log in from that day on", wanted.name));
    }
    draft.change("expires", found.map(date), Some(day.map_or("never".to_owned(), date)));
    draft.push(Op::Account(AccountOp::SetExpiry { user: wanted.name.clone(), day }));
    Ok(())
}

/// A day since 1970-01-01 as people write it.
fn date(day: i64) -> String {
    let epoch = jiff::civil::date(1970, 1, 1);
    jiff::Span::new()
        .try_days(day)
        .and_then(|span| epoch.checked_add(span))
        .map_or_else(|_| format!("day {day}"), |date| date.to_string())
}

/// The day since 1970-01-01 of an ISO 8601 date.
pub(super) fn day(text: &str) -> Result<i64, String> {
    let wrong = || format!("'{}' is not a date such as \"2030-01-31\", nor \"never\"", text.escape_debug());
    let plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let date: jiff::civil::Date = text.parse().map_err(|_| wrong())?;
    let span = jiff::civil::date(1970, 1, 1).until(date).map_err(|_| wrong())?;
    match i64::from(span.get_days()) {
        day if plain && day > 0 => Ok(day),
        _ => Err(wrong()),
    }
}
