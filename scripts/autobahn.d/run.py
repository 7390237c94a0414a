"""Runs the cases of the Autobahn|Testsuite against a gateway, one after the other. Python 2.7, as the suite is.

Start here: `Run` is one case on one connection, `Suite` all of them. echo.py makes the echoes, judge.py judges. The
frames go from the suite to the gateway as they are, with no proxy between.
"""

import argparse
import os
import shutil
import site
import socket
import subprocess
import sys
import time

parser = argparse.ArgumentParser()
for option in ('packages', 'gateway', 'cases', 'results'):
    parser.add_argument('--' + option, required=True)
options = parser.parse_args()
site.addsitedir(os.path.abspath(options.packages))

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol, connectWS
from autobahntestsuite.case import CaseBasename, CaseCategories, Cases, CaseSetname, CaseSubCategories
from autobahntestsuite.caseset import CaseSet
from autobahntestsuite.fuzzing import FuzzingClientProtocol, FuzzingFactory, FuzzingProtocol
from twisted.internet import reactor
from twisted.web.server import Site

import judge
from echo import Messages, Receiver, Recorder

# Seconds that a machine may be slower than the suite thinks.
PATIENCE = 20
# Seconds without an echo after which a text message counts as skipped.
SILENCE = 0.2


class Run(object):
    """One case on one connection."""

    def __init__(self, suite, number, case_id):
        self.suite = suite
        self.case_id = case_id
        self.case_class = suite.case_set.CasesById[case_id]
        self.device = 'mac:%012x' % number
        self.protocol = self.case = self.statistics = self.deadline = None
        self.lengths = []
        expects_failure = False
        if not case_id.startswith(('12.', '13.')):
            recorder = Recorder()
            rehearsal = self.case_class(recorder)
            rehearsal.onOpen()
            self.lengths = recorder.lengths
            expects_failure = not rehearsal.expectedClose['closedByMe']
        self.mode, self.reason = judge.mode(case_id, expects_failure)
        self.messages = Messages(self.device, self.lengths)

    def start(self):
        factory = ClientFactory('ws://127.0.0.1:%d/api/v2/device' % self.suite.port, headers={'X-Webpa-Device-Name': self.device})
        factory.run = self
        factory.CaseSet = self.suite.case_set
        factory.specExcludeAgentCases = []
        factory.logCase = self.suite.reports.logCase
        factory.logOctets = factory.logFrames = True
        factory.setProtocolOptions(
            failByDrop=False, openHandshakeTimeout=PATIENCE, closeHandshakeTimeout=PATIENCE, serverConnectionDropTimeout=PATIENCE
        )
        connectWS(factory)

    def on_event(self, number, payload):
        for message, is_binary in self.messages.echoes(number, payload):
            self.case.onMessage(message, is_binary)

    def on_lost(self):
        """The connection is gone; the events that the gateway has made of it may still be under way."""
        self.deadline = time.time() + PATIENCE
        self.judge_when_all_arrived()

    def judge_when_all_arrived(self):
        wanted = self.statistics['messages-received'] if self.statistics and self.mode == judge.ECHO else 0
        if (self.statistics and self.messages.delivered >= wanted) or time.time() > self.deadline:
            # First, because the suite shortens long messages in what it expected.
            expected = judge.expected(self)
            self.protocol.judge()
            self.suite.finished(self, expected)
        else:
            reactor.callLater(0.005, self.judge_when_all_arrived)


class ClientFactory(WebSocketClientFactory):
    """Makes the connection of a `Run`."""

    def buildProtocol(self, _address):
        protocol = Client()
        protocol.factory = self
        protocol.run = self.run
        protocol.caseAgent = 'talaria'
        protocol.case = 0
        protocol.Case = self.run.case_class
        protocol.runCase = protocol.Case(protocol)
        self.run.protocol = protocol
        self.run.case = protocol.runCase
        return protocol

    def clientConnectionFailed(self, _connector, reason):
        print >> sys.stderr, 'no connection to the gateway: %s' % reason.getErrorMessage()
        self.run.suite.stop(2)


