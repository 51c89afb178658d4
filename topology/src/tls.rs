//! TLS to Kafka, PostgreSQL and the schema registry. Who a process is and whom it trusts is one thing: said once, at
//! its start, and used by every connection it makes. Either all of them are encrypted or none is.
//!
//! Programs have it when they are built with the feature `tls`, which needs OpenSSL. The others refuse its settings.

use std::sync::OnceLock;

use rdkafka::ClientConfig;

/// Most bytes of a file with certificates or a key.
const PEM_BYTES_MAX: u64 = 64 * 1024;

/// How a program that lacks it says so.
pub(crate) const NOT_BUILT_IN: &str = "this program is built without TLS; see the feature `tls`";

/// Where certificates and key are. All three or none: Kafka wants to know who connects.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TlsConfig {
    /// Certificates of the authorities whose word is taken for servers, PEM. With it every connection to Kafka,
    /// PostgreSQL and the registry is encrypted and the name of the server is verified.
    #[arg(
        long,
        env = "BANK_TLS_CA_FILE",
        value_parser = parse_certificates,
        requires_all = ["tls_certificate_file", "tls_key_file"]
    )]
    pub tls_ca_file: Option<String>,

    /// Our own certificate, and those between it and the authority, PEM.
    #[arg(
        long,
        env = "BANK_TLS_CERTIFICATE_FILE",
        value_parser = parse_certificates,
        requires_all = ["tls_ca_file", "tls_key_file"]
    )]
    pub tls_certificate_file: Option<String>,

    /// The key of our certificate, PEM, readable by nobody else.
    #[arg(
        long,
        env = "BANK_TLS_KEY_FILE",
        value_parser = parse_key,
        requires_all = ["tls_ca_file", "tls_certificate_file"]
    )]
    pub tls_key_file: Option<String>,
}

fn parse_certificates(path: &str) -> Result<String, String> {
    parse_pem(path, "CERTIFICATE-----")
}

fn parse_key(path: &str) -> Result<String, String> {
    parse_pem(path, "PRIVATE KEY-----")
}

