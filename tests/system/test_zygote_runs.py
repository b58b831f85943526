"""flwr_preload(): what an app has loaded is shared by the messages of a run, and no more than that."""

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
from federation.release import find
from judge import APP, Judge
from newest import NEWEST, newest_federation
from test_isolation import Pair
from test_official_workers import WAITS, start_command

pytestmark = [pytest.mark.ours, pytest.mark.shared]

EXAMPLE = Path(__file__).parents[2] / "examples/preload"
OLDEST = "1.15.2"
AHEAD = r"zygote pid=\d+: ready(?s:.*)fork of the zygote: forked pid=\d+$"
READY = r"zygote of run {} pid=(\d+): ready(?s:.*)fork of the zygote: forked pid=\d+$"
IN_USE = r"INFO +supernode: run {}: flwr_preload\(\) of flwr-native/preload is in use"
REFUSED = r"run \d+: flwr_preload\(\) of flwr-native/preload cannot be used ahead: "

# A ClientApp that tells what it finds, after what is in its flwr_preload().
TELLS = '''
import functools, json, os, random, sys
import numpy
from judge.flower import ClientApp, ConfigRecord, configs_of, records, reply_to

app = ClientApp()
calls = []
left = []

@functools.cache
def flwr_preload():
    calls.append(os.getpid())
    {}
    return os.getpid()

@app.query()
def query(message, context):
    order = configs_of(message.content)["do"]
    found = {{"loader": flwr_preload(), "pid": os.getpid(), "calls": calls, "left": list(left)}}
    found["chance"] = [random.random(), numpy.random.rand()]
    found["environment"] = sorted(name for name in os.environ if name.startswith(("LEFT", "FLWR_")))
    left.append("by a message")
    os.environ["LEFT"] = "by a message"
    for each in ("read", "kill"):
        if each in order:
            try:
                found[each] = open(order[each]).read(1) if each == "read" else os.kill(int(order[each]), 0)
            except OSError as error:
                found[each] = error.strerror
    return reply_to(message, records(configs={{"found": ConfigRecord({{"json": json.dumps(found)}})}}))
'''


@pytest.fixture(params=[OLDEST, NEWEST])
def lab(request, tmp_path):
    """A federation of the oldest or the newest release."""
    request.node.release = request.param
    if request.param == OLDEST:
        yield request.getfixturevalue("federation")
        return
    with newest_federation(request, tmp_path / "newest") as federation:
        yield federation


def make_app(folder, client=None):
    """The example, with the ServerApp that a test drives, and this text as its ClientApp."""
    app = folder / "preload"
    shutil.rmtree(app, ignore_errors=True)
    shutil.copytree(EXAMPLE, app)
    shutil.copytree(APP / "judge", app / "judge")
    pyproject = app / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    text = text.replace("preload.server_app:app", "judge.server_app:app")
    text = text.replace('packages = ["preload"]', 'packages = ["preload", "judge"]')
    text = text.replace("rounds = 10", 'judge = ""')
    pyproject.write_text(text, encoding="utf-8")
    if client is not None:
        (app / "preload/client_app.py").write_text(client, encoding="utf-8")
    return app


def judge_of(federation, app):
    federation.judges.append(Judge(federation, app=app))
    return federation.judges[-1]


def start(federation, app, **more):
    federation.start_superlink()
    node = federation.start_node(**more)
    judge = judge_of(federation, app)
    (node_id,) = judge.nodes(1)
    return node, judge, node_id


def table(judge, node_id):
    reply = judge.ask(node_id, "")
    assert reply["code"] == 0, reply
    return reply["metrics"]["table"]


def told(judge, node_id, **order):
    reply = judge.ask(node_id, "", **order)
    assert reply["code"] == 0, reply
    return json.loads(reply["configs"]["found"]["json"])


def ask_until(node, pattern, ask):
    """Send messages, each when the node is ready for it, until its log has this."""
    ask()
    node.wait_log(AHEAD)
    ask()  # its app tells of the function
    ask()  # or this one does, where apps have no cage
    return node.wait_log(pattern)


def ask_until_told(node, judge, node_id):
    ask_until(node, r"zygote of run \d+: started", lambda: told(judge, node_id))


def warm(node, judge, ask):
    """Ask until the run has a zygote that has forked; its pid."""
    return int(ask_until(node, READY.format(judge.run_id), ask).group(1))


