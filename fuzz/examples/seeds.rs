//! Writes the seed corpus: `cargo run --manifest-path fuzz/Cargo.toml --example seeds`.
//!
//! Some of the contract's vectors, and what an attacker would try first. Files that are findings of earlier runs are
//! left alone.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Every file of vectors gives about so many seeds.
const PER_FILE: usize = 16;

/// Longer seeds only slow the fuzzers down.
const MAX_LENGTH: usize = 2048;

fn main() {
    websocket();
    handshake();
    tokens();
    messages();
    locators();
    urls();
    control();
    smuggling();
    answers();
    proxy_headers();
    forwarded();
    hosts();
    certificates();
    routes();
    zookeeper();
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).expect("a folder for seeds");
    fs::write(folder.join(name), bytes).expect("a seed's file");
}

/// Cases of a file, evenly spread over it, each with its number.
fn sample(file: &str) -> impl Iterator<Item = (usize, Value)> {
    let cases = vectors::cases(file);
    let step = cases.len().div_ceil(PER_FILE);
    cases.into_iter().enumerate().step_by(step).map(|(number, case)| (number, case.value))
}

/// Streams of a client; in front of each: how it is cut, and which limit it meets.
fn websocket() {
    for (name, stream) in [
        ("binary", "8283 01020304 000000"),
        ("binary-of-126", "82fe 007e 01020304 61*126"),
        ("long-header-of-a-short-message", "82ff 0000000000000080 01020304 61*128"),
        ("text", "8183 01020304 000000"),
        ("fragments", "0281 00000000 61 0081 00000000 62 8081 00000000 63"),
        ("ping-between-fragments", "0281 00000000 61 8981 00000000 70 8081 00000000 63"),
        ("ping-flood", "8980 00000000 8980 00000000 8980 00000000"),
        ("empty-fragments", "0280 00000000 0080 00000000 0080 00000000 8080 00000000"),
        ("close", "8882 00000000 03e8"),
        ("close-with-reason", "8885 00000000 03e8 627965"),
        ("close-bad-code", "8882 00000000 03ed"),
        ("close-one-byte", "8881 00000000 03"),
        ("close-bad-utf8", "8884 00000000 03e8 ffff"),
        ("message-after-close", "8880 00000000 8281 00000000 61"),
        ("unmasked", "8203 616263"),
        ("reserved-bits", "f281 00000000 61"),
        ("reserved-opcode", "8381 00000000 61"),
        ("orphan-continuation", "8081 00000000 61"),
        ("data-before-fin", "0281 00000000 61 8281 00000000 62"),
        ("fragmented-ping", "0981 00000000 61"),
        ("ping-of-126", "89fe 007e 00000000"),
        ("claims-2-to-the-63", "82ff 8000000000000000 00000000 61"),
        ("claims-2-to-the-64", "82ff ffffffffffffffff 00000000 61"),
        ("claims-4-gib", "82ff 0000000100000000 00000000 61"),
        (
            "three-fragments-over-the-limit",
            "02fe 0190 00000000 61*400 00fe 0190 00000000 62*400 80fe 0190 00000000 63*400",
        ),
        ("fragments-over-the-limit", "02fe 01ff 00000000 61*511 80fe 01ff 00000000 62*511"),
    ] {
        for (limit, which) in [(2, "small"), (3, "large")] {
            let mut bytes = vec![6, limit];
            bytes.extend(vectors::hex(stream));
            write("websocket", &format!("{name}-{which}"), &bytes);
        }
    }
}

