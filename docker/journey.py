#!/usr/bin/env python3
"""The bank in containers, tried from outside: brings the unmodified compose file up, does what a customer does, scales,
kills, and lets the auditor judge. Needs Docker and the images (or what builds them), and nothing else.

    docker/journey.py [--cluster | --tls | --perf] [--keep]

Exit code 0: everything held. What it measured is printed as JSON at the end.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid

import rolling
import tls_check

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROJECT = "bank-journey"
# Longest wait for anything.
PATIENCE_SECONDS = 120
PASSWORD = "a password for the journey"
FIGURES = {}


def say(*words):
    print(f"{time.monotonic() - STARTED:6.1f} s ", *words, flush=True)


def compose_command():
    """Compose v2 where it is, else docker-compose."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    return ["docker-compose"]


class Bank:
    """The containers of one project."""

    def __init__(self, overlays, page_port, proxy_port):
        self.address = f"127.0.0.1:{proxy_port or page_port}"
        files = ["docker-compose.yml", *(f"docker-compose.{name}.yml" for name in overlays)]
        self.command = [*compose_command(), "--project-name", PROJECT]
        for file in files:
            self.command += ["--file", os.path.join(ROOT, file)]
        self.environment = os.environ | {
            "BANK_PAGE_ADDRESS": f"127.0.0.1:{page_port}",
            "BANK_PROXY_ADDRESS": f"127.0.0.1:{proxy_port}",
            "BANK_AUDIT_EVERY_SECONDS": "5",
        }

    def compose(self, *arguments, check=True):
        done = subprocess.run(
            [*self.command, *arguments], env=self.environment, cwd=ROOT, capture_output=True, text=True
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def measure(self):
        """A few seconds of every load, by the harness in a container of its own; it fails if anything is not right."""
        harness = ["--file", os.path.join(ROOT, "docker-compose.perf.yml")]
        self.compose(*harness, "run", "--rm", "perf", "--smoke", "--target=http://graphql-endpoint:8181")
        # Of a file that nothing else here knows, so that nothing else would remove it.
        subprocess.run(["docker", "volume", "rm", f"{PROJECT}_report"], check=True, capture_output=True)

    def containers(self, service=None):
        names = [service] if service else []
        return self.compose("ps", "--quiet", *names).split()

    def inspect(self, container):
        done = subprocess.run(["docker", "inspect", container], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)[0]

    def kill_process(self, container):
        """As a crash would: Docker does not know of it, and its restart policy is asked."""
        pid = self.inspect(container)["State"]["Pid"]
        os.kill(pid, signal.SIGKILL)

    def post(self, query, variables=None, token=None):
        request = urllib.request.Request(
            f"http://{self.address}/graphql",
            json.dumps({"query": query, "variables": variables or {}}).encode(),
            {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = json.load(answer)
        if body.get("errors"):
            raise RuntimeError(body["errors"])
        return body["data"]


def until(what, question, patience=PATIENCE_SECONDS):
    """Asks until the answer is true, and returns it."""
    deadline = time.monotonic() + patience
    last = None
    while time.monotonic() < deadline:
        try:
            if answer := question():
                return answer
        except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
            last = error
        time.sleep(0.1)
    raise TimeoutError(f"{what}: {last}")


OPEN = """mutation($input: OpenAccountInput!) { openAccount(input: $input) {
    __typename ... on SignedIn { user { account { iban } } } } }"""
LOG_IN = "mutation($input: LogInInput!) { logIn(input: $input) { sessionToken user { account { iban balance } } } }"
DEPOSIT = "mutation($input: DepositInput!) { deposit(input: $input) { __typename } }"
TRANSFER = "mutation($input: TransferInput!) { transfer(input: $input) { __typename } }"
ME = "{ me { account { iban balance } } }"


class Customer:
    """Opens an account and knows what must be on it."""

    def __init__(self, bank, name):
        self.bank, self.expected = bank, 0
        name = f"{name}-{uuid.uuid4().hex[:8]}"
        account = {"commandId": str(uuid.uuid4()), "userName": name, "password": PASSWORD, "bearer": True}
        until("an account", lambda: bank.post(OPEN, {"input": account}))
        credentials = {"userName": name, "password": PASSWORD, "bearer": True}
        signed_in = until(
            "a session with an account",
            lambda: (it := bank.post(LOG_IN, {"input": credentials})["logIn"])["user"]["account"] and it,
        )
        self.token, self.iban = signed_in["sessionToken"], signed_in["user"]["account"]["iban"]

    def pay(self, query, **payment):
        """Sends one command until there is an outcome: the same id gets the same answer, however often."""
        payment["commandId"] = str(uuid.uuid4())

        def confirmed():
            answer = self.bank.post(query, {"input": payment}, self.token)
            return next(iter(answer.values()))["__typename"] == "PaymentConfirmed"

        started = time.monotonic()
        until("a payment", confirmed)
        return time.monotonic() - started

    def deposit(self, cents):
        took = self.pay(DEPOSIT, amount=str(cents))
        self.expected += cents
        return took

    def transfer(self, other, cents):
        took = self.pay(TRANSFER, to=other.iban, amount=str(cents), description="journey")
        self.expected -= cents
        other.expected += cents
        return took

    def balance_is_right(self):
        return int(self.bank.post(ME, token=self.token)["me"]["account"]["balance"]) == self.expected


def processor_seconds(bank):
    """All containers together, as their control groups count it, by the process's own figures."""
    total = 0
    for container in bank.containers():
        stats = subprocess.run(
            ["docker", "inspect", "--format", "{{.State.Pid}}", container], capture_output=True, text=True
        ).stdout.strip()
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{stats}/cgroup") as lines:
                for line in lines:
                    number, controllers, path = line.strip().split(":", 2)
                    if "cpuacct" in controllers:
                        with open(f"/sys/fs/cgroup/cpuacct{path}/cpuacct.usage") as usage:
                            total += int(usage.read()) / 1e9
                    elif number == "0" and not controllers and os.path.exists(f"/sys/fs/cgroup{path}/cpu.stat"):
                        with open(f"/sys/fs/cgroup{path}/cpu.stat") as usage:
                            total += int(usage.readline().split()[1]) / 1e6
    return total


def verdict(bank):
    answer = bank.post("{ status { auditor { verdict cause checkedAt holding invariants } } }")
    return answer["status"]["auditor"]


def draw_page(bank):
    """In a browser, where there is one: the page is a program, and its file alone says nothing."""
    browser = next(filter(None, map(shutil.which, ["chromium", "google-chrome", "chromium-browser"])), None)
    if not browser:
        say("no browser here to draw the page")
        return

    def is_drawn():
        # Its patience is of a time of its own: on a busy machine it may look before the program is there.
        with tempfile.TemporaryDirectory() as profile:
            done = subprocess.run(
                [browser, *arguments, f"--user-data-dir={profile}"],
                capture_output=True,
                text=True,
                timeout=PATIENCE_SECONDS,
            )
        if 'id="demo-customer"' not in done.stdout:
            raise RuntimeError(f"the page draws nothing: {done.stdout[:2000]}")
        return True

    arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    arguments += ["--disable-background-networking", "--virtual-time-budget=10000"]
    arguments += ["--dump-dom", f"http://{bank.address}/"]
    until("the page in a browser", is_drawn)
    say("the page draws itself in a browser")


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def audited(bank):
    """Waits for a verdict about everything up to now. That something is away, so that nobody can look, is none."""
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())

    def judged():
        found = verdict(bank)
        is_new = found["checkedAt"] and found["checkedAt"] > since
        return is_new and found["verdict"] != "CANNOT_CHECK" and found

    it = until("an audit", judged)
    if it["verdict"] != "HOLDS":
        raise SystemExit(f"the auditor says {it}")
    say(f"the auditor: {it['holding']} of {it['invariants']} invariants hold")


def limits(bank):
    total = 0
    for container in bank.containers():
        limit = bank.inspect(container)["HostConfig"]["Memory"]
        if not limit:
            raise RuntimeError(f"{container} has no memory limit")
        total += limit
    return total // 2**20


def memory_used(bank):
    done = subprocess.run(
        ["docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *bank.containers()],
        capture_output=True,
        text=True,
        check=True,
    )
    return {line.split()[0].removeprefix(PROJECT)[1:]: line.split()[1] for line in done.stdout.splitlines()}


def is_well(bank, container, was_started):
    """Started anew, and healthy where somebody asks how it is."""
    state = bank.inspect(container)["State"]
    return state["StartedAt"] != was_started and state.get("Health", {}).get("Status", "healthy") == "healthy"


def journey(bank, is_cluster, is_encrypted, is_measured):
    started = time.monotonic()
    bank.compose("up", "--detach")
    until("the page", lambda: b"app.js" in urllib.request.urlopen(f"http://{bank.address}/", timeout=5).read())
    FIGURES["up_to_page_seconds"] = round(time.monotonic() - started, 1)
    until("the API", lambda: bank.post("{ bank { demoMode } }"))
    until("Kafka and all", lambda: bank.post("{ bank { companyIban } }"))
    say(f"the page is there {FIGURES['up_to_page_seconds']} s after up")
    draw_page(bank)
    ann, ben = Customer(bank, "ann"), Customer(bank, "ben")
    FIGURES["up_to_account_seconds"] = round(time.monotonic() - started, 1)
    FIGURES["memory_limits_mib"] = limits(bank)
    ann.deposit(100_00)
    FIGURES["transfer_seconds"] = [round(ann.transfer(ben, 1_00), 3) for _ in range(10)]
    until("both balances", lambda: ann.balance_is_right() and ben.balance_is_right())
    say("deposited and transferred")
    audited(bank)
    if is_encrypted:
        tls_check.check(bank, PROJECT, ROOT, say)

    if not is_cluster:
        # The bank with nothing to do, once it has settled.
        time.sleep(10)
        before, at = processor_seconds(bank), time.monotonic()
        time.sleep(30)
        idle = (processor_seconds(bank) - before) / (time.monotonic() - at)
        FIGURES["idle_percent_of_a_core"] = round(100 * idle, 1)
        FIGURES["memory_used"] = memory_used(bank)
        say(f"idle: {FIGURES['idle_percent_of_a_core']} % of a core")

        bank.compose("up", "--detach", "--no-recreate", "--scale", "command-handler=2")
        until("two handlers", lambda: len(bank.containers("command-handler")) == 2)
        for _ in range(20):
            ann.transfer(ben, 1)
        until("both balances", lambda: ann.balance_is_right() and ben.balance_is_right())
        say("two handlers")

    if is_measured:
        bank.measure()
        audited(bank)
        say("measured by the harness")

    if is_cluster:
        restart_in_turn(bank, [ann, ben, *(Customer(bank, f"customer{number}") for number in range(18))])

    victims = ["command-handler", "graphql-endpoint", "kafka", "postgres", "registry"]
    if is_cluster:
        victims += ["kafka-2", "kafka-3", "graphql-endpoint-2", "proxy", "heartbeat", "command-generator"]
    FIGURES["payment_through_the_loss_of_seconds"] = {}
    for service in victims:
        before = time.monotonic()
        container = bank.containers(service)[0]
        was_started = bank.inspect(container)["State"]["StartedAt"]
        bank.kill_process(container)
        for _ in range(3):
            ann.transfer(ben, 1)
        FIGURES["payment_through_the_loss_of_seconds"][service] = round(time.monotonic() - before, 1)
        until(f"{service} again", lambda: is_well(bank, container, was_started))
        # One at a time: a broker that is back has first to catch up.
        until("payments as fast as before", lambda: ann.transfer(ben, 1) < 1)
        until("both balances", lambda: ann.balance_is_right() and ben.balance_is_right())
        say(f"killed {service}; paid {FIGURES['payment_through_the_loss_of_seconds'][service]} s later")
    audited(bank)

    started = time.monotonic()
    bank.compose("stop")
    FIGURES["stop_seconds"] = round(time.monotonic() - started, 1)
    killed = []
    for container in bank.compose("ps", "--quiet", "--all", check=False).split() or bank.containers():
        state = bank.inspect(container)["State"]
        if state["OOMKilled"]:
            raise RuntimeError(f"{container} had too little memory")
        is_broker = bank.inspect(container)["Config"]["Image"] == rolling.KAFKA
        if is_cluster and is_broker and state["ExitCode"] == 137:
            killed.append(container)
        elif state["ExitCode"] not in (0, 143):
            raise RuntimeError(f"{container} stopped with {state['ExitCode']}")
    # The last broker of three has nobody left to hand its work to, waits, and is killed at the end of its time.
    if len(killed) > 1:
        raise RuntimeError(f"brokers that were killed: {killed}")
    with tempfile.TemporaryDirectory() as folder:
        save_and_restore(bank, folder)
    until("both balances after a restore", lambda: ann.balance_is_right() and ben.balance_is_right())
    ann.transfer(ben, 1)
    audited(bank)
    say("stopped, saved, removed, restored and started; nothing is lost")


def restart_in_turn(bank, customers):
    for customer in customers:
        customer.deposit(100_00)
    figures, slow = rolling.restart_all(bank, PROJECT, customers, TRANSFER, (until, say))
    FIGURES["rolling_restart"] = figures
    until("all balances", lambda: all(customer.balance_is_right() for customer in customers))
    audited(bank)
    if slow:
        raise RuntimeError(f"{len(slow)} payments took more than {rolling.WAIT_SECONDS_MAX} s: {sorted(slow)[-5:]}")
    say(f"restarted everything in turn, while {figures['payments']} payments went through")


def save_and_restore(bank, folder):
    """As docs/operations.md tells."""
    environment = bank.environment | {"COMPOSE_PROJECT_NAME": PROJECT}
    volumes = os.path.join(ROOT, "docker/volumes.sh")
    subprocess.run([volumes, "save", folder], env=environment, check=True, stdout=subprocess.DEVNULL)
    bank.compose("down", "--volumes")
    subprocess.run([volumes, "restore", folder], env=environment, check=True, stdout=subprocess.DEVNULL)
    bank.compose("up", "--detach")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    overlays = parser.add_mutually_exclusive_group()
    overlays.add_argument("--cluster", action="store_true", help="with docker-compose.cluster.yml")
    overlays.add_argument("--tls", action="store_true", help="with docker-compose.tls.yml, and what it must refuse")
    overlays.add_argument("--perf", action="store_true", help="with docker-compose.perf.yml, a minute of load")
    parser.add_argument("--keep", action="store_true", help="leave it running at the end")
    options = parser.parse_args()
    if not shutil.which("docker"):
        sys.exit("Docker is missing")
    names = [name for name in ("cluster", "tls") if getattr(options, name)]
    bank = Bank(names, free_port(), free_port() if options.cluster else 0)
    bank.compose("down", "--volumes", "--remove-orphans")
    try:
        journey(bank, options.cluster, options.tls, options.perf)
    except BaseException:
        print(bank.compose("ps", check=False))
        print(bank.compose("logs", "--tail=40", "--no-color", check=False))
        raise
    finally:
        print(json.dumps(FIGURES, indent=2))
        if not options.keep:
            bank.compose("down", "--volumes", "--remove-orphans", "--timeout", "15")


STARTED = time.monotonic()
if __name__ == "__main__":
    main()
