//! Sessions that are resumed by a ticket, and when a ticket ends (contract §9.8).

use super::*;

/// SECURITY.md, contract §9.8
#[tokio::test]
async fn a_session_is_resumed_by_a_ticket_and_the_client_is_the_same() {
    let authority = Authority::new();
    let certificate = authority.issue(&["device"]);
    let der = CertificateDer::from_pem_slice(certificate.0.as_bytes()).unwrap();
    for client_ca in [None, Some(authority.ca())] {
        for version in [&TLS12, &TLS13] {
            let fixture = start(config(tls::Config { client_ca: client_ca.clone(), ..tls(&authority) }));
            let client = authority.client(Some(&certificate), &[version]);
            for kind in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
                let mut client = Client::over(fixture.connect(client.clone()).await.unwrap());
                client.send(GET.replace("/ ", "/certificate ")).await;
                let response = client.response().await;
                assert_eq!(response.status, 200);
                let shown = client_ca.as_ref().map_or(&b""[..], |_| &der);
                assert_eq!(response.body, shown, "{:?} {kind:?}", version.version);
                assert_eq!(client.socket.get_ref().1.handshake_kind(), Some(kind), "{:?}", version.version);
            }
            for (kind, times) in [("full", 1.0), ("resumed", 2.0)] {
                let series = format!("tls_handshakes_total{{kind=\"{kind}\",server=\"primary\"}}");
                assert_eq!(fixture.metric(&series), times, "{kind}");
            }
        }
    }
}

#[tokio::test]
async fn a_ticket_of_tls_1_3_costs_no_packet_of_its_own() {
    let authority = Authority::new();
    let fixture = start(config(tls(&authority)));
    let socket = fixture.connect(authority.client(None, &[&TLS13])).await.unwrap();
    eventually("the handshake is complete at the server", PATIENCE, async || {
        fixture.metric("tls_handshakes_total{kind=\"full\",server=\"primary\"}") == 1.0
    })
    .await;
    let tcp = socket.into_inner().0.into_std().unwrap();
    assert_eq!(tcp.peek(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

/// SECURITY.md
#[tokio::test]
async fn no_ticket_outlives_the_trust_in_the_certificate_that_it_stands_for() {
    for version in [&TLS12, &TLS13] {
        let (ours, other) = (Authority::new(), Authority::new());
        let client = ours.client(Some(&ours.issue(&["device"])), &[version]);
        let serial = ours.last_serial();
        let list = ours.file("revoked.crl");
        std::fs::write(&list, ours.revocation_list(&[]).der()).unwrap();
        let (client_ca, client_crls) = (Some(ours.file("clients.pem")), vec![list.clone()]);
        let set_authority = |authority: &Authority| std::fs::copy(authority.ca(), ours.file("clients.pem"));
        set_authority(&ours).unwrap();
        let fixture = start(config(tls::Config { client_ca, client_crls, ..tls(&ours) }));
        let is_accepted = async || fixture.ask(client.clone()).await.is_ok();
        let resumed = || fixture.metric("tls_handshakes_total{kind=\"resumed\",server=\"primary\"}");

        assert!(is_accepted().await && is_accepted().await);
        assert_eq!(resumed(), 1.0);
        std::fs::write(&list, ours.revocation_list(&[serial]).der()).unwrap();
        eventually("the certificate is revoked", PATIENCE, async || !is_accepted().await).await;
        assert!(fixture.failures("revoked_certificate") >= 1.0);

        std::fs::write(&list, ours.revocation_list(&[]).der()).unwrap();
        eventually("the certificate is good again", PATIENCE, is_accepted).await;
        let before = resumed();
        assert!(is_accepted().await);
        assert_eq!(resumed(), before + 1.0);
        set_authority(&other).unwrap();
        eventually("the authority is another one", PATIENCE, async || !is_accepted().await).await;
        assert!(fixture.failures("bad_certificate") >= 1.0);
    }
}
