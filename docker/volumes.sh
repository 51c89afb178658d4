#!/bin/bash
# Saves everything the bank remembers, or puts it back: the volumes of a compose project, as one archive each.
#
#   docker/volumes.sh save DIRECTORY       while the bank is stopped
#   docker/volumes.sh restore DIRECTORY    before it is started; volumes that are there are replaced
#
# Topics, books and keys belong together: a handler refuses books that are older than what it has told the topics.
# The project is COMPOSE_PROJECT_NAME, or the name of this repository's folder as Compose makes it.
set -euo pipefail
action=${1:-} directory=${2:-}
if [[ ! $action =~ ^(save|restore)$ || -z $directory ]]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
folder=$(basename "$(cd "$(dirname "$0")/.." && pwd)" | tr '[:upper:]' '[:lower:]' | tr -cd 'a-z0-9_-')
project=${COMPOSE_PROJECT_NAME:-$folder}
image=postgres:18.4

if [ -n "$(docker ps --quiet --filter "label=com.docker.compose.project=$project")" ]; then
    echo "the bank is running; stop it first: docker compose stop" >&2
    exit 1
fi

# tar as root, with the owners as they are, and no network.
archive() { docker run --rm --interactive --network none --user root --entrypoint tar "$@"; }

case $action in
save)
    umask 077
    mkdir -p "$directory"
    for volume in $(docker volume ls --quiet --filter "label=com.docker.compose.project=$project"); do
        name=${volume#"${project}_"}
        archive --volume "$volume:/volume:ro" "$image" --create --gzip --directory /volume . >"$directory/$name.new"
        mv "$directory/$name.new" "$directory/$name.tar.gz"
        echo "saved $name"
    done
    ;;
restore)
    for file in "$directory"/*.tar.gz; do
        name=$(basename "$file" .tar.gz)
        volume=${project}_$name
        docker volume rm --force "$volume" >/dev/null
        docker volume create --label "com.docker.compose.project=$project" \
            --label "com.docker.compose.volume=$name" "$volume" >/dev/null
        archive --volume "$volume:/volume" "$image" --extract --gzip --numeric-owner --directory /volume <"$file"
        echo "restored $name"
    done
    ;;
esac
