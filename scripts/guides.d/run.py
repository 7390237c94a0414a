"""Runs the marked blocks of one page (scripts/guides says how they are marked).

usage: run.py BINARIES PAGE

The folder of a page has what a clone has: scripts/, and the binaries as target/release/. What a command prints is shown if
something is not as the page says.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

REPOSITORY = os.getcwd()
PATIENCE_S = 60
# What a program that was started prints when it can be used.
READY = {
    "target/release/talaria ": '"msg":"starting server","server":"primary"',
    "target/release/talaria-sim receiver": "receiving at",
    "scripts/compare receive": "listening",
}


class Wrong(Exception):
    """The page promises something else than what happens."""


class Page:
    """The blocks of a page, run in order in one folder."""

    def __init__(self, folder, binaries):
        self.folder = folder
        self.started = []
        self.printed = ""
        os.makedirs(os.path.join(folder, "target"))
        os.symlink(os.path.join(REPOSITORY, binaries), os.path.join(folder, "target/release"))
        os.symlink(os.path.join(REPOSITORY, "scripts"), os.path.join(folder, "scripts"))
        # A Kafka of its own, with the jars that are there.
        kafka = os.path.join(folder, "kafka")
        os.makedirs(kafka)
        home = os.environ.get("TALARIA_KAFKA_HOME", os.path.join(REPOSITORY, ".kafka"))
        for name in os.listdir(home):
            if name.startswith(("jars-", "tools-")):
                os.symlink(os.path.join(home, name), os.path.join(kafka, name))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TALARIA_")}
        self.environment = {**kept, "TALARIA_KAFKA_HOME": kafka}

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def run(self, text):
        done = self.command(text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=2 * PATIENCE_S)
        self.printed = done.stdout
        if done.returncode != 0:
            raise Wrong(f"{text}ended with {done.returncode}:\n{done.stdout}")

    def command(self, text, **options):
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], cwd=self.folder, env=self.environment, text=True, check=False,
            stdin=subprocess.DEVNULL, **options)

    def start(self, text):
        log = open(os.path.join(self.folder, f"started-{len(self.started)}.log"), "w+", encoding="utf-8")
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", "exec " + text], cwd=self.folder, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self.started.append((text, process, log.name))
        ready = next((line for command, line in READY.items() if text.startswith(command)), "")
        self.wait(text, lambda: ready in read(log.name))

    def output(self, text):
        """What the last command has printed, or what any program that was started prints within a time."""
        expected = [re.compile(".*".join(map(re.escape, line.split("…")))) for line in text.splitlines() if line.strip()]
        where = lambda: [self.printed] + [read(log) for _, _, log in self.started]
        self.wait(text, lambda: any(has_in_order(printed, expected) for printed in where()), where)

    def wait(self, what, condition, where=lambda: []):
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            for text, process, log in self.started:
                if process.poll() not in (None, 0):
                    raise Wrong(f"{text}ended with {process.returncode}:\n{read(log)}")
            if time.monotonic() > deadline:
                raise Wrong(f"not within {PATIENCE_S} s: {what}\nwhat there is:\n" + "\n---\n".join(where()))
            time.sleep(0.05)

    def end(self):
        """Stops what was started, the last first, as Ctrl-C does."""
        for text, process, log in reversed(self.started):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            try:
                if process.wait(PATIENCE_S) != 0:
                    raise Wrong(f"{text}ended with {process.returncode}:\n{read(log)}")
            except subprocess.TimeoutExpired as expired:
                raise Wrong(f"{text}did not end:\n{read(log)}") from expired

    def clear(self):
        for _, process, _ in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
        self.command("scripts/kafka stop", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def has_in_order(printed, expected):
    """Whether the lines have one for each pattern, in this order."""
    lines = iter(printed.splitlines())
    return all(any(pattern.search(line) for line in lines) for pattern in expected)


def read(name):
    with open(name, encoding="utf-8", errors="replace") as file:
        return file.read()


def blocks(text):
    """The marked blocks of a page: the words of their fences, the line from 1, and the text."""
    fence = None
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if line.startswith("```"):
            if fence is None:
                fence = (line[3:].split(), number, [])
            else:
                words, start, lines = fence
                fence = None
                if len(words) == 2:
                    yield words, start, "".join(lines)
        elif fence is not None:
            fence[2].append(line)


def main(binaries, name):
    folder = tempfile.mkdtemp(prefix="talaria-guide-")
    page = Page(folder, binaries)
    done = 0
    began = time.monotonic()
    place = name
    try:
        for words, line, text in blocks(read(name)):
            place = f"{name}:{line}"
            match words:
                case ["sh", "run"]: page.run(text)
                case ["sh", "start"]: page.start(text)
                case ["text", "output"]: page.output(text)
                case ["yaml", file]: page.write(file, text)
                case _: continue
            done += 1
        page.end()
        if not done:
            raise Wrong("no block is marked")
    except (Wrong, subprocess.TimeoutExpired) as problem:
        print(f"{place}: {problem}")
        return 1
    finally:
        page.clear()
        shutil.rmtree(folder)
    print(f"{name}: {done} blocks did what the page says, in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    # A shell that starts this in the background lets it, and all that it starts, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(*sys.argv[1:]))
