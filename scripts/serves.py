"""Checks from outside that a gateway serves: probes, the API, and an event on its way from a device to a receiver.

usage: serves.py PRIMARY HEALTH RECEIVER [USER:PASSWORD]

The arguments are ports of 127.0.0.1. This program is the receiver, so the gateway must be configured to send its events to
http://127.0.0.1:RECEIVER/. With USER:PASSWORD the API must reject requests without it.
"""
import base64
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from device import Device

received = []


class Receiver(BaseHTTPRequestHandler):
    """Accepts every event and keeps it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        received.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main(primary, health, receiver, credentials=None):
    server = ThreadingHTTPServer(("127.0.0.1", int(receiver)), Receiver)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()

    for probe in ("live", "ready"):
        url = f"http://127.0.0.1:{health}/{probe}"
        until(lambda url=url: status(url) == 200, f"{url} does not answer 200")
    device = Device("127.0.0.1", int(primary), "mac:112233445566")
    until(lambda: any(b"/online" in event for event in received), "the receiver got no online event")
    device.send_event("serves", 80, b"sent by a device")
    until(lambda: any(b"sent by a device" in event for event in received), "the receiver did not get the device's event")

    api = f"http://127.0.0.1:{primary}/api/v2/devices"
    if credentials:
        refused = status(api)
        if refused not in (401, 403):
            sys.exit(f"serves: {api} without a password answers {refused}")
    answer = request(api, credentials)
    if b"mac:112233445566" not in answer:
        sys.exit(f"serves: {api} does not list the device: {answer[:200]}")
    device.close()
    until(lambda: any(b"/offline" in event for event in received), "the receiver got no offline event")
    print("serves: /live, /ready, the API, and the online, device and offline events")


def until(holds, otherwise):
    """Waits half a minute at most."""
    deadline = time.monotonic() + 30
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"serves: {otherwise}")
        time.sleep(0.05)


def status(url):
    try:
        return urllib.request.urlopen(url, timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def request(url, credentials):
    headers = {}
    if credentials:
        headers["Authorization"] = "Basic " + base64.b64encode(credentials.encode()).decode()
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5).read()


if __name__ == "__main__":
    main(*sys.argv[1:])