def test_example(lab, request, tmp_path):
    """The same app code gives the same under Flower's own worker and from the zygote of its run."""
    app = make_app(tmp_path)
    node, judge, node_id = start(lab, app)
    cold = table(judge, node_id)
    assert cold["loader"] == cold["pid"]
    zygote = warm(node, judge, lambda: table(judge, node_id))
    shared = [table(judge, node_id) for _ in range(3)]
    assert {each["loader"] for each in shared} == {zygote}
    assert len({each["pid"] for each in [cold, *shared]}) == 4
    node.wait_log(IN_USE.format(judge.run_id))
    # Flower's own worker knows nothing of the function: the app's own call loads.
    foreign = start_command(lab, find(request.node.release))
    lab.expect(WAITS)
    (other,) = set(judge.nodes(2)) - {node_id}
    foreign.wait_log("launcher started")
    alone = [table(judge, other) for _ in range(2)]
    assert [each["loader"] for each in alone] == [each["pid"] for each in alone]
    assert {each["sum"] for each in [cold, *shared, *alone]} == {cold["sum"]}


def test_nothing_is_left(lab, tmp_path):
    """Each message finds what flwr_preload() has left, and nothing of another message."""
    node, judge, node_id = start(lab, make_app(tmp_path, TELLS.format("pass")))
    cold = told(judge, node_id)
    assert cold["loader"] == cold["pid"]
    zygote = warm(node, judge, lambda: told(judge, node_id))
    shared = [told(judge, node_id) for _ in range(3)]
    for each in shared:
        assert each["loader"] == zygote and each["calls"] == [zygote]
        assert each["left"] == [] and each["environment"] == cold["environment"]
    assert len({chance for each in [cold, *shared] for chance in each["chance"]}) == 8
    assert len(re.findall(IN_USE.format(judge.run_id), node.text())) == 1


def test_other_run(federation, tmp_path):
    """It has a zygote of its own; there are no more of them than messages at work (--max-workers)."""
    app = make_app(tmp_path, TELLS.format("pass"))
    node, judge, node_id = start(federation, app)
    first = warm(node, judge, lambda: told(judge, node_id))
    assert told(judge, node_id)["loader"] == first
    other = judge_of(federation, app)
    second = warm(node, other, lambda: told(other, node_id))
    assert told(other, node_id)["loader"] == second
    assert second != first
    federation.wait_gone([first])
    # Its run has one again when an app has told of it.
    assert told(judge, node_id)["loader"] != first
    started = rf"zygote of run {judge.run_id}: started(?s:.*)zygote of run {judge.run_id}: started pid=(\d+)"
    third = node.wait_log(started + r"(?s:.*)zygote of run \d+ pid=\1: ready(?s:.*)forked pid").group(1)
    assert told(judge, node_id)["loader"] == int(third)


