#!/bin/sh
# Compiles what the images hold; see docker/Dockerfile. Each word is a step:
#   programs       the services, static, without names for debuggers
#   page           the page as WebAssembly
#   tools          the program that makes a folder for browsers of it
#   harness DIR    the command line of the bank, for docker-compose.perf.yml
#   collect DIR    everything the images hold, in one folder
set -eu

programs="synchronizer command-handler graphql-endpoint command-generator heartbeat auditor"
machine=$(rustc -vV | sed -n 's/^host: //p')

# Images are pulled more often than they are built: small before quick to compile.
export CARGO_PROFILE_RELEASE_DEBUG=false
export CARGO_PROFILE_RELEASE_STRIP=symbols
export CARGO_PROFILE_RELEASE_LTO=fat
export CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1
# A panic ends the process either way; see topology::telemetry.
export CARGO_PROFILE_RELEASE_PANIC=abort

# Nobody unwinds a stack, and addresses that are known only at the start are told in few bits.
smaller="-C force-unwind-tables=no -C link-arg=-Wl,-z,pack-relative-relocs"
export CFLAGS="-fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections"
export CXXFLAGS="$CFLAGS"

# The OpenSSL of the image, as a part of the program; used by the feature `tls` alone.
export OPENSSL_STATIC=1
OPENSSL_LIB_DIR=$(dirname "$(gcc -print-file-name=libssl.a)")
export OPENSSL_LIB_DIR OPENSSL_INCLUDE_DIR=/usr/include

compile() {
    packages=
    for program in "$@"; do packages="$packages --package $program"; done
    # With a target named, the flags are not those of build scripts and macros, which cannot be static.
    # shellcheck disable=SC2086 # the packages are words
    RUSTFLAGS="-C target-feature=+crt-static $smaller" \
        cargo build --locked --release --target "$machine" --bins $packages ${FEATURES:+--features "$FEATURES"}
}

case $1 in
programs)
    # shellcheck disable=SC2086 # the programs are words
    compile $programs
    ;;
harness)
    FEATURES='' compile bank
    mkdir -p "$2"
    cp "target/$machine/release/bank" "$2/bank"
    ;;
page)
    cargo build --locked --profile wasm-release --target wasm32-unknown-unknown --package frontend --lib
    ;;
tools)
    # A program of one file, of the versions that Cargo.lock names.
    version() { sed -n "/^name = \"$1\"\$/{n;s/^version = \"\(.*\)\"\$/\1/p}" Cargo.lock; }
    mkdir -p target/page/src
    cp docker/page.rs target/page/src/main.rs
    cp bank/src/page/compressed.rs target/page/src/compressed.rs
    cp Cargo.lock target/page/Cargo.lock
    printf '[package]\nname = "page"\nedition = "2024"\n[workspace]\n[dependencies]\nwasm-bindgen-cli-support = "=%s"\nbrotli = "=%s"\n[profile.dev]\nopt-level = 2\n' \
        "$(version wasm-bindgen-cli-support)" "$(version brotli)" >target/page/Cargo.toml
    cargo build --manifest-path target/page/Cargo.toml --target-dir target/page/target
    ;;
collect)
    out=$2
    mkdir -p "$out/site" "$out/results" "$out/empty"
    for program in $programs; do
        cp "target/$machine/release/$program" "$out/$program"
    done
    target/page/target/debug/page target/wasm32-unknown-unknown/wasm-release/frontend.wasm "$out/site"
    cp -R frontend/assets/. "$out/site"
    target/page/target/debug/page "$out/site"
    cp -R perf/results/. "$out/results"
    ls -l "$out" "$out/site"
    ;;
*)
    echo "unknown step $1" >&2
    exit 2
    ;;
esac
