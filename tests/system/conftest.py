"""Fixtures: a federation on loopback for each test, and a judge to talk to its nodes."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from desk import Desk
from federation.peers import PROGRAMS
from shared import Guest, Host
from tested import TestedFederation, binaries


def pytest_addoption(parser):
    parser.addoption("--programs", choices=PROGRAMS, default="ours", help="whose SuperNode to test")


@pytest.hookimpl(trylast=True)  # what is left by -k
def pytest_collection_modifyitems(config, items):
    if config.getoption("--programs") == "python":
        skip = pytest.mark.skip(reason="Python's SuperNode is known to fail it")
        for item in items:
            if "ours" in item.keywords:
                item.add_marker(skip)
    if not os.environ.get("FLWR_TEST_ALL_FAULTS"):
        sample(config, items)


# Tests of which one case is always run over each transport: what it carries breaks, or is lost.
EACH_TRANSPORT = {
    "test_answer_to_reply_lost",
    "test_fat_object",
    "test_message_unreadable",
    "test_poll_never_answered_then_cut",
    "test_registration_unreadable",
}


def sample(config, items):
    """Of each test of an evil SuperLink one case: in turn the first (of the oldest dialect), and the
    last (of the newest)."""
    cases = {}
    for item in items:
        if item.path.stem in ("test_evil_superlink", "test_evil_contents"):
            cases.setdefault(item.originalname, []).append(item)
    left_out = set()
    for number, each in enumerate(cases.values()):
        left_out |= set(each[:-1] if number % 2 else each[1:])
    for name in EACH_TRANSPORT & cases.keys():
        first = {item.callspec.params["transport"]: item for item in reversed(cases[name])}
        left_out -= set(first.values())
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call":
        item.failed = report.failed
    return report


def what_to_test(config):
    """For a TestedFederation, behind its folder."""
    programs = config.getoption("--programs")
    return sys.prefix, binaries() if programs == "ours" else None, programs


@pytest.fixture(scope="module")
def host(request, tmp_path_factory):
    """For the tests of a module that are marked `shared`; nothing runs yet."""
    host = Host(tmp_path_factory.mktemp("host"), *what_to_test(request.config))
    yield host
    wrong = host.close()
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def federation(request, tmp_path):
    """Nothing runs yet. Afterwards all is ended, nothing is left, nothing has gone wrong unseen."""
    marks = {mark.name for mark in request.node.iter_markers()}
    what = (tmp_path / "lab", *what_to_test(request.config))
    host = request.getfixturevalue("host") if "shared" in marks and "alone" not in marks else None
    federation = Guest(host, *what) if host else TestedFederation(*what)
    request.node.failed = False
    try:
        yield federation
    finally:
        wrong = federation.finish()
        if wrong or request.node.failed:
            federation.show_logs()
            if host:
                host.show_logs()
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def reachable():
    """A folder that every user can reach, as pytest's folders cannot be."""
    folder = Path(tempfile.mkdtemp(prefix="reachable-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


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
