"""The echo that the gateway does not give, made from what it does give.

A case of the suite sends a message and expects the same message back. The gateway is no echo server: a binary message
has to be WRP, and an event leaves by HTTP. So the beginning of each of a case's messages is replaced by that of a WRP
event, whose payload is the rest of the message. The gateway posts the event to `Receiver`, and what arrives there, with
the replaced beginning put back, is handed to the case as its echo. Frames, fragments and their lengths stay as the case
made them; only a message whose first frame is shorter than `HEAD` bytes becomes longer by that many.
"""

import hashlib
import json
import struct

import umsgpack
from autobahn.websocket.protocol import WebSocketProtocol
from twisted.web.resource import Resource


def head(device, number, payload):
    """The WRP event of `device` up to its payload, which has so many bytes."""
    def text(value):
        return chr(0xA0 | len(value)) + value

    destination = 'event:autobahn/%05d' % number
    return (
        '\x84' + text('msg_type') + '\x04' + text('source') + text(device) + text('dest') + text(destination)
        + text('payload') + '\xc6' + struct.pack('>I', payload)
    )


HEAD = len(head('mac:000000000000', 0, 0))


class Recorder(object):
    """Stands in for the connection of a case, and notes how long the messages are that the case would send."""

    state = WebSocketProtocol.STATE_OPEN

    def __init__(self):
        self.lengths = []
        self.is_open = False

    def sendFrame(self, opcode, payload='', fin=True, payload_len=None, **_):
        length = len(payload) if payload_len is None else payload_len
        if opcode in (1, 2):
            self.lengths.append(length)
        elif opcode == 0 and self.is_open:
            self.lengths[-1] += length
        if opcode in (0, 1, 2):
            self.is_open = not fin

    def sendMessage(self, payload, *_, **__):
        self.lengths.append(len(payload))

    def continueLater(self, _delay, action, _tag=None):
        action()

    def __getattr__(self, name):
        if name.startswith('CLOSE_STATUS_CODE_'):
            return getattr(WebSocketProtocol, name)
        return lambda *_, **__: None


class Message(object):
    """One message of a case: what is needed to recognise its echo."""

    def __init__(self, payload, kept, is_text):
        self.kept = kept  # the bytes that were replaced
        self.is_text = is_text
        self.digest = hashlib.sha1(payload)


class Messages(object):
    """The messages of one case: what replaces their beginning, and which came back."""

    def __init__(self, device, lengths):
        self.device = device
        self.lengths = list(lengths)
        self.sent = []
        self.is_open = False
        self.arrived = {}  # the payloads of events, by number
        self.delivered = 0
        self.corrupted = 0

    def begin(self, payload, fin, is_text):
        """The first frame's payload of the next message, as it is sent instead of `payload`."""
        number = len(self.sent)
        # A case that sends a message only after another has come back sends it in one frame.
        length = self.lengths[number] if number < len(self.lengths) else len(payload)
        kept = payload[:HEAD] if len(payload) >= HEAD else ''
        self.sent.append(Message(payload, kept, is_text))
        self.is_open = not fin
        return head(self.device, number, length - len(kept)) + payload[len(kept):]

    def go_on(self, payload, fin):
        """A further frame of the message, if it is one."""
        if self.is_open:
            self.sent[-1].digest.update(payload)
            self.is_open = not fin

    def echoes(self, number, payload):
        """An event has arrived; returns the echoes that are due, since events may overtake each other."""
        self.arrived[number] = payload
        due = []
        while self.delivered in self.arrived:
            message = self.sent[self.delivered]
            echo = message.kept + self.arrived.pop(self.delivered)
            # The cases with long messages look at the length only.
            self.corrupted += hashlib.sha1(echo).digest() != message.digest.digest()
            self.delivered += 1
            due.append((echo, not message.is_text))
        return due


class Receiver(Resource):
    """The gateway's event endpoint. Tells `on_event(source, number, payload)` and `on_offline(device, statistics)`."""

    isLeaf = True

    def __init__(self, on_event, on_offline):
        Resource.__init__(self)
        self.on_event = on_event
        self.on_offline = on_offline

    def render_POST(self, request):
        message = umsgpack.unpackb(request.content.read())
        kind = message['dest'].split('/')
        if kind[0] == 'event:autobahn':
            # An empty payload is left out.
            self.on_event(message['source'], int(kind[1]), message.get('payload', ''))
        elif kind[-1] == 'offline':
            self.on_offline(kind[1], json.loads(message['payload']))
        request.setResponseCode(202)
        return ''