/// Header lines.
fn handshake() {
    let good = "host: talaria:6200\nconnection: keep-alive, Upgrade\nupgrade: websocket\nsec-websocket-version: 13\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\nx-webpa-device-name: mac:112233445566\n";
    // {"fw-name":"f","hw-model":"m","boot-time":1}
    let convey = "x-webpa-convey: eyJmdy1uYW1lIjoiZiIsImh3LW1vZGVsIjoibSIsImJvb3QtdGltZSI6MX0=\n";
    for (name, text) in [
        ("good", good.to_owned()),
        ("convey", format!("{good}{convey}")),
        ("convey-cut", format!("{good}x-webpa-convey: eyJmdy1uYW1lIjoi\n")),
        // {"a":[[[[[[[[1]]]]]]]]}
        ("convey-nested", format!("{good}x-webpa-convey: eyJhIjpbW1tbW1tbWzFdXV1dXV1dXX0=\n")),
        (
            "claims",
            format!("{good}x-claims: {{\"partner-id\":\"p\",\"trust\":\"0x10\",\"device-id\":\"uuid:1\"}}\n"),
        ),
        ("bad-claim", format!("{good}x-claims: {{\"device-id\":\"x\\ny\"}}\n")),
        ("post", format!("POST\n{good}")),
        ("browser", format!("{good}origin: https://elsewhere.example\n")),
        ("own-page", format!("{good}origin: https://talaria:6200/x\n")),
        ("two-names", format!("{good}x-webpa-device-name: serial:1\n")),
        ("bad-name", "x-webpa-device-name: mac:11223344556\"\n".to_owned()),
        ("empty", String::new()),
    ] {
        write("handshake", name, text.as_bytes());
    }
}

