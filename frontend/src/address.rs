//! Addresses of the page's own routes: what is chosen stands after the question mark, so that reload, back and a pasted
//! link give the same screen.

/// A path with the values that differ from what is meant without them; empty ones are left out.
#[must_use]
pub fn with_query(path: &str, values: &[(&str, &str)]) -> String {
    let mut address = path.to_owned();
    let mut mark = '?';
    for (name, value) in values {
        if !value.is_empty() {
            address.push(mark);
            address.push_str(name);
            address.push('=');
            address.push_str(&escaped(value));
            mark = '&';
        }
    }
    address
}

/// Everything but letters, digits and what is safe anywhere in an address.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_values_when_written_then_only_those_there_are_stand_in_the_address() {
        assert_eq!(with_query("/a", &[]), "/a");
        assert_eq!(with_query("/a", &[("b", ""), ("c", "d")]), "/a?c=d");
        assert_eq!(
            with_query("/a", &[("b", "x y"), ("c", "é&=")]),
            "/a?b=x%20y&c=%C3%A9%26%3D"
        );
    }
}