/// That a file can be read and holds what it should; what is wrong with it further on is for those who use it.
fn parse_pem(path: &str, label: &str) -> Result<String, String> {
    if !cfg!(feature = "tls") {
        return Err(NOT_BUILT_IN.to_owned());
    }
    let size = std::fs::metadata(path)
        .map_err(|error| error.to_string())?
        .len();
    if size > PEM_BYTES_MAX {
        return Err(format!("it has {size} bytes, at most {PEM_BYTES_MAX}"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    if text.contains(label) {
        Ok(path.to_owned())
    } else {
        Err(format!("there is no `-----BEGIN ... {label}` in it"))
    }
}

/// What connections are made with.
pub(crate) struct Identity {
    ca_file: String,
    certificate_file: String,
    key_file: String,
    #[cfg(feature = "tls")]
    authorities: built_in::Authorities,
}

static IDENTITY: OnceLock<Identity> = OnceLock::new();

impl TlsConfig {
    /// Makes every later connection of this process an encrypted one, where it is configured; see the module.
    ///
    /// # Errors
    /// When the authorities' file is none, in words for the person who named it.
    pub fn install(&self) -> Result<(), String> {
        let (Some(ca_file), Some(certificate_file), Some(key_file)) = (
            &self.tls_ca_file,
            &self.tls_certificate_file,
            &self.tls_key_file,
        ) else {
            return Ok(());
        };
        let identity = Identity {
            ca_file: ca_file.clone(),
            certificate_file: certificate_file.clone(),
            key_file: key_file.clone(),
            #[cfg(feature = "tls")]
            authorities: built_in::Authorities::read(ca_file)
                .map_err(|error| format!("{ca_file}: {error}"))?,
        };
        // A second start, as in tests, keeps the first.
        let _ = IDENTITY.set(identity);
        Ok(())
    }
}

/// Settings of a Kafka client; none when this process has no TLS.
pub fn secure(config: &mut ClientConfig) {
    if let Some(identity) = IDENTITY.get() {
        config
            .set("security.protocol", "ssl")
            .set("ssl.ca.location", &identity.ca_file)
            .set("ssl.certificate.location", &identity.certificate_file)
            .set("ssl.key.location", &identity.key_file)
            // The defaults, said aloud: the broker's certificate must be good, and be the broker's.
            .set("enable.ssl.certificate.verification", "true")
            .set("ssl.endpoint.identification.algorithm", "https");
    }
}

/// A client for HTTP that trusts our authorities and no others, where this process has TLS.
pub fn trusting(client: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    #[cfg(feature = "tls")]
    if let Some(identity) = IDENTITY.get() {
        return client.tls_certs_only(identity.authorities.for_http.clone());
    }
    client
}

#[cfg(feature = "tls")]
pub(crate) mod built_in {
    use native_tls::{Certificate, Protocol, TlsConnector};
    use postgres_native_tls::MakeTlsConnector;

    use super::IDENTITY;

    /// Those whose word is taken, in the forms in which libraries want them.
    pub(crate) struct Authorities {
        for_postgres: Vec<Certificate>,
        pub(super) for_http: Vec<reqwest::Certificate>,
    }

    impl Authorities {
        pub(super) fn read(path: &str) -> Result<Authorities, String> {
            let pem = std::fs::read(path).map_err(|error| error.to_string())?;
            let for_http =
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| error.to_string())?;
            let for_postgres =
                Certificate::stack_from_pem(&pem).map_err(|error| error.to_string())?;
            Ok(Authorities {
                for_postgres,
                for_http,
            })
        }
    }

    /// For PostgreSQL, and whether it is to be used.
    pub(crate) fn for_postgres() -> Result<(MakeTlsConnector, bool), native_tls::Error> {
        let mut connector = TlsConnector::builder();
        connector
            .min_protocol_version(Some(Protocol::Tlsv12))
            .disable_built_in_roots(true);
        let identity = IDENTITY.get();
        for certificate in identity.iter().flat_map(|it| &it.authorities.for_postgres) {
            connector.add_root_certificate(certificate.clone());
        }
        Ok((
            MakeTlsConnector::new(connector.build()?),
            identity.is_some(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Sample {
        #[command(flatten)]
        tls: TlsConfig,
    }

    fn parse(arguments: &[&str]) -> Result<Sample, String> {
        Sample::try_parse_from(["sample"].iter().chain(arguments)).map_err(|it| it.to_string())
    }

    #[test]
    fn given_nothing_when_read_then_nothing_is_encrypted() {
        let sample = parse(&[]).unwrap();
        assert!(sample.tls.tls_ca_file.is_none());
        sample.tls.install().unwrap();
        let mut config = ClientConfig::new();
        secure(&mut config);
        assert_eq!(config.get("security.protocol"), None);
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn given_a_program_without_tls_when_it_is_asked_for_then_it_refuses() {
        let told = parse(&["--tls-ca-file", "/dev/null"]).unwrap_err();
        assert!(told.contains("without TLS"), "{told}");
    }

    #[test]
    #[cfg(feature = "tls")]
    fn given_files_that_cannot_be_it_when_read_then_the_reason_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let certificate = file("a.crt", "-----BEGIN CERTIFICATE-----\n");
        let key = file("a.key", "-----BEGIN PRIVATE KEY-----\n");
        let alone = parse(&["--tls-ca-file", &certificate]).unwrap_err();
        assert!(alone.contains("--tls-key-file"), "{alone}");
        let arguments = |ca, key| ["--tls-ca-file", ca, "--tls-key-file", key];
        let swapped = parse(&arguments(&key, &key)).unwrap_err();
        assert!(swapped.contains("CERTIFICATE"), "{swapped}");
        let missing = parse(&arguments("/nowhere", &key)).unwrap_err();
        assert!(missing.contains("No such file"), "{missing}");
        let all = [
            &arguments(&certificate, &key)[..],
            &["--tls-certificate-file", &certificate],
        ]
        .concat();
        let told = parse(&all).unwrap().tls.install().unwrap_err();
        assert!(told.contains("a.crt"), "{told}");
    }
}