/// Tokens, claims and documents of keys.
fn tokens() {
    // A point of Ed25519 and one of P-256 (RFC 8037 §A.2, RFC 7515 §A.3.1).
    let ed25519 = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let p256 = r#"{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","kid":"current","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    let rsa = format!(r#"{{"kty":"RSA","e":"AQAB","n":"{}w"}}"#, "x".repeat(341));
    let set = format!(r#"{{"keys":[{ed25519},{p256}]}}"#);
    for (name, text) in [
        // {"alg":"EdDSA"}, {"alg":"EdDSA","kid":"../x"}, {"alg":"none"}, {"alg":"HS256"}, {"alg":"RS256","kid":"a/b"}
        ("token-eddsa", "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.AAAA"),
        ("token-climbing-kid", "eyJhbGciOiJFZERTQSIsImtpZCI6Ii4uL3gifQ.eyJzdWIiOiJ4In0.AAAA"),
        ("token-none", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."),
        ("token-hs256", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.AAAA"),
        ("token-rs256", "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEvYiJ9.eyJzdWIiOiJ4In0.AAAA"),
        // {"sub":"x","exp":2000000000}, {"sub":"x","sub":"y"}, signed
        ("token-signed", "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4IiwiZXhwIjoyMDAwMDAwMDAwfQ.Z29vZA"),
        ("token-signed-repeated", "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4Iiwic3ViIjoieSJ9.Z29vZA"),
        ("template", "https://user:pass@keys.example:8/k/{keyID}.jwk?id={keyID}"),
        ("template-host", "https://{keyID}.example.com/x"),
        ("token-two-dots-more", "eyJhbGciOiJFZERTQSJ9.a.b.c"),
        ("claims", r#"{"sub":"x","exp":1e300,"nbf":"1","iat":-5,"trust":"0x10","partner-id":["a"]}"#),
        ("claims-repeated", r#"{"sub":"x","sub":"y"}"#),
        ("claims-nested", r#"{"a":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}"#),
        ("jwk-ed25519", ed25519),
        ("jwk-p256", p256),
        ("jwk-rsa", &rsa),
        ("jwk-oct", r#"{"kty":"oct","k":"AAAA"}"#),
        ("jwk-set", &set),
        ("pem-empty", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"),
        ("pem-endless", "-----BEGIN PUBLIC KEY-----\nAAAA"),
    ] {
        write("jwt", name, text.as_bytes());
    }
    // In front: the number of the PEM label.
    for (name, der) in [
        (
            "der-spki-ed25519",
            "00 302a300506032b6570032100 d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        ),
        ("der-rsa-weak", "01 3008 0203 00ffff 0201 03"),
        ("der-length-of-4g", "00 3084 ffffffff 00"),
        ("der-length-of-length", "02 30ff 00"),
        (
            "der-pkcs8-ed25519",
            "03 302e020100300506032b657004220420 9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        ),
    ] {
        write("jwt", name, &vectors::hex(der));
    }
}

fn messages() {
    for file in ["wrp_v3_decode.json", "wrp_v5_decode.json", "wrp_v3_json.json", "wrp_v5_json.json"] {
        let kind = file.trim_end_matches(".json");
        for (number, case) in sample(file) {
            let input =
                case["hex"].as_str().map(vectors::hex).unwrap_or_else(|| vectors::bytes(&case["text"]));
            if (1..=MAX_LENGTH).contains(&input.len()) {
                write("wrp", &format!("{kind}-{number}"), &input);
            }
        }
    }
    for (name, frame) in [
        ("array-of-4g", "81 a7 68656164657273 dd ffffffff"),
        ("map-of-4g", "df ffffffff a8 6d73675f74797065 04"),
        ("payload-of-4g", "81 a7 7061796c6f6164 c6 ffffffff 00"),
        ("text-of-4g", "81 a6 736f75726365 db ffffffff 61"),
        ("metadata-twice", "81 a8 6d65746164617461 82 a1 61 a1 31 a1 61 a1 32"),
        ("nested-unknown", "81 a1 78 91*1100 c0"),
        ("reserved-byte", "81 a1 78 c1"),
    ] {
        write("wrp", name, &vectors::hex(frame));
    }
}

fn locators() {
    for file in ["locators_v3.json", "locators_v5.json", "device_ids.json"] {
        let kind = file.trim_end_matches(".json");
        for (number, case) in sample(file) {
            let input = vectors::bytes(&case["input"]);
            if (1..=MAX_LENGTH).contains(&input.len()) {
                write("locator", &format!("{kind}-{number}"), &input);
            }
        }
    }
}

/// A URL, and where it redirects to.
fn urls() {
    for (name, url, location) in [
        ("plain", "http://caduceus.example.com:6000/api/v4/notify?a=b#c", "/x?y"),
        ("credentials", "https://us%65r:p%40w@h/y", "//other/x"),
        ("ipv6", "http://[::1]:80/y", "../../d"),
        ("ipv6-zone", "http://[fe80::1%25en0]/", "?z"),
        ("opaque", "mailto:a@b", "https://other/x"),
        ("control-character", "http://h/\u{1}", "a:b"),
        ("broken-escape", "http://h/%2", "./"),
        ("unicode", "http://h/a b/ü?q=<x>", "ü"),
        ("two-at-signs", "http://a@b@c/", "/.././../"),
        ("port", "http://h:99999/", "x/../y/./z/.."),
        ("no-host", "https:///x", "///"),
    ] {
        write("url", name, format!("{url}\n{location}").as_bytes());
    }
}

/// In front: whether the body is a form.
fn control() {
    for (name, is_form, query, body) in [
        ("gate", 0, "open=true", ""),
        ("gate-body", 0, "", r#"{"open":false}"#),
        ("filter", 0, "", r#"{"key":"partner-id","values":["a",1,1.5,true,null]}"#),
        ("filter-nested", 0, "", r#"{"key":"partner-id","values":[["a"]]}"#),
        ("drain", 0, "count=10&rate=5&tick=1m30s&dryRun=T", ""),
        ("drain-percent", 0, "percent=50&rate=-1", r#"{"percent":"20"}"#),
        ("drain-ids", 0, "ids=mac:112233445566&ids=uuid%3Aa", r#"{"ids":["serial:1","serial:1"]}"#),
        ("drain-pattern", 0, "idPattern=%5Emac:1.*", r#"{"partner":["a","b"],"firmware":"f","model":"m"}"#),
        ("drain-large-pattern", 0, "idPattern=(a{1000}){1000}", ""),
        ("drain-key", 0, "", r#"{"key":"trust","values":[0],"count":3}"#),
        ("form", 1, "count=1", "count=2&tick=1s"),
        ("broken-escape", 0, "a=%zz", ""),
        ("unknown", 0, "partners=a", ""),
    ] {
        let mut bytes = vec![is_form];
        bytes.extend_from_slice(format!("{query}\n{body}").as_bytes());
        write("control", name, &bytes);
    }
}

/// In front: how the header is cut.
fn smuggling() {
    let (length, encoding) = ("Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n");
    for (name, header) in [
        ("length", format!("POST / HTTP/1.1\r\nHost: t\r\n{length}\r\nbody")),
        ("encoding", format!("POST / HTTP/1.1\r\nHost: t\r\n{encoding}\r\n4\r\nbody\r\n")),
        ("both", format!("POST / HTTP/1.1\r\nHost: t\r\n{length}{encoding}\r\n")),
        ("both-mixed-case", "POST / HTTP/1.1\nhost: t\ncontent-LENGTH:4\ntransfer-encoding:x\n\n".to_owned()),
        ("both-after-empty-lines", format!("\r\n\r\nPOST / HTTP/1.1\r\nHost: t\r\n{length}{encoding}\r\n")),
        ("behind-the-header", format!("POST / HTTP/1.1\r\nHost: t\r\n{length}\r\n{encoding}\r\n")),
        (
            "blank-before-colon",
            format!("POST / HTTP/1.1\r\nHost: t\r\n{length}Transfer-Encoding : x\r\n\r\n"),
        ),
        ("folded", format!("POST / HTTP/1.1\r\nHost: t\r\n{length} {encoding}\r\n")),
        ("two-hosts", "GET / HTTP/1.1\r\nHost: t\r\nHost: u\r\n\r\n".to_owned()),
        ("expectation", "GET / HTTP/1.0\r\nExpect: 200-ok\r\n\r\n".to_owned()),
    ] {
        for (cut, which) in [(0, "byte-by-byte"), (200, "whole")] {
            let mut bytes = vec![cut];
            bytes.extend_from_slice(header.as_bytes());
            write("smuggling", &format!("{name}-{which}"), &bytes);
        }
    }
}

/// Answers of event receivers; in front of each: how it is cut.
fn answers() {
    let chunked = "HTTP/1.1 202 A\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (name, answer) in [
        ("length", "HTTP/1.1 202 Accepted\r\nContent-Length: 4\r\n\r\nbodyHTTP/1.1 5".to_owned()),
        ("two-lengths", "HTTP/1.1 202 A\r\nContent-Length: 4, 4\r\nContent-Length: 5\r\n\r\n".to_owned()),
        ("no-length", "HTTP/1.0 202 A\r\nServer: x\r\n\r\nbody".to_owned()),
        ("keep-alive", "HTTP/1.0 202 A\nConnection: keep-alive\nContent-Length: 1\n\nx".to_owned()),
        ("no-body", "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n".to_owned()),
        ("interim", "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 202 A\r\nContent-Length: 0\r\n\r\n".to_owned()),
        ("chunked", format!("{chunked}4;x=\"y\"\r\nbody\r\na\r\n0123456789\r\n0\r\nX: y\r\n\r\n")),
        ("chunk-too-large", format!("{chunked}fffffffff\r\n")),
        ("chunk-without-line-end", format!("{chunked}1\r\nab\r\n")),
        ("both", "HTTP/1.1 202 A\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n".to_owned()),
        ("other-coding", "HTTP/1.1 202 A\r\nTransfer-Encoding: chunked, gzip\r\n\r\nx".to_owned()),
        ("redirect", "HTTP/1.1 307 T\r\nLocation: /x\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n".to_owned()),
        ("empty-lines", "\r\n\n\r\nHTTP/1.1 202 A\r\nContent-Length: 0\r\n\r\n".to_owned()),
        ("switching", "HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\nx".to_owned()),
        ("not-http", "SSH-2.0-x\r\n".to_owned()),
    ] {
        for (cut, which) in [(0, "byte-by-byte"), (200, "whole")] {
            let mut bytes = vec![cut];
            bytes.extend_from_slice(answer.as_bytes());
            write("receiver_answer", &format!("{name}-{which}"), &bytes);
        }
    }
}

/// Headers of proxies, each with a request behind it.
fn proxy_headers() {
    let signature = vectors::hex("0d0a0d0a000d0a515549540a");
    let ipv4 = "c0000207 7f000001 1388 1838";
    let ipv6 = "20010db8000000000000000000000001 00000000000000000000000000000001 1388 1838";
    for (name, rest) in [
        ("v2-tcp4", format!("21 11 000c {ipv4}")),
        ("v2-tcp6", format!("21 21 0024 {ipv6}")),
        ("v2-unix", format!("21 31 00d8 {}", "2f".repeat(216))),
        ("v2-unspecified", "21 00 0000".to_owned()),
        ("v2-local", "20 00 0000".to_owned()),
        ("v2-name", format!("21 11 0013 {ipv4} 02 0004 686f7374")),
        ("v2-checksum", format!("21 11 0013 {ipv4} 03 0004 00000000")),
        ("v2-field-too-long", format!("21 11 000f {ipv4} 02 ffff")),
        ("v2-too-long", "21 11 ffff".to_owned()),
    ] {
        write(
            "proxy_protocol",
            name,
            &[&signature, &vectors::hex(&rest), &b"GET / HTTP/1.1\r\n"[..]].concat(),
        );
    }
    for (name, line) in [
        ("v1-tcp4", "PROXY TCP4 192.0.2.7 127.0.0.1 5000 6200"),
        ("v1-tcp6", "PROXY TCP6 2001:db8::1 ::1 5000 6200"),
        ("v1-unknown", "PROXY UNKNOWN ffff::1 ffff::2 1 2"),
        ("v1-port", "PROXY TCP4 192.0.2.7 127.0.0.1 05000 6200"),
    ] {
        write("proxy_protocol", name, format!("{line}\r\nGET / HTTP/1.1\r\n").as_bytes());
    }
}

/// A configuration, and a message.
fn routes() {
    // An event of mac:112233445566 to event:device-status/mac:112233445566, with metadata, as msgpack.
    let message = vectors::hex(
        "84 a8 6d73675f74797065 04 a6 736f75726365 b0 6d61633a313132323333343435353636 \
         a4 64657374 d9 28 6576656e743a6465766963652d7374617475732f6d61633a313132323333343435353636 \
         a8 6d65746164617461 81 a9 2f68772d6d6f64656c a1 6d",
    );
    for (name, config) in [
        ("topic", "p device-*\nt events"),
        ("escaped", "p device-\\*\nt events\np *\nt rest\ni x"),
        ("template", "p *\nT wrp-{event_type}\na wrp-device-status\na wrp-b\nb other"),
        ("template-twice", "p *\nT {event_type}-{event_type}\na a"),
        ("shards", "p *\nm a\nm b\nm c\ns metadata:/hw-model\nk source"),
        ("round-robin", "p *\nm a\nm b\ns roundrobin\nk none"),
        (
            "headers",
            "h source=wrp.Source\nh model=wrp.Metadata./hw-model\nh x-*=wrp.Metadata.*\nh lit=a\nh lit=b",
        ),
        ("filter", "p *\nt a\n+ partner-id|in|a,b\n- trust|lt|1000\n@ partner-id=a\n@ trust=1000"),
        ("filter-rejects", "p *\nt a\n- partner-id|prefix|a\n@ partner-id=ab\np *\nt b"),
        ("faulty", "p **\nt a b\nT {\nm \ns x"),
    ] {
        let mut bytes = format!("{config}\n\n").into_bytes();
        bytes.extend_from_slice(&message);
        write("routes", name, &bytes);
    }
}

/// Lines of `Forwarded` and `X-Forwarded-For`, with and without what a client would like to be believed.
fn forwarded() {
    for (name, lines) in [
        ("one", "192.0.2.7"),
        ("client-and-proxies", "192.0.2.7, 10.0.0.1, 127.0.0.1"),
        ("made-up", "203.0.113.9, 192.0.2.7, 10.0.0.1"),
        ("several-lines", "203.0.113.9\n192.0.2.7\n10.0.0.1"),
        ("ports", "192.0.2.7:4711, [2001:db8::7]:443, [2001:db8::8], 2001:db8::9"),
        ("mapped", "::ffff:10.0.0.1, ::ffff:192.0.2.7"),
        ("unknown", "192.0.2.7, unknown, 10.0.0.1"),
        ("empty-elements", ", ,192.0.2.7, ,10.0.0.1,"),
        ("forwarded", "for=192.0.2.7;proto=https;by=10.0.0.1"),
        ("forwarded-list", "for=203.0.113.9, for=\"[2001:db8::7]:4711\", For=10.0.0.1"),
        ("forwarded-quoted", "for=\"192.0.2.7, 10.0.0.1\";by=x"),
        ("forwarded-open-quote", "for=\"192.0.2.7\nfor=10.0.0.1"),
        ("forwarded-escape", "for=\"192.0.2.7\\\"\", for=192.0.2.8"),
        ("forwarded-twice", "for=192.0.2.7;for=192.0.2.8"),
        ("forwarded-obfuscated", "for=_secret, for=10.0.0.1"),
    ] {
        write("forwarded", name, lines.as_bytes());
    }
}

/// Patterns for hosts, each with a host that it matches, or nearly.
fn hosts() {
    for (name, pattern, host, port) in [
        ("name", "example.com", "eXample.COM.", "443"),
        ("suffix", "example.com", "badexample.com", "443"),
        ("below", "*.example.com", "a.b.example.com", "443"),
        ("not-below", "*.example.com", ".example.com", "443"),
        ("port", "example.com:8080", "example.com", "8080"),
        ("ipv4", "127.0.0.1", "127.0.0.1", "80"),
        ("ipv4-port", "127.0.0.1:80", "127.1", "80"),
        ("ipv6", "::1", "0:0:0:0:0:0:0:1", "80"),
        ("ipv6-port", "[::1]:80", "[::1]", "80"),
        ("mapped", "[::ffff:127.0.0.1]", "127.0.0.1", "80"),
        ("stars", "**.com", "a.com", "80"),
        ("only-a-star", "*", "com", "80"),
    ] {
        write("hosts", name, format!("{pattern}\n{host}\n{port}").as_bytes());
    }
}

/// Rules with certificates: whole ones, parts of them, and names.
fn certificates() {
    let common = b"\x31\x1b\x30\x19\x06\x03\x55\x04\x03\x0c\x12mac:11223344556677";
    let alternative = b"\x82\x10mac:112233445566\x86\x06uuid:a\x87\x04\x7f\0\0\x01";
    let whole = talaria_fuzz::certificate::certificate(common, alternative);
    write("certificate", "whole", &[b"\0cn\n", whole.as_slice()].concat());
    write("certificate", "torn", &[b"\0cn\n", &whole[..whole.len() / 2]].concat());
    write("certificate", "parts", &[b"\x01san\n", &common[..], b"\n", alternative].concat());
    for (name, rule, names) in [
        ("common-name", "cn", "mac:112233445566"),
        ("alternative-name", "san", "x\nmac:112233445566"),
        ("template", "mac:{cn}", "11:22:33:44:55:66\nuuid:b"),
        ("two-common-names", "cn", "mac:112233445566\n\nuuid:a"),
        ("slash", "{cn}", "uuid:a/b"),
        ("not-ascii", "uuid:{san}", "\n\u{e9}"),
        ("no-names", "cn", ""),
    ] {
        write("certificate", name, format!("\x02{rule}\n{names}").as_bytes());
    }
}

/// Frames of ZooKeeper; in front of each: how it is read.
fn zookeeper() {
    let header = [0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0];
    let children = [0, 0, 0, 2, 0, 0, 0, 1, b'a', 0, 0, 0, 2, b'b', b'c'];
    let answer = [&header[..], &children].concat();
    let event = [&[255; 4][..], &[0; 12], &[0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 2, b'/', b'a']].concat();
    let lying = [&header[..], &[0x7f, 0xff, 0xff, 0xff]].concat();
    let connected = [&[0; 4][..], &[0, 0, 0x27, 0x10], &7_i64.to_be_bytes(), &[0, 0, 0, 2, 1, 2, 0]].concat();
    for (name, content) in
        [("answer", &answer), ("event", &event), ("lying-length", &lying), ("connected", &connected)]
    {
        write("zookeeper", name, &[&[1], &content[..]].concat());
        let framed = [&(content.len() as u32).to_be_bytes()[..], content].concat();
        write("zookeeper", &format!("{name}-framed"), &[&[0], &framed[..], &framed].concat());
    }
    write("zookeeper", "length-beyond-the-limit", &[0, 0x7f, 0xff, 0xff, 0xff]);
    write("zookeeper", "names", b"\x02a\n\n_c_0011-http://127.0.0.1:6200\n\xc3\xa9");
}
