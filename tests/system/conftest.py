"""Fixtures: a federation on loopback for each test, and a judge to talk to its nodes."""

import os
import re
import signal
import sys

import pytest
from desk import Desk
from federation.peers import PROGRAMS, Federation
from judge import Judge

TROUBLE = re.compile(
    r"(WARN|ERROR)\s+(supernode|clientapp): "
    r"|AddressSanitizer|LeakSanitizer|runtime error: |Assertion .* failed"
)


def pytest_addoption(parser):
    parser.addoption("--programs", choices=PROGRAMS, default="ours", help="whose SuperNode to test")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--programs") == "python":
        skip = pytest.mark.skip(reason="Python's SuperNode is known to fail it")
        for item in items:
            if "ours" in item.keywords:
                item.add_marker(skip)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call":
        item.failed = report.failed
    return report


class TestedFederation(Federation):
    """Knows which lines of trouble the test expects in our programs' logs."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.expected = []
        self.judges = []

    def expect(self, *patterns):
        """Log lines of these patterns, warnings or errors, are part of the test."""
        self.expected += patterns

    def judge(self, overrides="", **more):
        self.judges.append(Judge(self, overrides, **more))
        return self.judges[-1]

    def unexpected(self):
        """Warnings, errors and sanitizer reports that no test has asked for."""
        found = []
        ours = [each for each in self.nodes + self.clientapps if each.programs == "ours"]
        for node in ours:
            for line in node.text().splitlines():
                if TROUBLE.search(line) and not any(re.search(p, line) for p in self.expected):
                    found.append(f"{node.name}: {line}")
        return found

    def finish(self):
        """Take it down as a person would; what is wrong with what is left."""
        for judge in self.judges:
            judge.close()
        wrong = []
        for node in self.clientapps + self.nodes:
            if node.running():
                status = node.stop()
                if status and not (node.programs == "python" and status == -signal.SIGTERM):
                    wrong.append(f"{node.name} ended with {status} after SIGTERM")
        left = self.end()
        wrong += [f"left over: {pid} {command}" for pid, command in left.items()]
        return wrong + self.unexpected()

    def show_logs(self):
        for log in sorted(self.folder.glob("*.log")):
            text = log.read_text(encoding="utf-8", errors="replace")
            print(f"--- {log}:\n{text[-20000:]}")


@pytest.fixture
def federation(request, tmp_path):
    """Nothing runs yet. Afterwards all is ended, nothing is left, nothing has gone wrong unseen."""
    programs = request.config.getoption("--programs")
    binaries = os.environ.get("FLWR_BIN_DIR")
    if programs == "ours" and not binaries:
        pytest.fail("FLWR_BIN_DIR must name the folder of flower-supernode and flwr-clientapp")
    federation = TestedFederation(tmp_path / "lab", sys.prefix, binaries, programs)
    request.node.failed = False
    try:
        yield federation
    finally:
        wrong = federation.finish()
        if wrong or request.node.failed:
            federation.show_logs()
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def one_node(federation):
    """(federation, SuperNode, its id, judge)"""
    federation.start_superlink()
    node = federation.start_node("partition-id=0")
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    return federation, node, node_id, judge


@pytest.fixture
def desk(federation):
    """A SuperLink runs; nodes started from now on have the test's workers."""
    desk = Desk(federation)
    federation.binaries = desk.bin
    federation.start_superlink()
    yield desk
    desk.close()
