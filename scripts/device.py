"""A device in a hundred lines of plain Python, for scripts that test a gateway and may need nothing but Python.

`talaria-sim devices` is the one for load; this one connects, sends events and counts what comes back.
"""
import base64
import os
import socket
import struct


class Device:
    """A connected device. `name` is its id, such as mac:112233445566."""

    def __init__(self, host, port, name, timeout=5.0):
        self.name = name
        self.socket = socket.create_connection((host, port), timeout)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /api/v2/device HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nX-Webpa-Device-Name: {name}\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = self.socket.recv(4096)
            if not part:
                break
            answer += part
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise ConnectionError(f"the gateway answered {answer.splitlines()[:1]}")

    def send_event(self, event_type, qos, payload=b"x" * 200, transaction=None):
        """Sends an event of a level, 0 to 99, with an id, so that one above 24 is acknowledged."""
        self.send_frame(2, wrp_event(self.name, event_type, qos, payload, transaction))

    def send_frame(self, opcode, data):
        """One frame as a client must send it (RFC 6455 §5.2): final, masked, with a mask of zeros."""
        head = bytes([0x80 | opcode])
        if len(data) < 126:
            head += bytes([0x80 | len(data)])
        else:
            head += bytes([0x80 | 126]) + struct.pack(">H", len(data))
        self.socket.sendall(head + bytes(4) + data)

    def discard_received(self):
        """Reads away what has come, so that acknowledgements do not pile up."""
        self.socket.setblocking(False)
        try:
            while self.socket.recv(65536):
                pass
        except BlockingIOError:
            pass
        finally:
            self.socket.settimeout(5.0)

    def close(self):
        """Ends the connection without a close frame, as a device that loses its network does."""
        self.socket.close()


def wrp_event(source, event_type, qos, payload, transaction=None):
    """A WRP message of type 4 (simple event) in msgpack."""
    return b"\x86" + b"".join([
        text("msg_type"), b"\x04",
        text("source"), text(source),
        text("dest"), text(f"event:{event_type}"),
        text("transaction_uuid"), text(transaction or os.urandom(8).hex()),
        text("qos"), bytes([qos]),
        text("payload"), b"\xc5" + struct.pack(">H", len(payload)) + payload,
    ])


def text(value):
    data = value.encode()
    return b"\xd9" + bytes([len(data)]) + data
