"""--allow-runtime-dependency-installation: what an app asks for is there when its first message is
handled. Nothing comes from a network: the packages are wheels that the test makes."""

import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from judge import APP, serves
from newest import newest_federation
from test_failures import FAILED, NOT_LOADED, TOLD
from wheels import local, make_wheel

from federation.processes import free_ports, tree_of, wait_until

pytestmark = pytest.mark.ours

ALLOW = "--allow-runtime-dependency-installation"
USER = 20001
WARNED = rf"WARN +(supernode|clientapp): {ALLOW}"
IMPORTS = """
import small_arm

def tell_versions(order, message, context):
    return records(metrics={"arm": MetricRecord({"version": float(small_arm.VERSION)})})

ORDERS["arm"] = tell_versions
"""
# In the place of uv: it says that it is there, and stays.
STAYS = """
import os, pathlib, time
here = pathlib.Path(__file__).parent
(here / "pid.new").write_text(str(os.getpid()))
os.rename(here / "pid.new", here / "pid")
time.sleep(1000)
"""


def app_with(folder, *dependencies):
    """The judge's app, but that it needs something."""
    app = folder / "app/judge"
    shutil.copytree(APP, app, ignore=shutil.ignore_patterns("__pycache__"))
    pyproject = app / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    listed = ", ".join(f'"{each}"' for each in dependencies)
    text = text.replace('dependencies = ["flwr>=1.15.2"]', f"dependencies = [{listed}]")
    pyproject.write_text(text, encoding="utf-8")
    client = app / "judge/client_app.py"
    text = client.read_text(encoding="utf-8")
    client.write_text(text.replace("\n@app.query()", IMPORTS + "\n\n@app.query()"), encoding="utf-8")
    return app


@pytest.fixture
def wheels(tmp_path):
    folder = tmp_path / "wheels"
    make_wheel(folder, "small-arm", "1.5", requires=["small-leg"])
    make_wheel(folder, "small-leg")
    return folder


def version(judge, node):
    reply = judge.ask(node, "arm")
    assert reply["code"] == 0, reply
    return reply["metrics"]["arm"]["version"]


def homes(folder):
    """The folders of apps' dependencies below a Flower home, finished or not."""
    return sorted(path.name for path in folder.glob("dependencies/*/*"))


def test_two_nodes(federation, wheels, tmp_path, home):
    """Both have a message at once, and one home: it is installed once, and told at the start."""
    federation.expect(WARNED)
    federation.start_superlink()
    options = {ALLOW: True, "--dependency-index": wheels, "--flwr-dir": home}
    nodes = [federation.start_node(options=options) for _ in range(2)]
    judge = federation.judge(app=app_with(tmp_path, "flwr", "small-arm>=1"))
    ids = judge.nodes(2)
    for message in [judge.send(node, "arm") for node in ids]:
        reply = judge.reply(message)
        assert reply["code"] == 0 and reply["metrics"]["arm"]["version"] == 1.5, reply
    assert [version(judge, node) for node in ids] == [1.5, 1.5]
    text = "".join(node.text() for node in nodes)
    assert len(re.findall(r"installing 1 package for the app flwr-native/judge with", text)) == 1
    assert len(re.findall(r"installed 1 package for the app .* in \S+ s", text)) == 1
    assert len(re.findall(WARNED, text)) == 2
    (name,) = homes(home)
    assert name.startswith("flwr-native.judge.")


def test_missing(federation, wheels, tmp_path):
    """The reply names it; as soon as it can be had, the next message gets it."""
    federation.expect(WARNED, FAILED, TOLD)
    federation.start_superlink()
    node = federation.start_node(options={ALLOW: True, "--dependency-index": wheels})
    judge = federation.judge(app=app_with(tmp_path, "small-arm", "small-hand"))
    (node_id,) = judge.nodes(1)
    reply = judge.ask(node_id, "arm")
    assert reply["code"] == 2 and ": small-hand: " in reply["reason"], reply
    assert "Traceback" not in node.text()
    make_wheel(wheels, "small-hand")
    assert version(judge, node_id) == 1.5


def test_off(federation, tmp_path):
    """By default an app whose package is not there does not load, as with Flower."""
    federation.expect(FAILED, TOLD)
    federation.start_superlink()
    node = federation.start_node()
    judge = federation.judge(app=app_with(tmp_path, "small-arm"))
    (node_id,) = judge.nodes(1)
    reply = judge.ask(node_id, "arm")
    assert reply["code"] == 1 and reply["reason"].startswith(NOT_LOADED), reply
    assert "No module named 'small_arm'" in reply["reason"]
    assert not node.find(ALLOW)


def at_installing(tool):
    wait_until((tool / "pid").exists, "the tool is at work", 60)
    return int((tool / "pid").read_text(encoding="utf-8"))


@pytest.fixture
def home():
    """A Flower home with a short path: sockets are in it."""
    with tempfile.TemporaryDirectory(prefix="home-") as folder:
        yield Path(folder)


@pytest.fixture
def staying(tmp_path):
    """A folder for PYTHONPATH with a uv that never ends."""
    folder = tmp_path / "tool"
    folder.mkdir()
    (folder / "uv.py").write_text(STAYS, encoding="utf-8")
    return folder


