#!/bin/bash
# Builds STAND-INS for the published base images, under the very same names, for machines that can pull no image: so
# that the unmodified docker-compose.yml and docker/Dockerfile can be tried there. They are not the published images
# and must not leave the machine: all carry the label the-bank.stand-in=true, and nothing but the test of the compose
# files uses them.
#
#   docker/stand-ins/build.sh [NAME...]        all, or some of: postgres kafka registry rust haproxy
#                                              prometheus postgres-exporter
#
# Needs a Docker engine, debootstrap, Maven and the Rust toolchain of rust-toolchain.toml; runs as root on Debian.
set -euo pipefail
cd "$(dirname "$0")"
repository=$(cd ../.. && pwd)
work=${STAND_IN_DIRECTORY:-$repository/target/stand-ins}
mkdir -p "$work"

built_already() { docker image inspect "$1" >/dev/null 2>&1; }

# What is pulled is better than what is made here.
refuse_to_replace() {
    if built_already "$1" &&
        [ "$(docker image inspect --format '{{index .Config.Labels "the-bank.stand-in"}}' "$1")" != true ]; then
        echo "$1 is there and no stand-in; it stays"
        return 1
    fi
}

build() {
    local image=$1 folder=$2
    shift 2
    refuse_to_replace "$image" || return 0
    echo "== $image"
    # The classic builder: it needs nothing but the engine, and packages come by the machine's own network.
    DOCKER_BUILDKIT=0 docker build --quiet --network host --label the-bank.stand-in=true --tag "$image" "$@" "$folder"
}

base=the-bank-stand-in/debian:bookworm
if ! built_already "$base"; then
    echo "== $base"
    if [ ! -d "$work/debian" ]; then
        debootstrap --variant=minbase --include=ca-certificates bookworm "$work/debian.new" >"$work/debootstrap.log"
        mv "$work/debian.new" "$work/debian"
    fi
    # Whom this machine trusts for its package registries, the images trust while they are built.
    cp -L /etc/ssl/certs/ca-certificates.crt "$work/debian/etc/ssl/certs/ca-certificates.crt"
    tar --create --directory "$work/debian" . |
        docker import --change 'LABEL the-bank.stand-in=true' - "$base" >/dev/null
fi

java=the-bank-stand-in/java:17
jars() {
    if [ ! -d "$work/jars/registry" ]; then
        mvn --batch-mode --quiet --file "$repository/local-cluster/maven/pom.xml" \
            -Djars.directory="$work/jars" process-resources
    fi
    # Kafka's own tools, whose libraries the broker has already.
    if [ ! -e "$work/jars/kafka/kafka-tools-4.3.1.jar" ]; then
        mvn --batch-mode --quiet org.apache.maven.plugins:maven-dependency-plugin:2.10:copy \
            -Dartifact=org.apache.kafka:kafka-tools:4.3.1 -DoutputDirectory="$work/jars/kafka"
    fi
    built_already "$java" || build "$java" java
}

for name in "${@:-postgres kafka registry rust haproxy prometheus postgres-exporter}"; do
    # shellcheck disable=SC2086 # the default is several words
    set -- $name
    for one in "$@"; do
        case $one in
        postgres) build postgres:18.4 postgres ;;
        haproxy) build haproxy:3.2.4 haproxy ;;
        prometheus) build prom/prometheus:v3.13.1 prometheus ;;
        postgres-exporter)
            build quay.io/prometheuscommunity/postgres-exporter:v0.17.1 postgres-exporter
            ;;
        kafka)
            jars
            rm -rf "$work/kafka" && cp -R kafka "$work/kafka" && cp -R "$work/jars/kafka" "$work/kafka/libs"
            build apache/kafka:4.3.1 "$work/kafka"
            ;;
        registry)
            jars
            rm -rf "$work/registry" && cp -R registry "$work/registry"
            cp -R "$work/jars/registry" "$work/registry/deployments"
            build apicurio/apicurio-registry:3.0.9 "$work/registry"
            ;;
        rust)
            toolchain=$(cd "$repository" && rustc --print sysroot)
            rm -rf "$work/rust" && mkdir -p "$work/rust/cargo"
            cp rust/Dockerfile "$work/rust"
            cp -R "$toolchain" "$work/rust/toolchain"
            rm -rf "$work/rust/toolchain/share/doc"
            # What has been downloaded once is not downloaded again in the image.
            cp -R "${CARGO_HOME:-$HOME/.cargo}/registry" "$work/rust/cargo/registry"
            rm -rf "$work/rust/cargo/registry/src"
            build rust:1.95.0-bookworm "$work/rust"
            rm -rf "$work/rust"
            ;;
        *)
            echo "no stand-in for $one" >&2
            exit 2
            ;;
        esac
    done
done
