# logtrain in an image of Debian's: docker build -t logtrain . (or podman, or buildah; scripts/image without a registry).
# --build-arg VERSION="$(scripts/version)" --build-arg COMMIT="$(git rev-parse HEAD)" tell the program and the labels what it is.
# BASE may be any Debian 12 or 13, of amd64 or arm64.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS build
WORKDIR /src
COPY scripts/bootstrap scripts/kube-apiserver scripts/
RUN ./scripts/bootstrap --demo
COPY . .
ARG COMMIT=
RUN export LOGTRAIN_COMMIT=$COMMIT && cmake --preset release -DBUILD_TESTING=OFF && cmake --build --preset release --target logtrain \
    && install -D -s build/release/logtrain /out/usr/bin/logtrain \
    # the packages that it needs when it runs, by the names that this Debian has for them
    && ldd /out/usr/bin/logtrain | awk '$3 ~ "/" { print $3 }' | xargs -n 1 realpath | sort -u \
    | while read -r lib; do dpkg -S "$lib" 2>/dev/null || dpkg -S "${lib#/usr}"; done \
    | cut -d : -f 1 | sort -u >/out/packages

FROM ${BASE}
COPY --from=build /out/packages /tmp/packages
RUN apt-get -q update \
    && xargs -a /tmp/packages apt-get -q install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /tmp/packages
COPY --from=build /out/usr/bin/logtrain /usr/bin/logtrain
ARG VERSION=
ARG COMMIT=
LABEL org.opencontainers.image.title=logtrain org.opencontainers.image.licenses=Apache-2.0 \
    org.opencontainers.image.version=$VERSION org.opencontainers.image.revision=$COMMIT
EXPOSE 9000
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/logtrain"]
