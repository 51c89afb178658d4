#!/usr/bin/env python3
"""What must hold of the compose files and the scripts beside them, without an engine: every overlay is accepted by
docker-compose 1.29 or Compose v2, and every container is small, pinned and shut in. Needs docker-compose with PyYAML,
and shellcheck."""

import glob
import itertools
import json
import os
import re
import shutil
import subprocess
import sys

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BASE = "docker-compose.yml"
TLS = "docker-compose.tls.yml"
# All containers of the bank together, those that end included.
MEMORY_MIB_MAX = 1228
# End by themselves.
ONE_SHOTS = {"secrets", "synchronizer", "certificates", "permissions", "perf"}
# Have no program in their image that could ask.
NOT_ASKED = {"postgres-exporter", "proxy"}
# Must write where their image says.
MAY_WRITE = {"kafka", "kafka-2", "kafka-3", "registry", "grafana", "kafka-ui"}

faults = []


def check(holds, words):
    if not holds:
        faults.append(words)


def config(files):
    compose = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    arguments = itertools.chain.from_iterable(("--file", file) for file in files)
    # What a developer has in .env must not decide.
    done = subprocess.run(
        [*compose, "--env-file", ".env.example", *arguments, "config"], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        check(False, f"{files}: {done.stderr.strip()}")
        return {}
    return yaml.safe_load(done.stdout)


def mebibytes(limit):
    text = str(limit)
    units = {"k": 1 / 1024, "m": 1, "g": 1024}
    return float(text[:-1]) * units[text[-1]] if text[-1] in units else int(text) / 2**20


def check_services(files):
    services = config(files).get("services", {})
    for name, service in services.items():
        where = f"{files[-1]}: {name}"
        tag = service["image"].rpartition(":")[2]
        check(tag and tag != "latest" and "/" not in tag, f"{where}: no version in {service['image']}")
        check("mem_limit" in service, f"{where}: no memory limit")
        check(service.get("cap_drop") == ["ALL"], f"{where}: has capabilities")
        check("no-new-privileges:true" in service.get("security_opt", []), f"{where}: may get privileges")
        check(service.get("logging", {}).get("options", {}).get("max-size"), f"{where}: its log may grow")
        check(service.get("pids_limit"), f"{where}: any number of processes")
        check(service.get("restart"), f"{where}: nobody starts it again")
        check(not service.get("privileged"), f"{where}: privileged")
        check("container_name" not in service, f"{where}: there can be only one on a machine")
        check(name in MAY_WRITE or service.get("read_only"), f"{where}: writes to its image")
        check(name in ONE_SHOTS | NOT_ASKED or "healthcheck" in service, f"{where}: nobody asks how it is")
        for port in service.get("ports", []):
            address = port.get("host_ip") if isinstance(port, dict) else port.split(":")[0]
            check(address == "127.0.0.1", f"{where}: published to others: {port}")
        if files == [BASE, TLS]:
            check_is_encrypted(where, service)
        for key, value in (service.get("environment") or {}).items():
            is_secret = re.search("PASS(WORD)?$|TOKEN$|SECRET$|_KEY$", key)
            check(not (is_secret and value), f"{where}: {key} in its environment")
    return services


def check_is_encrypted(where, service):
    """Everybody who connects does it by TLS; programs of ours are built for it and have a certificate."""
    environment = service.get("environment") or {}
    if "BANK_KAFKA_BROKERS" in environment:
        check(service["image"].endswith("-tls"), f"{where}: built without TLS")
        check("topology/tls" in service["build"]["args"].get("FEATURES", ""), f"{where}: built without TLS")
        check("BANK_TLS_KEY_FILE" in environment, f"{where}: has no certificate")
        check(environment["BANK_SCHEMA_REGISTRY_URL"].startswith("https://"), f"{where}: registry without TLS")
    for key, value in environment.items():
        check("PLAINTEXT" not in str(value), f"{where}: {key} has a listener without TLS")
        check("jdbc:" not in str(value) or "sslmode=verify-full" in value, f"{where}: {key} without TLS")


def check_variables(files):
    """.env.example has each variable with the default it has in the compose files."""
    used = {}
    for file in files:
        with open(os.path.join(ROOT, file)) as text:
            for name, default in re.findall(r"\$\{([A-Z0-9_]+)(?::-([^}]*))?\}", text.read()):
                check(used.setdefault(name, default) == default, f"{file}: {name} has two defaults")
    with open(os.path.join(ROOT, ".env.example")) as text:
        told = dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", text.read(), re.MULTILINE))
    check(used == told, f".env.example: {sorted(set(used.items()) ^ set(told.items()))}")


def main():
    overlays = sorted(os.path.basename(it) for it in glob.glob(os.path.join(ROOT, "docker-compose.*.yml")))
    services = check_services([BASE])
    total = sum(mebibytes(service["mem_limit"]) for service in services.values())
    check(total <= MEMORY_MIB_MAX, f"{BASE}: {total} MiB")
    for overlay in overlays:
        check_services([BASE, overlay])
    check_services([BASE, *overlays])
    check_variables([BASE, *overlays])
    for file in glob.glob(os.path.join(ROOT, "docker/observability/dashboards/*.json")):
        with open(file) as text:
            json.load(text)
    scripts = glob.glob(os.path.join(ROOT, "docker/**/*.sh"), recursive=True)
    scripts += [os.path.join(ROOT, "docker/stand-ins/kafka", name) for name in ("run", "tool")]
    lint = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True)
    check(lint.returncode == 0, lint.stdout)
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(overlays)} overlays, {len(services)} containers, {total:.0f} MiB together, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
