# The image of the gateway: the binary, the C library that it is linked with, certificates and a configuration. It has no shell,
# and runs without root and on a read-only file system. docs/operations.md says how to use it; scripts/image tests its files.
FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# What `talaria --version` says: --build-arg BUILD_COMMIT=$(git rev-parse --short HEAD) --build-arg BUILD_TIME=$(date -u +%FT%TZ)
ARG BUILD_COMMIT BUILD_TIME
# --no-default-features: without `talaria demo` and all that only the demo needs.
RUN cargo build --release --locked --package talaria --no-default-features --features top && strip -o /talaria target/release/talaria

# The same Debian as the build's, so that the C library is not older.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /talaria /usr/bin/talaria
COPY deploy/config/talaria.yaml /etc/talaria/talaria.yaml
USER 65532:65532
# Devices and the API, probes, metrics. The control server listens on loopback only, until it is configured otherwise.
EXPOSE 6200 8081 8082
# Longer than shutdownTimeout: `docker stop --time 35`, terminationGracePeriodSeconds.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/talaria", "--file", "/etc/talaria/talaria.yaml"]
