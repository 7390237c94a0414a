"""Runs a gateway with faults and one without, and writes what their metrics did as a test for promtool.

usage: run.py GATEWAY RULES FOLDER

FOLDER gets the last scrape of each gateway, their logs, and run.test.yaml: the samples of the run, presented as one a minute,
and the alerts that must fire then. The faults: no Kafka, a receiver that does not listen, no key server, no Consul, a
configuration with a fault, connections beyond a limit, devices that leave at once, and at the end a gateway that was killed.
"""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import promql  # noqa: E402
from device import Device  # noqa: E402

STEPS, DOWN_STEPS, STEP = 20, 4, 0.4
FAULTY = """
server: faulty
primary: {{ address: "127.0.0.1:{primary}" }}
health: {{ address: "127.0.0.1:{health}", maxConnections: 1 }}
metric: {{ address: "127.0.0.1:{metric}" }}
control: {{ address: "127.0.0.1:{control}" }}
device:
  outbound:
    source: dns:faulty.example.com
    allowedSchemes: [http, https]
    eventEndpoints: {{ default: "http://127.0.0.1:{nothing}/events" }}
    outboundQueueSize: 20
    requestTimeout: 1s
jwtValidator:
  Config: {{ Refresh: {{ Sources: [{{ uri: "http://127.0.0.1:{nothing}/keys", interval: 300ms, minInterval: 300ms }}] }} }}
service:
  disableFilter: true
  consul: {{ client: {{ address: "127.0.0.1:{nothing}" }}, watches: [{{ service: talaria }}] }}
kafka: {{ enabled: true, brokers: ["127.0.0.1:{nothing}"], maxBufferedRecords: 20, maxWaitingRecords: 50 }}
"""
WELL = """
server: well
primary: {{ address: "127.0.0.1:{primary}" }}
health: {{ address: "127.0.0.1:{health}" }}
metric: {{ address: "127.0.0.1:{metric}" }}
control: {{ address: "127.0.0.1:{control}" }}
device:
  outbound:
    source: dns:well.example.com
    allowedSchemes: [http, https]
    eventEndpoints: {{ default: "http://127.0.0.1:{receiver}/events" }}
"""
# What must fire for the faulty gateway while it runs; nothing else may. TalariaDown comes when it was killed.
FIRING = [
    "TalariaAcksUnsent", "TalariaConfigReloadFailed", "TalariaConnectionsRejected", "TalariaDevicesDropped",
    "TalariaEventsLost", "TalariaEventsNotDelivered", "TalariaEventsShed", "TalariaKafkaBacklogNearFull",
    "TalariaKafkaNotReached", "TalariaKeysNotRefreshed", "TalariaReceiverDown",
]
# What depends on how long the run takes: pauses between two attempts to reach Consul, and the age of records.
BY_TIME = ["TalariaDiscoveryErrors", "TalariaKafkaRecordsOld"]