class Client(FuzzingClientProtocol):
    """A device: the suite's client, with echoes from elsewhere."""

    def onConnect(self, _response):
        pass

    def sendFrame(self, opcode, payload='', fin=True, rsv=0, mask=None, payload_len=None, chopsize=None, sync=False):
        if self.run.mode == judge.ECHO and opcode in (0, 1, 2):
            if payload_len is not None:
                payload = (payload * (payload_len // len(payload) + 1))[:payload_len]
                payload_len = None
            if opcode == 0:
                self.run.messages.go_on(payload, fin)
            else:
                payload = self.run.messages.begin(payload, fin, is_text=opcode == 1)
                opcode = 2
        FuzzingClientProtocol.sendFrame(self, opcode, payload, fin, rsv, mask, payload_len, chopsize, sync)

    def killAfter(self, delay):
        if self.run.mode == judge.TEXT:
            self.close_after_silence()
        else:
            FuzzingClientProtocol.killAfter(self, delay * PATIENCE)

    def closeAfter(self, delay):
        if self.run.mode == judge.TEXT:
            self.close_after_silence()
        else:
            FuzzingClientProtocol.closeAfter(self, delay)

    def close_after_silence(self):
        if self.send_queue:
            reactor.callLater(SILENCE, self.close_after_silence)
        else:
            reactor.callLater(SILENCE, self.sendClose, 1000)

    def connectionLost(self, reason):
        WebSocketClientProtocol.connectionLost(self, reason)
        self.lost_reason = reason
        self.run.on_lost()

    def judge(self):
        """Lets the suite judge the case, and keep its report."""
        # Case 10.1.1 counts the frames that it sent as text.
        self.txFrameStats.setdefault(1, self.txFrameStats.get(2, 0))
        FuzzingProtocol.connectionLost(self, self.lost_reason)


class Suite(object):
    """All cases that were asked for, their table, and the gateway."""

    def __init__(self):
        self.case_set = CaseSet(CaseSetname, CaseBasename, Cases, CaseCategories, CaseSubCategories)
        self.reports = FuzzingFactory(options.results)
        self.tally = {}
        self.code = 0
        shutil.rmtree(options.results, ignore_errors=True)
        os.makedirs(options.results)
        self.table = open(os.path.join(options.results, 'table.txt'), 'w')
        patterns = [pattern.strip() for pattern in options.cases.split(',')]
        case_ids = self.case_set.parseSpecCases({'cases': patterns})
        self.waiting = [Run(self, number, case_id) for number, case_id in enumerate(case_ids)]
        self.current = None

    def run(self):
        """Runs them; returns the exit code."""
        receiver = reactor.listenTCP(0, Site(Receiver(self.on_event, self.on_offline)), interface='127.0.0.1')
        gateway = self.start_gateway(receiver.getHost().port)
        try:
            self.row('case', 'expected', 'seen', 'verdict')
            reactor.callWhenRunning(self.next)
            reactor.run()
        finally:
            gateway.terminate()
            gateway.wait()
        for verdict, reason in sorted(self.tally):
            self.line('%s: %d%s' % (verdict, self.tally[verdict, reason], ' (%s)' % reason if reason else ''))
        return self.code

    def start_gateway(self, receiver):
        """Starts the gateway, with the receiver on this port for its events."""
        free = socket.socket()
        free.bind(('127.0.0.1', 0))
        self.port = free.getsockname()[1]
        free.close()
        file_name = os.path.join(options.results, 'talaria.yaml')
        with open(file_name, 'w') as config:
            config.write(CONFIG % {'port': self.port, 'receiver': receiver})
        log = open(os.path.join(options.results, 'gateway.log'), 'w')
        gateway = subprocess.Popen([options.gateway, '--file', file_name], stdout=log, stderr=log)
        for _ in range(100 * PATIENCE):
            try:
                socket.create_connection(('127.0.0.1', self.port)).close()
                return gateway
            except socket.error:
                if gateway.poll() is not None:
                    break
                time.sleep(0.01)
        if gateway.poll() is None:
            gateway.kill()
        print >> sys.stderr, 'the gateway did not start; see %s' % log.name
        sys.exit(2)

    def next(self):
        if not self.waiting:
            return self.stop(self.code)
        self.current = self.waiting.pop(0)
        if self.current.mode == judge.NONE:
            self.conclude(self.current, judge.NOT_JUDGED, '-', '-')
            reactor.callLater(0, self.next)
        else:
            self.current.start()

    def finished(self, run, expected):
        verdict = judge.verdict(run)
        if verdict == judge.WRONG:
            self.code = 1
            self.reports.createAgentCaseReportHTML('talaria', run.case_id, options.results)
        self.conclude(run, verdict, expected, judge.seen(run))
        self.reports.agents.clear()
        self.reports.cases.clear()
        reactor.callLater(0, self.next)

    def conclude(self, run, verdict, expected, seen):
        key = verdict, run.reason
        self.tally[key] = self.tally.get(key, 0) + 1
        self.row(run.case_id, expected, seen, verdict)

    def on_event(self, device, number, payload):
        if self.current.device == device:
            self.current.on_event(number, payload)

    def on_offline(self, device, statistics):
        if self.current.device == device:
            self.current.statistics = statistics

    def stop(self, code):
        self.code = code
        reactor.stop()

    def row(self, *cells):
        self.line('%-8s %-45s %-68s %s' % cells)

    def line(self, text):
        for out in (sys.stdout, self.table):
            out.write(text + '\n')
            out.flush()


# The pings of the gateway would be in the way of long cases.
CONFIG = '''\
primary: {address: "127.0.0.1:%(port)d"}
health: {address: "127.0.0.1:0"}
metric: {address: "127.0.0.1:0"}
zap: {level: debug}
device:
  manager: {pingPeriod: 1h, idlePeriod: 2h}
  outbound:
    source: "dns:localhost"
    eventEndpoints: {default: "http://127.0.0.1:%(receiver)d/"}
'''

sys.exit(Suite().run())