@pytest.mark.parametrize("how", ["node", "--worker-timeout", "--dependency-timeout"])
def test_installation_that_does_not_end(federation, staying, tmp_path, home, how):
    """It ends when the node is stopped, or its time is over. What a killed app process leaves half
    made bears another name, and is removed by the next one."""
    federation.expect(WARNED, FAILED, TOLD, r"stopping")
    federation.start_superlink()
    options = {ALLOW: True, "--flwr-dir": home, "--grace": 1}
    if how != "node":
        options[how] = 12
    node = federation.start_node(options=options, env={"PYTHONPATH": str(staying)})
    judge = federation.judge(app=app_with(tmp_path, "small-arm"))
    (node_id,) = judge.nodes(1)
    message = judge.send(node_id, "arm")
    pids = [at_installing(staying)]
    if how == "node":
        pids += tree_of(node.pid)
        node.signal(signal.SIGTERM)
    reply = judge.reply(message)
    assert reply["code"] == (2 if how == "--dependency-timeout" else 8), reply
    assert ("small-arm" in reply["reason"]) == (how == "--dependency-timeout")
    if how == "node":
        assert node.wait(30) == 0
    federation.wait_gone(pids)
    assert all(name.startswith(".") for name in homes(home))
    if how == "--worker-timeout":
        (staying / "uv.py").write_text("raise SystemExit(1)", encoding="utf-8")
        assert judge.ask(node_id, "arm")["code"] == 2
    if how != "node":
        wait_until(lambda: not homes(home), "nothing half made is left", 30)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give apps another user")
def test_user_of_the_apps(federation, reachable, tmp_path):
    """It installs, without a home of its own, and owns what is installed."""
    home, wheels = reachable / "home", reachable / "wheels"
    make_wheel(wheels, "small-arm", "1.5")
    federation.expect(WARNED)
    federation.start_superlink()
    options = {ALLOW: True, "--dependency-index": wheels, "--flwr-dir": home}
    federation.start_node(options={**options, "--app-user": f"{USER}:{USER}"})
    judge = federation.judge(app=app_with(tmp_path, "small-arm"))
    (node_id,) = judge.nodes(1)
    assert version(judge, node_id) == 1.5
    (folder,) = home.glob("dependencies/*")
    about = folder.stat()
    assert (folder.name, about.st_uid, about.st_mode & 0o7777) == (str(USER), USER, 0o700)
    assert {path.stat().st_uid for path in folder.rglob("*")} == {USER}


@pytest.mark.parametrize("program", ["flwr-clientapp", "flower-superexec"])
def test_process_isolation(federation, wheels, tmp_path, program):
    """The launcher installs; the node, which may be given the option, says that it does not."""
    federation.expect(rf"WARN +(supernode|clientapp): {ALLOW}")
    federation.start_superlink()
    address = f"127.0.0.1:{free_ports(1)[0]}"
    options = {ALLOW: True, "--isolation": "process", "--clientappio-api-address": address}
    node = federation.start_node(options=options)
    assert node.find(rf"WARN .*{ALLOW} has no effect with --isolation process")
    options = {ALLOW: True, "--dependency-index": wheels}
    if program == "flower-superexec":
        options |= {"--clientappio-api-address": None, "--runtime-api-address": address}
    launcher = federation.start_clientapp(address, options, program=program)
    judge = federation.judge(app=app_with(tmp_path, "small-arm"))
    (node_id,) = judge.nodes(1)
    assert version(judge, node_id) == 1.5
    assert launcher.find(WARNED) and launcher.find(r"installed 1 package ")
    assert launcher.stop() == 0


def test_beside_flower(request, tmp_path, wheels):
    """Flower's node with the same option, and the same variables for its tool, answers alike."""
    with newest_federation(request, tmp_path) as federation:
        federation.expect(WARNED, FAILED, TOLD)
        federation.start_superlink()
        options, env = {ALLOW: True}, local(wheels)
        federation.start_node(options=options, env=env)
        theirs = federation.start_node(options=options, env=env, programs="python")
        judge = federation.judge(app=app_with(tmp_path / "there", "small-arm"))
        ids = judge.nodes(2)
        for reply in [judge.reply(judge.send(node, "arm"), 120) for node in ids]:
            assert reply["code"] == 0 and reply["metrics"]["arm"]["version"] == 1.5, reply
        judge = federation.judge(app=app_with(tmp_path / "missing", "small-hand"))
        assert judge.nodes(2) == ids
        for reply in [judge.reply(judge.send(node, "arm"), 120) for node in ids]:
            assert reply["code"] == 2 and "small-hand" in reply["reason"], reply
        pids = tree_of(theirs.pid)
        theirs.stop()
        federation.wait_gone(pids)


def test_nothing_needed(federation):
    """An app that needs nothing is served as ever, with the option."""
    federation.expect(WARNED)
    federation.start_superlink()
    federation.start_node(options={ALLOW: True, "--dependency-index": "none"})
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    assert serves(judge, node_id) == 1