class Gateway:
    """A gateway as a process, with the samples of its metrics: `None` where it did not answer."""

    def __init__(self, binary, folder, name, config, **ports):
        self.name, self.folder, self.samples, self.devices = name, folder, [], []
        self.ports = {key: free_port() for key in ("primary", "health", "metric", "control")} | ports
        self.config = os.path.join(folder, f"{name}.yaml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(config.format(**self.ports))
        self.log = open(os.path.join(folder, f"{name}.log"), "w", encoding="utf-8")
        self.process = subprocess.Popen([binary, "-f", self.config], stdout=self.log, stderr=self.log)

    def scrape(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['metric']}/metrics", timeout=2) as answer:
                text = answer.read().decode()
        except OSError:
            self.samples.append(None)
            return False
        with open(os.path.join(self.folder, f"{self.name}.metrics"), "w", encoding="utf-8") as file:
            file.write(text)
        self.samples.append(dict(re.findall(r"^([^#\s]\S*(?: [^{}]*\})?.*) (\S+)$", text, re.M)))
        return True

    def connect(self, count, first=0):
        new = [Device("127.0.0.1", self.ports["primary"], f"mac:{first + n:012x}") for n in range(count)]
        self.devices += new
        return new

    def series(self, wanted):
        """The series of the run, as promtool's tests write them; a scrape that failed ends them."""
        job = f"talaria-{self.name}"
        keys = sorted({key for sample in self.samples if sample for key in sample if key.split("{")[0] in wanted})
        yield f'up{{job="{job}", instance="{self.name}"}}', " ".join("0" if s is None else "1" for s in self.samples)
        for key in keys:
            metric, _, labels = key.partition("{")
            labels = labels.rstrip("}")
            values = ["stale" if sample is None else sample.get(key, "_") for sample in self.samples]
            yield f'{metric}{{job="{job}", instance="{self.name}"{", " + labels if labels else ""}}}', " ".join(values)


def main(binary, rules, folder):
    wanted = set()
    for rule in promql.rules(rules):
        wanted |= promql.uses(rule.expr)[0].keys()
    receiver = Receiver()
    faulty = Gateway(binary, folder, "faulty", FAULTY, nothing=free_port())
    well = Gateway(binary, folder, "well", WELL, receiver=receiver.port)
    try:
        live(faulty, well)
    finally:
        for gateway in (faulty, well):
            gateway.process.kill()
            gateway.process.wait()
    with open(os.path.join(folder, "run.test.yaml"), "w", encoding="utf-8") as file:
        json.dump(test(rules, faulty, well, wanted), file, indent=1)


def live(faulty, well):
    """The run: what happens to both gateways, step by step."""
    for gateway in (faulty, well):
        wait_for(gateway)
        gateway.connect(110 if gateway is faulty else 10)
    idle = []
    for step in range(STEPS):
        started = time.monotonic()
        if step == 3:
            with open(faulty.config, "w", encoding="utf-8") as file:
                file.write("primary: { address: 7 }\n")
            faulty.process.send_signal(signal.SIGHUP)
        if step == 8:
            while len(faulty.devices) > 5:
                faulty.devices.pop().close()
        for gateway in (faulty, well):
            for device in gateway.devices[:5]:
                for qos in (10, 30, 60, 80):
                    device.send_event("run", qos)
                device.discard_received()
        for device in faulty.connect(2, 100_000 + 100 * step):
            for _ in range(10):
                device.send_event("run", 80)
            faulty.devices.remove(device)
            device.close()
        idle += [socket.create_connection(("127.0.0.1", faulty.ports["health"])) for _ in range(2)]
        time.sleep(max(0.0, STEP - (time.monotonic() - started)))
        for gateway in (faulty, well):
            if not gateway.scrape():
                sys.exit(f"the gateway {gateway.name} does not answer any more: {gateway.log.name}")
    faulty.process.kill()
    for _ in range(DOWN_STEPS):
        faulty.scrape()
        well.scrape()


def test(rules, faulty, well, wanted):
    """The test: at the end of the faults exactly FIRING, then TalariaDown, and never an alert on the gateway without."""
    series = [{"series": key, "values": values} for gateway in (faulty, well) for key, values in gateway.series(wanted)]

    def expect(expression, minute, alerts):
        samples = [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in alerts]
        return {"expr": f"count by (alertname) ({expression}) > bool 0", "eval_time": f"{minute}m", "exp_samples": samples}

    of_faulty = f'ALERTS{{job="talaria-faulty", alertstate="firing", alertname!~"{"|".join(BY_TIME)}"}}'
    discovery = 'max_over_time(ALERTS{job="talaria-faulty", alertname="TalariaDiscoveryErrors"}[30m])'
    checks = [
        expect(of_faulty, STEPS - 1, FIRING),
        expect(discovery, STEPS - 1, ["TalariaDiscoveryErrors"]),  # it was pending at least
        expect(of_faulty + ' == 1 and ALERTS{alertname="TalariaDown"}', STEPS + DOWN_STEPS - 1, ["TalariaDown"]),
    ]
    checks += [expect('ALERTS{job="talaria-well"}', minute, []) for minute in range(STEPS + DOWN_STEPS)]
    return {
        "rule_files": [os.path.abspath(rules)],
        "evaluation_interval": "1m",
        "tests": [{"name": "run", "interval": "1m", "input_series": series, "promql_expr_test": checks}],
    }


class Receiver:
    """A receiver of events that accepts them all."""

    def __init__(self):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def wait_for(gateway):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if gateway.process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", gateway.ports["primary"])).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"the gateway {gateway.name} did not start: {open(gateway.log.name, encoding='utf-8').read()}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main(*sys.argv[1:])
