#!/bin/bash
# Makes the bank's secrets at its first start and gives each service a copy of those that it needs, readable by
# nobody else. Runs as root in a container of its own, before everything else, at each start: what is there stays.
#
#   /secrets/originals      every secret; back this folder up, since losing handler.key loses every account token
#   /secrets/<service>      copies, owned by the user the service runs as
set -euo pipefail
umask 077

originals=/secrets/originals
mkdir -p "$originals"

# 32 bytes from the system, as 64 hexadecimal characters.
make_secret() {
    local file=$originals/$1
    if [ ! -s "$file" ]; then
        head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$file.new"
        echo >>"$file.new"
        mv "$file.new" "$file"
        echo "made $1"
    fi
}

# give USER SERVICE FILE...
give() {
    local user=$1 folder=/secrets/$2 name
    shift 2
    mkdir -p "$folder"
    for name in "$@"; do
        # One step: a service that starts meanwhile reads all of it or the old one.
        cp "$originals/$name" "$folder/.$name"
        chown "$user:$user" "$folder/.$name"
        chmod 0400 "$folder/.$name"
        mv -f "$folder/.$name" "$folder/$name"
    done
    chown "$user:$user" "$folder"
    chmod 0500 "$folder"
}

for name in handler.key token.key company.token bank_admin.password command_handler.password \
    graphql_endpoint.password registry.password auditor.password monitor.password; do
    make_secret "$name"
done
# The registry reads settings from a file of this form; the number lets it win over the program's own.
printf 'config_ordinal=350\napicurio.datasource.password=%s\n' "$(cat "$originals/registry.password")" \
    >"$originals/registry.properties"

give 999 postgres bank_admin.password command_handler.password graphql_endpoint.password registry.password \
    auditor.password monitor.password
give 10001 synchronizer command_handler.password graphql_endpoint.password
give 10002 command-handler command_handler.password handler.key company.token
give 10003 graphql-endpoint graphql_endpoint.password token.key
give 10004 command-generator company.token
give 10006 auditor auditor.password
give 10007 registry registry.properties
give 10008 monitor monitor.password
# To be passed, not to be listed.
chmod 0711 /secrets
