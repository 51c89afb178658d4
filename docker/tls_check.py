#!/usr/bin/env python3
"""What must be refused, and what must not, of a bank that runs with docker-compose.tls.yml: handshakes without a
certificate, of a foreign authority, of one that has ended, with another name; connections without TLS; and in Kafka what
each service may do. Used by docker/journey.py --tls.

Everything is asked from containers of the bank's own network with the tools of its images. Certificates that are wrong
on purpose are made by docker/certificates.sh too, in a volume that is removed afterwards."""

import re
import subprocess
import time

# Of a container that asks once.
ANSWER_SECONDS = 60
POSTGRES = "postgres:18.4"
KAFKA = "apache/kafka:4.3.1"


class Asker:
    """Runs tools in the network of a compose project."""

    def __init__(self, project, root):
        self.project, self.root = project, root
        self.wrong = f"{project}_wrong-certificates"

    def docker(self, *arguments, check=True):
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=ANSWER_SECONDS)
        if check and done.returncode:
            raise RuntimeError(f"docker {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done

    def run(self, image, script, *options):
        """A script of a shell as root, with all certificates at hand, the good and the wrong ones."""
        done = self.docker(
            *("run", "--rm", "--interactive", "--user", "0:0", "--network", f"{self.project}_bank"),
            *("--volume", f"{self.project}_certificates:/certificates:ro", "--volume", f"{self.wrong}:/wrong:ro"),
            *("--volume", f"{self.project}_secrets:/secrets:ro", *options, "--entrypoint", "bash", image, "-c", script),
            check=False,
        )
        return done.stdout + done.stderr

    def make_wrong_certificates(self):
        """Of a foreign authority; and of ours, but ended yesterday or not for clients."""
        self.docker("volume", "rm", "--force", self.wrong)
        extensions = "basicConstraints=critical,CA:FALSE"
        script = f"""set -euo pipefail
            bash /certificates.sh /wrong/foreign
            ours=/certificates/authority
            sign() {{
                mkdir -p "/wrong/$1"
                openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "/wrong/$1/service.key"
                openssl req -new -key "/wrong/$1/service.key" -subj "$2" -out /tmp/request
                shift 2
                printf '%s\\n' "$@" >/tmp/extensions
            }}
            sign ended /CN=graphql-endpoint {extensions} extendedKeyUsage=clientAuth
            mkdir -p /tmp/ca && touch /tmp/ca/index
            printf '[ca]\\ndefault_ca=it\\n[it]\\ndatabase=/tmp/ca/index\\nnew_certs_dir=/tmp/ca\\nrand_serial=yes\\n' >/tmp/ca/cnf
            printf 'default_md=sha256\\npolicy=any\\n[any]\\ncommonName=supplied\\n' >>/tmp/ca/cnf
            openssl ca -batch -config /tmp/ca/cnf -in /tmp/request -cert $ours/authority.crt -keyfile $ours/authority.key \\
                -startdate 20200101000000Z -enddate 20200201000000Z -notext -extfile /tmp/extensions \\
                -out /wrong/ended/service.crt
            for case in "server-only /CN=graphql-endpoint serverAuth" "stranger /O=somebody/CN=else clientAuth"; do
                read -r name subject usage <<<"$case"
                sign "$name" "$subject" {extensions} "extendedKeyUsage=$usage"
                openssl x509 -req -in /tmp/request -CA $ours/authority.crt -CAkey $ours/authority.key -days 1 \\
                    -set_serial 0x$(openssl rand -hex 16) -extfile /tmp/extensions -out "/wrong/$name/service.crt"
            done"""
        self.docker(
            *("run", "--rm", "--user", "0:0", "--network", "none", "--entrypoint", "bash"),
            *("--volume", f"{self.project}_certificates:/certificates:ro", "--volume", f"{self.wrong}:/wrong"),
            *("--volume", f"{self.root}/docker/certificates.sh:/certificates.sh:ro", POSTGRES, "-c", script),
        )

    def remove_wrong_certificates(self):
        self.docker("volume", "rm", "--force", self.wrong, check=False)


def expect(what, said, *words):
    """Some of these words are in what was said."""
    if not any(word in said for word in words):
        raise RuntimeError(f"{what}: expected one of {words} in:\n{said}")


def until_logged(bank, service, *words):
    """The refusal is in the log of the one who refuses."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        said = bank.compose("logs", "--no-color", "--tail=400", service)
        if any(word in said for word in words):
            return
        time.sleep(0.2)
    raise RuntimeError(f"{service} did not log any of {words}")


def s_client(address, options=""):
    """A handshake, and then a question that Kafka answers: with TLS 1.3 a client learns late that it was refused."""
    question = r"printf '\0\0\0\012\0\022\0\0\0\0\0\001\377\377'; sleep 2"
    return f"({question}) | timeout 10 openssl s_client -connect {address} {options} 2>&1 | tr -cd '[:print:]\\n'; true"


def identity(folder):
    return f"-cert {folder}/service.crt -key {folder}/service.key"


TRUST = "-CAfile /certificates/authority/authority.crt -verify_return_error -verify_hostname"


def check_kafka_handshakes(bank, asker):
    ours = "/certificates/graphql-endpoint"
    good = asker.run(POSTGRES, s_client("kafka:9092", f"{identity(ours)} {TRUST} kafka"))
    expect("a good certificate", good, "Verify return code: 0 (ok)")
    if "alert" in good:
        raise RuntimeError(f"a good certificate was refused: {good}")
    for what, options, *words in [
        ("no certificate", "", "certificate required", "bad certificate"),
        ("a foreign authority", identity("/wrong/foreign/graphql-endpoint"), "unknown ca", "certificate unknown"),
        ("an ended certificate", identity("/wrong/ended"), "certificate expired", "certificate unknown"),
        ("one for servers only", identity("/wrong/server-only"), "unsupported certificate", "certificate unknown"),
        ("TLS 1.1", f"{identity(ours)} -tls1_1 -cipher DEFAULT@SECLEVEL=0", "protocol version", "handshake failure"),
    ]:
        for port in 9092, 9093:
            said = asker.run(POSTGRES, s_client(f"kafka:{port}", options))
            expect(f"{what} at {port}", said, "alert " + words[0], *("alert " + word for word in words[1:]), *words)
    # From the other side: who is not the one that was meant, or is of somebody else, is refused by us.
    address = asker.run(POSTGRES, "getent hosts kafka | cut -d' ' -f1").strip()
    said = asker.run(POSTGRES, s_client("kafka:9092", f"{identity(ours)} {TRUST} elsewhere"))
    expect("another name", said, "hostname mismatch", "Hostname mismatch")
    plain = r"""exec 3<>/dev/tcp/kafka/9092 && printf '\0\0\0\012\0\022\0\0\0\0\0\001\377\377' >&3
        timeout 3 head -c 8 <&3 | od -An -tx1"""
    said = asker.run(KAFKA, plain)
    if "00 00 00 01" in said:
        raise RuntimeError("kafka answers without TLS")
    until_logged(bank, "kafka", "SSL handshake failed", "Failed authentication")
    return address


def service_says(asker, service, image, environment, *words):
    """A program of ours, started with something wrong, says so in its log within half a minute."""
    name = f"{asker.project}-wrong-{service}"
    settings = [option for key, value in environment.items() for option in ("--env", f"{key}={value}")]
    asker.docker("rm", "--force", name, check=False)
    start = [
        *("run", "--detach", "--name", name, "--network", f"{asker.project}_bank", "--user", "0:0", *settings),
        *("--volume", f"{asker.project}_certificates:/certificates:ro", "--volume", f"{asker.wrong}:/wrong:ro"),
        *("--volume", f"{asker.project}_secrets:/secrets:ro", image),
    ]
    deadline = time.monotonic() + 30
    try:
        asker.docker(*start)
        while True:
            done = asker.docker("logs", name)
            said = done.stdout + done.stderr
            if any(word in said for word in words):
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"{service} with {environment} did not say any of {words}:\n{said}")
            time.sleep(0.2)
    finally:
        asker.docker("rm", "--force", name, check=False)


def check_programs(bank, asker, address):
    """Ours, on the wrong end of a handshake."""
    heartbeat = bank.inspect(bank.containers("heartbeat")[0])
    image = heartbeat["Config"]["Image"]
    own = "/certificates/heartbeat"
    good = {
        "BANK_KAFKA_BROKERS": "kafka:9092",
        "BANK_SCHEMA_REGISTRY_URL": "https://registry:8443/apis/ccompat/v7",
        "BANK_TLS_CA_FILE": f"{own}/authority.crt",
        "BANK_TLS_CERTIFICATE_FILE": f"{own}/service.crt",
        "BANK_TLS_KEY_FILE": f"{own}/service.key",
    }
    foreign = "/wrong/foreign/heartbeat"
    strange = {"BANK_TLS_CERTIFICATE_FILE": f"{foreign}/service.crt", "BANK_TLS_KEY_FILE": f"{foreign}/service.key"}
    refused = "kafka refuses us, or we refuse it"
    service_says(asker, "heartbeat", image, good | {"BANK_KAFKA_BROKERS": f"{address}:9092"}, refused)
    service_says(asker, "heartbeat", image, good | {"BANK_TLS_CA_FILE": f"{foreign}/authority.crt"}, refused)
    # With TLS 1.3 it is told when it has asked the first question, in the words of the library.
    service_says(asker, "heartbeat", image, good | strange, refused, "alert unknown ca", "alert certificate unknown")
    service_says(asker, "heartbeat", image, good | {"BANK_TLS_CA_FILE": "/nowhere"}, "BANK_TLS_CA_FILE", "tls-ca-file")
    registry = asker.run(POSTGRES, "getent hosts registry | cut -d' ' -f1").strip()
    wrong_registry = {"BANK_SCHEMA_REGISTRY_URL": f"https://{registry}:8443/apis/ccompat/v7"}
    service_says(asker, "heartbeat", image, good | wrong_registry, "certificate verify failed", "mismatch")
    handler = bank.inspect(bank.containers("command-handler")[0])
    postgres = asker.run(POSTGRES, "getent hosts postgres | cut -d' ' -f1").strip()
    environment = dict(line.split("=", 1) for line in handler["Config"]["Env"] if line.startswith("BANK_"))
    url = environment["BANK_DATABASE_URL"].replace("@postgres:", f"@{postgres}:")
    image = handler["Config"]["Image"]
    service_says(asker, "command-handler", image, environment | {"BANK_DATABASE_URL": url}, "certificate verify failed")
    wrong_authority = {"BANK_TLS_CA_FILE": f"{foreign}/authority.crt"}
    service_says(asker, "command-handler", image, environment | wrong_authority, "certificate verify failed", refused)


def check_postgres(asker):
    def psql(host, parameters):
        url = f"host={host} user=auditor dbname=command_handler {parameters}"
        return asker.run(POSTGRES, f'PGPASSWORD=$(cat /secrets/auditor/auditor.password) psql "{url}" -Atc "select ssl from pg_stat_ssl where pid = pg_backend_pid()"')

    trust = "sslmode=verify-full sslrootcert=/certificates/authority/authority.crt"
    expect("verify-full", psql("postgres", trust), "t\n")
    expect("no TLS", psql("postgres", "sslmode=disable"), "no encryption")
    address = asker.run(POSTGRES, "getent hosts postgres | cut -d' ' -f1").strip()
    expect("another name", psql(address, trust), "does not match host name")
    foreign = "sslmode=verify-full sslrootcert=/wrong/foreign/authority/authority.crt"
    expect("a foreign authority", psql("postgres", foreign), "certificate verify failed")


def check_registry(asker):
    said = asker.run(POSTGRES, f"timeout 10 openssl s_client -connect registry:8443 {TRUST} registry </dev/null 2>&1; true")
    expect("the registry", said, "Verify return code: 0 (ok)")
    said = asker.run(POSTGRES, f"timeout 10 openssl s_client -connect registry:8443 {TRUST} elsewhere </dev/null 2>&1; true")
    expect("another name", said, "hostname mismatch", "Hostname mismatch")
    said = asker.run(POSTGRES, "exec 3<>/dev/tcp/registry/8080 && echo listens; true")
    expect("without TLS", said, "refused")


# Who, does what, to which topic, and whether that is allowed. That the services may do what they must is what the rest
# of the journey shows; a record written here would be one too many in the topics.
PERMISSIONS = [
    ("graphql-endpoint", "write", "balance_changed", False),
    ("graphql-endpoint", "write", "money_transfer_feedback", False),
    ("graphql-endpoint", "read", "balance_changed", True),
    ("command-handler", "write", "confirm_money_transfer", False),
    ("command-handler", "read", "confirm_money_transfer", True),
    ("command-generator", "read", "balance_changed", False),
    ("heartbeat", "write", "confirm_money_transfer", False),
    ("heartbeat", "read", "confirm_money_transfer", False),
    ("auditor", "write", "balance_changed", False),
    ("auditor", "read", "confirm_money_transfer", True),
    ("synchronizer", "read", "confirm_money_transfer", False),
    ("synchronizer", "delete", "heartbeat", False),
    ("administrator", "describe", "heartbeat", True),
]
DENIED = ("TopicAuthorizationException", "Not authorized", "authorization failed")


def denials(bank, asker, service, topic):
    """As Kafka logs them; a tool that writes does not always say that it was refused."""
    done = asker.docker("logs", bank.containers("kafka")[0])
    pattern = rf"Principal = User:{service} is Denied operation = [A-Z]+ .*Topic:LITERAL:{topic} "
    return len(re.findall(pattern, done.stdout + done.stderr))


def check_permissions(bank, asker):
    tools = "/opt/kafka/bin"
    where = "--bootstrap-server kafka:9092"
    heap = "export KAFKA_HEAP_OPTS='-Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1' LOG_DIR=/tmp"
    commands = {
        "write": "echo nothing | timeout 20 {tools}/kafka-console-producer.sh {where} --command-config /tmp/client --topic {topic}",
        "read": "timeout 20 {tools}/kafka-console-consumer.sh {where} --command-config /tmp/client --topic {topic}"
        " --partition 0 --offset earliest --timeout-ms 4000",
        "delete": "timeout 20 {tools}/kafka-topics.sh {where} --command-config /tmp/client --delete --topic {topic}",
        "describe": "timeout 20 {tools}/kafka-topics.sh {where} --command-config /tmp/client --describe --topic {topic}",
    }
    for service, operation, topic, is_allowed in PERMISSIONS:
        properties = (
            "security.protocol=SSL\\nssl.keystore.type=PEM\\nssl.truststore.type=PEM\\n"
            f"ssl.keystore.location=/certificates/{service}/service.pem\\n"
            f"ssl.truststore.location=/certificates/{service}/authority.crt\\n"
            # Asks to write at once; else who may write nothing is refused before it names a topic.
            "max.block.ms=8000\\nenable.idempotence=false\\n"
        )
        command = commands[operation].format(tools=tools, where=where, topic=topic)
        before = denials(bank, asker, service, topic)
        said = asker.run(KAFKA, f"{heap}; printf '{properties}' >/tmp/client; {command} 2>&1; echo ended $?")
        is_denied = any(word in said for word in DENIED) or denials(bank, asker, service, topic) > before
        if is_denied == is_allowed:
            raise RuntimeError(f"{service} {operation} {topic}: expected {is_allowed}:\n{said}")
        if "ended" not in said or "SSL handshake failed" in said:
            raise RuntimeError(f"{service} {operation} {topic} could not be asked:\n{said}")


def check(bank, project, root, say):
    """Raises with what does not hold."""
    asker = Asker(project, root)
    try:
        asker.make_wrong_certificates()
        address = check_kafka_handshakes(bank, asker)
        say("kafka refuses who is nobody, of somebody else, over or too old")
        check_postgres(asker)
        check_registry(asker)
        say("postgres and the registry are reached by TLS alone, and by their names")
        check_programs(bank, asker, address)
        say("our programs refuse whom they did not mean, and say so")
        check_permissions(bank, asker)
        say(f"{len(PERMISSIONS)} permissions in kafka are as they must be")
    finally:
        asker.remove_wrong_certificates()