AHEAD_ONLY = "open('/proc/self/comm').read() == 'flwr-zygote\\n'"
REFUSALS = {
    "raises": ("raise ValueError('no table')", '"it raises ValueError"'),
    "exits": ("sys.exit(0)", '"it raises SystemExit"'),
    "dies": ("os._exit(3)", '"exited with status 3"'),
    "thread": (
        "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
        '"it starts a thread"',
    ),
    "process": ("import subprocess; left.append(subprocess.Popen(['sleep', '60']))", '"it starts a process"'),
    "descriptor": ("left.append(open('/etc/passwd'))", '"it keeps /etc/passwd open"'),
    "signal": ("import signal; signal.signal(signal.SIGUSR1, lambda *_: None)", '"it handles a signal"'),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused(federation, tmp_path, name):
    """One line says why; the messages of the run are served as without it. Here the function does so ahead only."""
    does, why = REFUSALS[name]
    federation.expect(REFUSED)
    text = TELLS.format(f"if {AHEAD_ONLY}:\n        {does}")
    node, judge, node_id = start(federation, make_app(tmp_path, text))
    ask_until_told(node, judge, node_id)
    assert why in node.wait_log(REFUSED + "(.*)$").group(1)
    for _ in range(2):
        found = told(judge, node_id)
        assert found["loader"] == found["pid"]
    assert len(re.findall(r"zygote of run \d+: started", node.text())) == 1
    assert len(re.findall(REFUSED, node.text())) == 1


def test_killed(federation, tmp_path):
    """No message is lost."""
    federation.expect(REFUSED)
    node, judge, node_id = start(federation, make_app(tmp_path, TELLS.format("pass")))
    os.kill(warm(node, judge, lambda: told(judge, node_id)), signal.SIGKILL)
    node.wait_log(REFUSED + '"killed by signal 9')
    for _ in range(2):
        found = told(judge, node_id)
        assert found["loader"] == found["pid"]


def test_not_needed_any_more(federation, tmp_path):
    node, judge, node_id = start(
        federation, make_app(tmp_path, TELLS.format("pass")), options={"--warm-idle": 3}
    )
    zygote = warm(node, judge, lambda: told(judge, node_id))
    node.wait_log(f"zygote of run {judge.run_id}: no message for a while, not kept")
    federation.wait_gone([zygote])
    found = told(judge, node_id)
    assert found["loader"] == found["pid"]


def test_none(federation, tmp_path):
    app = make_app(tmp_path, TELLS.format("pass"))
    node, judge, node_id = start(federation, app, options={"--preload": "none"})
    for _ in range(3):
        found = told(judge, node_id)
        assert found["loader"] == found["pid"]
    assert "zygote" not in node.text()


def test_app_without_it(federation, tmp_path):
    """It costs nothing where no module of a ClientApp has it."""
    text = TELLS.format("pass").replace("flwr_preload", "load")
    node, judge, node_id = start(federation, make_app(tmp_path, text))
    told(judge, node_id)
    node.wait_log(AHEAD)
    for _ in range(2):
        found = told(judge, node_id)
        assert found["loader"] == found["pid"]
    assert "zygote of run" not in node.text()


@pytest.mark.parametrize("kind", ["node", "strict", "off"])
def test_cage(federation, tmp_path, kind):
    """The function and the messages after it have the cage that any message of the app has."""
    secret = tmp_path / "secret"
    secret.write_text("x", encoding="ascii")
    text = TELLS.format(f"calls.append(reach({str(secret)!r}))")
    text += """
def reach(path):
    try:
        return open(path).read(1)
    except OSError as error:
        return error.strerror
"""
    options = {"--sandbox": kind}
    node, judge, node_id = start(federation, make_app(tmp_path, text), options=options)
    asks = {"read": f"/proc/{node.pid}/maps", "kill": str(node.pid)}
    cold = told(judge, node_id, **asks)
    zygote = warm(node, judge, lambda: told(judge, node_id))
    for _ in range(2):
        found = told(judge, node_id, **asks)
        assert found["loader"] == zygote
        for each in ("read", "kill"):
            assert found[each] == cold[each]
        assert found["calls"][1:] == cold["calls"][1:]
    if kind == "strict":
        assert cold["calls"][1] == "Permission denied"
    # No message of the run reaches what later ones come from.
    found = told(judge, node_id, kill=str(zygote))
    assert found["kill"] == (None if kind == "off" else "Operation not permitted")


def test_limits(federation, tmp_path):
    """The function has the limits of the app."""
    federation.expect(REFUSED)
    text = TELLS.format(f"if {AHEAD_ONLY}:\n        left.append(bytearray(4 << 30))")
    options = {"--worker-memory": "1G"}
    node, judge, node_id = start(federation, make_app(tmp_path, text), options=options)
    ask_until_told(node, judge, node_id)
    assert re.search("MemoryError|killed by signal 9", node.wait_log(REFUSED + "(.*)$").group(1))
    found = told(judge, node_id)
    assert found["loader"] == found["pid"]


def test_process_isolation(federation, tmp_path):
    """The launcher keeps it."""
    federation.start_superlink()
    pair = Pair(federation)
    clientapp = pair.start_clientapp()
    judge = judge_of(federation, make_app(tmp_path, TELLS.format("pass")))
    zygote = warm(clientapp, judge, lambda: told(judge, pair.id))
    assert told(judge, pair.id)["loader"] == zygote
    clientapp.signal(signal.SIGTERM)
    assert clientapp.wait(30) == 0
    federation.wait_gone([zygote])


def test_example_itself(lab):
    """With the ServerApp that belongs to it."""
    lab.start_superlink()
    lab.start_node()
    run = lab.run(EXAMPLE, "rounds=3")
    log = lab.follow_run(run)
    assert lab.wait_run(run) == "finished:completed"
    said = log.wait_log(r"round 3, node \d+: sum (\S+), process \d+, loaded by \d+")
    assert float(said.group(1)) == sum(range(3_000_000))
