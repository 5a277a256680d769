# Builds the program for the CPU, with shards in buckets and on web servers, and puts it alone into a small image.
#
#   docker build -t simsiam .
#   docker run --rm simsiam                                            # what the machine has: `simsiam doctor`
#   docker run --rm -v "$PWD:/work" simsiam train --shards photos/     # runs go to the folder that is mounted

FROM rust:1.95-slim-bookworm AS build
# Otherwise rustup would fetch what rust-toolchain.toml names.
ENV RUSTUP_TOOLCHAIN=1.95.0 \
    CARGO_PROFILE_RELEASE_STRIP=symbols
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package simsiam --features remote \
    && cp target/release/simsiam /usr/local/bin/simsiam

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 simsiam
COPY --from=build /usr/local/bin/simsiam /usr/local/bin/simsiam
USER 1000
WORKDIR /work
ENTRYPOINT ["simsiam"]
CMD ["doctor"]
