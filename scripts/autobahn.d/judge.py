# -*- coding: utf-8 -*-
"""How a case is run, what is right, and which cases are not judged.

- ECHO: families 1.2, 2 to 5, 7, 9 and 10. Right is what the suite itself calls right, of the echo (see echo.py) and of
  the end of the connection. Frames are binary here also where the case sends text, which only stands for any message.
- TEXT: families 1.1, 6 with valid UTF-8, 9.1, 9.3 and 9.5. Right is a message that is counted and skipped on a
  connection that is kept (contract §2.12, §2.13). What these cases say of echoes is said by their binary twins.
- EXTENSION: families 12 and 13. Right is that the compression that they offer is not negotiated (contract §2.16).
- NONE: not judged, for the reason that `mode` gives.
"""

ECHO, TEXT, EXTENSION, NONE = 'echo', 'text', 'extension', 'none'

TEXT_FAMILIES = ('1.1.', '6.', '9.1.', '9.3.', '9.5.')

# Not judged, and why.
UNREAD_TEXT = 'the content of text messages is not read (contract §2.13)'
TEXT_TIMES = 'measures how fast text comes back'

# Of several pings that arrive together the last is answered (contract §2.10); RFC 6455 §5.5.3 allows it.
MERGED_PINGS = ('2.10', '2.11')

RIGHT, WRONG, NOT_JUDGED = 'right', 'WRONG', 'not judged'


def mode(case_id, expects_failure):
    """The mode of a case, and the reason if it is not judged. `expects_failure`: the gateway should end the connection."""
    if case_id.startswith(('12.', '13.')):
        return EXTENSION, None
    if case_id.startswith('9.7.'):
        return NONE, TEXT_TIMES
    if case_id.startswith(TEXT_FAMILIES):
        return (NONE, UNREAD_TEXT) if expects_failure else (TEXT, None)
    return ECHO, None


def expected(run):
    """What a case expects, in a few words."""
    if run.mode == EXTENSION:
        return 'no extension, clean close 1000'
    if run.mode == TEXT:
        return '%s counted, clean close 1000' % text_messages(len(run.lengths), sum(run.lengths))
    close = run.case.expectedClose
    codes = '/'.join(str(code) for code in sorted(set(close['closeCode'])))
    ending = ('close answered %s' if close['closedByMe'] else 'closed by gateway %s') % codes
    # The cases of family 9 keep no list of what they expect.
    events = run.case.expected.get(run.case.OK, []) or [('message', '')] * getattr(run.case, 'COUNT', run.case_id[:2] == '9.')
    return ', '.join(filter(None, [pongs(events), echoes(sum(event[0] == 'message' for event in events)), ending]))


def seen(run):
    """What happened, in a few words."""
    code = run.protocol.remoteCloseCode
    counted = ''
    if run.mode == TEXT and run.statistics:
        numbers = run.statistics['messages-received'], run.statistics['bytes-received']
        counted = text_messages(*numbers) + ' counted'
    corrupted = '%d corrupted' % run.messages.corrupted if run.messages.corrupted else ''
    ending = '%s %s' % ('clean close' if run.protocol.wasClean else 'dropped', code or 'without a code')
    opinion = '' if run.mode == TEXT else 'suite: %s/%s' % (run.case.behavior, run.case.behaviorClose)
    parts = [pongs(run.case.received), echoes(run.messages.delivered), corrupted, counted, ending, opinion]
    return ', '.join(filter(None, parts))


def verdict(run):
    """Whether the gateway did what it has to do."""
    case = run.case
    # Where the suite leaves the end of the connection open, the contract asks for a close frame.
    clean = case.behaviorClose == case.OK or (case.behaviorClose == case.INFORMATIONAL and run.protocol.wasClean)
    if not run.statistics or run.messages.corrupted:
        return WRONG  # each connection ends with an offline event (contract §2.11)
    if run.mode == EXTENSION:
        return right(clean and case.behavior == case.UNIMPLEMENTED)
    if run.mode == TEXT:
        counted = (run.statistics['messages-received'], run.statistics['bytes-received'])
        return right(clean and not case.received and counted == (len(run.lengths), sum(run.lengths)))
    if run.case_id in MERGED_PINGS:
        return right(clean and merged(case.received, case.expected[case.OK]))
    return right(clean and case.behavior in (case.OK, case.NON_STRICT, case.INFORMATIONAL))


def right(is_right):
    return RIGHT if is_right else WRONG


def merged(received, pongs):
    """Whether some of the pongs were received, in their order, and the last one among them."""
    rest = iter(pongs)
    return bool(received) and received[-1] == pongs[-1] and all(pong in rest for pong in received)


def pongs(events):
    count = sum(event[0] == 'pong' for event in events)
    return '%d pong%s' % (count, 's'[:count > 1]) if count else ''


def echoes(count):
    return '%d echo%s' % (count, 'es' if count > 1 else '') if count else ''


def text_messages(count, size):
    return '%d text%s of %d B' % (count, 's'[:count > 1], size)
