#!/bin/bash
# Makes an authority of the bank's own at the first start, and a certificate for each service of docker-compose.tls.yml.
# Runs as root in a container of its own, before everything else, at each start: what is good for another month stays,
# the rest is made anew.
#
#   /certificates/authority     the authority's key, which signs and leaves this folder never
#   /certificates/<service>     what the user of that service may read, and nobody else:
#       authority.crt  whom to trust     service.crt, service.key  who it is     service.pem  both of them, for Kafka
#
# The subject is CN=<service>: Kafka's permissions in docker/tls/permissions.sh are for that name.
set -euo pipefail
umask 077

certificates=${1:-/certificates}
authority=$certificates/authority
authority_days=3650
service_days=90
renewed_before_days=30
seconds_a_day=86400

mkdir -p "$authority"

# Without the settings of this system; extensions are said where they are asked for.
configuration=$authority/openssl.cnf
printf '[req]\ndistinguished_name = name\n[name]\n' >"$configuration"

make_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

if [ ! -s "$authority/authority.crt" ]; then
    make_key "$authority/authority.key"
    openssl req -x509 -new -config "$configuration" -key "$authority/authority.key" -sha256 -days "$authority_days" \
        -subj "/CN=authority of the bank" \
        -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign \
        -addext subjectKeyIdentifier=hash -out "$authority/authority.new"
    mv "$authority/authority.new" "$authority/authority.crt"
    echo "made the authority"
fi

# certify USER SERVICE [OTHER NAME...]
certify() {
    local user=$1 service=$2 folder=$certificates/$2 names name
    shift
    mkdir -p "$folder"
    if ! cmp --silent "$authority/authority.crt" "$folder/authority.crt" ||
        ! openssl x509 -in "$folder/service.crt" -noout -checkend $((renewed_before_days * seconds_a_day)) >/dev/null; then
        names=
        for name in "$@"; do names="$names${names:+,}DNS:$name"; done
        make_key "$folder/.key"
        openssl req -new -config "$configuration" -key "$folder/.key" -subj "/CN=$service" |
            openssl x509 -req -CA "$authority/authority.crt" -CAkey "$authority/authority.key" -sha256 \
                -days "$service_days" -set_serial "0x$(openssl rand -hex 16)" -out "$folder/.crt" \
                -extfile <(printf '%s\n' basicConstraints=critical,CA:FALSE keyUsage=critical,digitalSignature \
                    extendedKeyUsage=serverAuth,clientAuth "subjectAltName=$names") 2>/dev/null
        cat "$folder/.key" "$folder/.crt" >"$folder/.pem"
        cp "$authority/authority.crt" "$folder/.authority"
        mv "$folder/.key" "$folder/service.key"
        mv "$folder/.crt" "$folder/service.crt"
        mv "$folder/.pem" "$folder/service.pem"
        mv "$folder/.authority" "$folder/authority.crt"
        echo "certified $service: $names, for $service_days days"
    fi
    chmod 0400 "$folder"/*
    chmod 0500 "$folder"
    chown -R "$user:$user" "$folder"
}

certify 999 postgres localhost
certify 1000 kafka localhost
certify 1000 kafka-2 localhost
certify 1000 kafka-3 localhost
# May do everything in Kafka; for permissions.sh and for people.
certify 1000 administrator
certify 10001 synchronizer
certify 10002 command-handler
certify 10003 graphql-endpoint
certify 10004 command-generator
certify 10005 heartbeat
certify 10006 auditor
certify 10007 registry localhost
# To be passed, not to be listed.
chmod 0711 "$certificates"
