//! Tokens of every algorithm, and a key server whose answers the test chooses.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// A private key.
pub(crate) enum Signer {
    Rsa(&'static RsaKeyPair),
    Ec(EcdsaKeyPair, &'static str),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// A new key for this algorithm; all RSA ones are the same, since they take long to make.
    pub(crate) fn new(algorithm: &str) -> Self {
        static RSA: OnceLock<RsaKeyPair> = OnceLock::new();
        let ec = |signing: &'static EcdsaSigningAlgorithm, curve| {
            Self::Ec(EcdsaKeyPair::generate(signing).unwrap(), curve)
        };
        match algorithm {
            "ES256" => ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            "ES384" => ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            "ES512" => ec(&ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"),
            "EdDSA" => Self::Ed25519(Ed25519KeyPair::generate().unwrap()),
            _ => Self::Rsa(RSA.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())),
        }
    }

    /// A JWK of the public key.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match self {
            Self::Rsa(_) => {
                let (n, e) = self.rsa_numbers();
                json!({"kty": "RSA", "n": text(&n), "e": text(&e)})
            }
            Self::Ec(pair, curve) => {
                let (x, y) = {
                    let point = &pair.public_key().as_ref()[1..];
                    point.split_at(point.len() / 2)
                };
                json!({"kty": "EC", "crv": curve, "x": text(x), "y": text(y)})
            }
            Self::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref())})
            }
        };
        jwk["kid"] = kid.into();
        jwk
    }

    /// Modulus and exponent, out of the 2048-bit key's RSAPublicKey.
    fn rsa_numbers(&self) -> (Vec<u8>, Vec<u8>) {
        let der = self.rsa_der();
        (der[9..9 + 256].to_vec(), der[der.len() - 3..].to_vec())
    }

    /// PKCS #1.
    pub(crate) fn rsa_der(&self) -> Vec<u8> {
        let Self::Rsa(pair) = self else { panic!("no RSA key") };
        pair.public_key().as_ref().to_vec()
    }

    /// SubjectPublicKeyInfo.
    pub(crate) fn public_der(&self) -> Vec<u8> {
        fn der<K: aws_lc_rs::encoding::AsDer<PublicKeyX509Der<'static>>>(key: &K) -> Vec<u8> {
            key.as_der().unwrap().as_ref().to_vec()
        }
        match self {
            Self::Rsa(pair) => der(pair.public_key()),
            Self::Ec(pair, _) => der(pair.public_key()),
            Self::Ed25519(pair) => der(pair.public_key()),
        }
    }

    /// PKCS #8.
    pub(crate) fn private_der(&self) -> Vec<u8> {
        match self {
            Self::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
                der.as_ref().to_vec()
            }
            Self::Ec(pair, _) => pair.to_pkcs8v1().unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
                der.as_ref().to_vec()
            }
        }
    }

    /// A token with this header and these claims.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of(&header.to_string(), &claims.to_string(), header["alg"].as_str().unwrap_or_default())
    }

    /// A token of these texts, signed by that algorithm.
    pub(crate) fn token_of(&self, header: &str, claims: &str, algorithm: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.sign(algorithm, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Self::Ec(pair, _) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// What the key server answers.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// How long it takes to the first byte.
    pub(crate) after: Duration,
    /// Writes the body for ever.
    pub(crate) endless: bool,
}

impl Answer {
    pub(crate) fn ok(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let head = format!("200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {}", body.len());
        Self { head, body, after: Duration::ZERO, endless: false }
    }

    pub(crate) fn json(body: &Value) -> Self {
        Self::ok("application/json", body.to_string())
    }

    pub(crate) fn status(head: &str) -> Self {
        Self { head: format!("{head}\r\nContent-Length: 0"), ..Self::ok("", "") }
    }

    pub(crate) fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }
}

type Answers = Arc<Mutex<Box<dyn Fn(&str) -> Answer + Send>>>;

/// Serves keys at `/keys/<kid>` from threads of its own, so that a paused clock does not stop it.
pub(crate) struct KeyServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    answers: Answers,
    is_over: Arc<AtomicBool>,
}

impl KeyServer {
    pub(crate) fn start(answers: impl Fn(&str) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
            answers: Arc::new(Mutex::new(Box::new(answers))),
            is_over: Arc::default(),
        };
        let (asked, answers) = (Arc::clone(&server.asked), Arc::clone(&server.answers));
        let is_over = Arc::clone(&server.is_over);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let (asked, answers) = (Arc::clone(&asked), Arc::clone(&answers));
                thread::spawn(move || {
                    // A client that leaves is its own business.
                    let _ = serve(stream?, &asked, &answers);
                    std::io::Result::Ok(())
                });
            }
        });
        server
    }

    /// Serves one JWK for whatever key is asked for.
    pub(crate) fn of(signer: &Signer) -> Self {
        let jwk = signer.jwk("any");
        Self::start(move |_| Answer::json(&jwk))
    }

    pub(crate) fn now_answers(&self, answers: impl Fn(&str) -> Answer + Send + 'static) {
        *self.answers.lock() = Box::new(answers);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn template(&self) -> String {
        self.url("/keys/{keyID}")
    }

    /// The paths that were asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, asked: &Mutex<Vec<String>>, answers: &Answers) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    asked.lock().push(path.clone());
    let answer = (answers.lock())(path.trim_start_matches("/keys/"));
    thread::sleep(answer.after);
    write!(stream, "HTTP/1.1 {}\r\nConnection: close\r\n\r\n", answer.head)?;
    stream.write_all(&answer.body)?;
    if answer.endless {
        // Until the client has had enough.
        loop {
            stream.write_all(&[b' '; 65536])?;
        }
    }
    Ok(())
}
