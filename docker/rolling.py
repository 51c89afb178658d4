"""A rolling restart under load, for docker/journey.py --cluster: every container is stopped and started in turn, as an
upgrade does it, while a hundred transfers a second go on. Nothing may be lost and nobody may wait long."""

import http.client
import json
import subprocess
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

TRANSFERS_PER_SECOND = 100
# Longest from the first sending of a payment to its outcome, all repetitions of a client included.
WAIT_SECONDS_MAX = 5
# Payments under way at once: as many as wait when nobody answers for that long, and more.
PAYMENTS_MAX = 600
# Between two attempts of one client: longer each time, or those who wait are a load of their own.
PAUSE_SECONDS = 0.05
PAUSE_SECONDS_MAX = 1
KAFKA = "apache/kafka:4.3.1"
# Brokers last: they take longest. Those that end by themselves, and make nothing at a restart, are left out.
ORDER = [
    *("command-handler", "graphql-endpoint", "graphql-endpoint-2", "command-generator", "heartbeat", "auditor"),
    *("proxy", "registry", "postgres", "kafka", "kafka-2", "kafka-3"),
]


class Load:
    """Pays a cent a hundred times a second, in turn from each customer to the next, and knows what must come of it."""

    def __init__(self, bank, customers, query):
        self.bank, self.customers, self.query = bank, customers, query
        self.lock, self.local = threading.Lock(), threading.local()
        self.waits, self.requests, self.failures = [], [], []
        self.stopping = threading.Event()
        self.phase = "before"

    def request(self, body, token):
        """One request and how long it took; a connection is used again as browsers do."""
        connection = getattr(self.local, "connection", None)
        if connection is None:
            connection = self.local.connection = http.client.HTTPConnection(self.bank.address, timeout=30)
        started = time.monotonic()
        try:
            headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
            connection.request("POST", "/graphql", body, headers)
            answer = connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            self.local.connection = None
            connection.close()
            raise
        finally:
            took = time.monotonic() - started
            with self.lock:
                self.requests.append((took, self.phase))
        return json.loads(answer)

    def pay(self, number, due):
        payer = self.customers[number % len(self.customers)]
        payee = self.customers[(number + 1) % len(self.customers)]
        payment = {"commandId": str(uuid.uuid4()), "to": payee.iban, "amount": "1", "description": "rolling"}
        body = json.dumps({"query": self.query, "variables": {"input": payment}}).encode()
        phase, last, pause = self.phase, None, PAUSE_SECONDS
        while True:
            try:
                last = self.request(body, payer.token)
                if last["data"]["transfer"]["__typename"] == "PaymentConfirmed":
                    break
            except (OSError, http.client.HTTPException, KeyError, TypeError, ValueError) as error:
                last = f"{error!r} {last}"
            if time.monotonic() - due > 120:
                with self.lock:
                    self.failures.append(str(last)[:300])
                return
            time.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)
        with self.lock:
            self.waits.append((time.monotonic() - due, phase))
            payer.expected -= 1
            payee.expected += 1

    def run(self):
        with ThreadPoolExecutor(PAYMENTS_MAX) as pool:
            started, number = time.monotonic(), 0
            while not self.stopping.is_set():
                due = started + number / TRANSFERS_PER_SECOND
                if (ahead := due - time.monotonic()) > 0:
                    time.sleep(ahead)
                pool.submit(self.pay, number, due)
                number += 1

    def longest(self, of, phase):
        return round(max((took for took, when in of if when == phase), default=0), 2)


def is_ready(bank, container, was_started):
    """Started anew and, asked at once what the engine asks it only now and then, well."""
    found = bank.inspect(container)
    if found["State"]["StartedAt"] == was_started or not found["State"]["Running"]:
        return False
    question = (found["Config"].get("Healthcheck") or {}).get("Test") or ["NONE"]
    if question[0] != "CMD":
        return True
    return subprocess.run(["docker", "exec", container, *question[1:]], capture_output=True).returncode == 0


def under_replicated(project):
    """Partitions that lack a copy: while there are any, no further broker may be stopped."""
    done = subprocess.run(
        [
            *("docker", "run", "--rm", "--network", f"{project}_bank", "--env", "KAFKA_HEAP_OPTS=-Xmx64m", KAFKA),
            *("/opt/kafka/bin/kafka-topics.sh", "--bootstrap-server", "kafka:9092,kafka-2:9092,kafka-3:9092"),
            *("--describe", "--under-replicated-partitions"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def restart_all(bank, project, customers, query, tools):
    """`tools` are `until` and `say` of the journey."""
    until, say = tools
    load = Load(bank, customers, query)
    thread = threading.Thread(target=load.run)
    thread.start()
    figures = {}
    try:
        time.sleep(5)
        for service in ORDER:
            for number, container in enumerate(bank.containers(service), start=1):
                load.phase = service if number == 1 else f"{service} {number}"
                was_started = bank.inspect(container)["State"]["StartedAt"]
                began = time.monotonic()
                # With the time to stop that its image or the compose file gives it.
                subprocess.run(["docker", "restart", "--time", "30", container], check=True, capture_output=True)
                until(f"{service} again", lambda: is_ready(bank, container, was_started))
                if service.startswith("kafka"):
                    until("all copies", lambda: not under_replicated(project))
                # What this one did to others shows before the next.
                time.sleep(2)
                figures[load.phase] = {
                    "took_seconds": round(time.monotonic() - began, 1),
                    "longest_payment_seconds": load.longest(load.waits, load.phase),
                    "longest_request_seconds": load.longest(load.requests, load.phase),
                }
                say(f"restarted {load.phase}: {figures[load.phase]}")
    finally:
        load.stopping.set()
        thread.join()
    for phase, figure in figures.items():
        figure["longest_payment_seconds"] = load.longest(load.waits, phase)
        figure["longest_request_seconds"] = load.longest(load.requests, phase)
    figures["payments"] = len(load.waits)
    figures["before"] = {"longest_payment_seconds": load.longest(load.waits, "before")}
    if load.failures:
        raise RuntimeError(f"{len(load.failures)} payments without an outcome: {load.failures[:3]}")
    slow = [(took, phase) for took, phase in load.waits if took > WAIT_SECONDS_MAX]
    return figures, slow
