#!/bin/sh
# Copies every manifest of the workspace to a folder, with empty sources: enough to compile the dependencies, and
# the same bytes as long as no manifest changes, so that the layer with the compiled dependencies is kept.
set -eu
target=$1

copy() {
    mkdir -p "$target/$(dirname "$1")"
    cp "$1" "$target/$1"
}

for file in Cargo.toml Cargo.lock rust-toolchain.toml clippy.toml; do
    [ -e "$file" ] && copy "$file"
done
[ -d .cargo ] && cp -R .cargo "$target/.cargo"

for manifest in */Cargo.toml; do
    member=$(dirname "$manifest")
    copy "$manifest"
    # A target whose path is written down must exist.
    sed -n 's/^path *= *"\([^"]*\.rs\)".*/\1/p' "$manifest" | while read -r path; do
        mkdir -p "$target/$member/$(dirname "$path")"
        echo 'fn main() {}' > "$target/$member/$path"
    done
    mkdir -p "$target/$member/src"
    [ -e "$member/src/lib.rs" ] && : > "$target/$member/src/lib.rs"
    [ -e "$member/src/main.rs" ] && echo 'fn main() {}' > "$target/$member/src/main.rs"
    [ -e "$member/build.rs" ] && echo 'fn main() {}' > "$target/$member/build.rs"
done

# Times would be part of the copy.
find "$target" -exec touch --date=@0 {} +
