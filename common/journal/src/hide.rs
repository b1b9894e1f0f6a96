//! Records as people are shown them: without what is secret in them.

use serde_json::Value;
use std::borrow::Cow;

/// What stands for a value that is not shown.
const HIDDEN: &str = "***";

/// JSON text in which the values of some members are `"***"`, at whatever depth. Text that names none of them stays as it is.
pub(super) fn hide<'j>(json: &'j str, members: &[&str]) -> Cow<'j, str> {
    if !members.iter().any(|member| json.contains(member)) {
        return Cow::Borrowed(json);
    }
    match serde_json::from_str(json) {
        Ok(mut value) => {
            hide_in(&mut value, members);
            Cow::Owned(value.to_string())
        }
        // it names a secret, and what of it is the secret cannot be told
        Err(_) => Cow::Borrowed(HIDDEN),
    }
}

fn hide_in(value: &mut Value, members: &[&str]) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                if members.contains(&name.as_str()) {
                    *value = HIDDEN.into();
                } else {
                    hide_in(value, members);
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| hide_in(element, members)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_at_any_depth_and_nothing_else_is_touched() {
        let plain = r#"{"z":1,"a":[{"name":"x"}]}"#;
        assert_eq!(hide(plain, &["secret"]), plain);
        assert_eq!(hide(plain, &[]), plain);
        let json = r#"{"put":{"name":"secret","secret":"abc","keys":[{"secret":[1,2]},{"n":1}]}}"#;
        let shown = hide(json, &["secret"]);
        assert!(!shown.contains("abc") && !shown.contains("[1,2]"), "{shown}");
        assert_eq!(shown.matches("***").count(), 2);
        assert!(shown.contains(r#""name":"secret""#), "a value is no name: {shown}");
        assert_eq!(hide(r#"{"secret":"ab"#, &["secret"]), "***");
    }
}
