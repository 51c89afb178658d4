#!/bin/bash
# Who may do what in Kafka, by the names in their certificates; what is not said here is refused. Runs at each start,
# before the synchronizer: saying it again changes nothing. Taking something back is for kafka-acls.sh --remove.
set -euo pipefail

allow() {
    local principals=() all=()
    for service in $1; do principals+=(--allow-principal "User:$service"); done
    for operation in $2; do all+=(--operation "$operation"); done
    shift 2
    /opt/kafka/bin/kafka-acls.sh --bootstrap-server kafka:9092 --command-config /administrator.properties \
        --add "${principals[@]}" "${all[@]}" "$@" >/dev/null
    echo "allowed:" "${principals[@]}" "${all[@]}" "$@"
}

commands=(--topic confirm_account_creation --topic confirm_money_transfer)
answers=(--topic account_creation_feedback --topic money_transfer_feedback --topic balance_changed)
everything=("${commands[@]}" "${answers[@]}" --topic heartbeat --topic dead_letters)

# Topics are made and changed, never deleted, and no record is read.
allow synchronizer "Create Describe Alter DescribeConfigs AlterConfigs" "${everything[@]}"

# Facts are the handler's alone to write.
allow command-handler Write "${answers[@]}" --topic dead_letters
allow command-handler Read "${commands[@]}" --group command-handler

allow "graphql-endpoint command-generator" Write "${commands[@]}" --topic dead_letters
# The page follows a transfer through all topics.
allow graphql-endpoint Read "${everything[@]}" --group graphql-endpoint --group graphql-endpoint-live \
    --group graphql-endpoint-rebuild --group graphql-endpoint-trail
allow command-generator Read --topic heartbeat --topic account_creation_feedback --group command-generator

allow heartbeat Write --topic heartbeat

allow auditor Read "${everything[@]}" --group bank-auditor
# How far others have come.
allow "graphql-endpoint auditor" Describe --group command-handler --group command-generator --group graphql-endpoint
