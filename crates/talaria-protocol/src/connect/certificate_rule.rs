//! How a device's id follows from its client certificate (`primary.deviceIdFromCertificate`, contract §14.26).

use std::str::FromStr;

use wrp::DeviceId;

use crate::x509::Names;

/// A name of a certificate and the text around it; together they are a device id.
///
/// ```
/// use talaria_protocol::connect::CertificateRule;
/// use talaria_protocol::x509::Names;
///
/// let rule: CertificateRule = "mac:{cn}".parse()?;
/// let names = Names { common: vec!["11:22:33:44:55:66".to_owned()], ..Names::default() };
/// assert!(rule.allows(&names, &"mac:112233445566".parse().unwrap()));
/// # Ok::<(), talaria_protocol::connect::CertificateRuleError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRule {
    before: String,
    name: Name,
    after: String,
}

/// The text is not a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected cn, san, or a template with {{cn}} or {{san}} in it, such as mac:{{cn}}")]
pub struct CertificateRuleError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    /// The common name of the subject.
    Common,
    /// Any of the alternative names.
    Alternative,
}

impl CertificateRule {
    /// Whether a device with a certificate of these names may have this id, in any spelling.
    ///
    /// A certificate with two common names has none that counts. A name with a slash never counts, since what follows the
    /// slash is not part of an id.
    #[must_use]
    pub fn allows(&self, names: &Names, id: &DeviceId) -> bool {
        let names = match self.name {
            Name::Common if names.common.len() > 1 => return false,
            Name::Common => &names.common,
            Name::Alternative => &names.alternative,
        };
        names.iter().filter(|name| !name.contains('/')).any(|name| {
            [&self.before, name, &self.after].map(String::as_str).concat().parse::<DeviceId>().as_ref()
                == Ok(id)
        })
    }
}

impl FromStr for CertificateRule {
    type Err = CertificateRuleError;

    fn from_str(text: &str) -> Result<Self, CertificateRuleError> {
        let variables = [("{cn}", Name::Common), ("{san}", Name::Alternative)];
        let text = match text {
            "cn" => "{cn}",
            "san" => "{san}",
            template => template,
        };
        let found = variables.iter().find_map(|(variable, name)| Some((text.split_once(variable)?, *name)));
        let ((before, after), name) = found.ok_or(CertificateRuleError)?;
        if [before, after].iter().any(|text| text.contains(['{', '}', '/'])) {
            return Err(CertificateRuleError);
        }
        Ok(Self { before: before.to_owned(), name, after: after.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(rule: &str, common: &[&str], alternative: &[&str]) -> bool {
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let names = Names { common: texts(common), alternative: texts(alternative) };
        rule.parse::<CertificateRule>().unwrap().allows(&names, &"mac:112233445566".parse().unwrap())
    }

    #[test]
    fn the_id_is_the_name_of_the_certificate_in_any_spelling() {
        assert!(allows("cn", &["MAC:11-22-33-44-55-66"], &[]));
        assert!(allows("mac:{cn}", &["112233445566"], &[]));
        assert!(allows("{san}", &[], &["device.example.com", "mac:112233445566"]));
        assert!(allows("mac:1122{san}5566", &[], &["3344"]));
        for (common, alternative) in [
            (&[][..], &["mac:112233445566"][..]),
            (&["mac:aabbccddeeff"], &[]),
            (&["112233445566"], &[]),
            (&["mac:112233445566/x"], &[]),
            (&["mac:112233445566", "mac:aabbccddeeff"], &[]),
        ] {
            assert!(!allows("cn", common, alternative), "{common:?}");
        }
        assert!(!allows("san", &["mac:112233445566"], &["mac:112233445567"]));
        assert!(!allows("mac:{cn}66", &["1122334455/"], &[]));
    }

    #[test]
    fn a_rule_has_one_variable() {
        for text in ["", "CN", "mac:", "mac:{ou}", "{cn}{san}", "{cn}{cn}", "mac:{cn}/x", "{cn"] {
            assert_eq!(text.parse::<CertificateRule>(), Err(CertificateRuleError), "{text}");
        }
    }
}
