"""docker/compose.yaml with the images of docker/Dockerfile: scripts/test --containers."""

import contextlib
import os
import re
import shutil
from pathlib import Path

import pytest

from contained import READY_S, Contained
from federation.images import build, docker, has_engine, run
from federation.processes import wait_until

pytestmark = [
    pytest.mark.ours,
    pytest.mark.skipif(
        not os.environ.get("FLWR_TEST_CONTAINERS"), reason="scripts/test --containers"
    ),
]

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/digits"
PROJECT = f"flwr-test-{os.getpid()}"
IMAGES = {target: f"{PROJECT}/{target}" for target in ("supernode", "superexec", "clientapp")}


def compose_command():
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    return ["docker", "compose"]


@pytest.fixture(scope="module")
def images():
    """The images, of what git would commit."""
    if not has_engine():
        pytest.skip("no Docker engine")
    build(IMAGES, APP_PACKAGES="numpy scikit-learn")
    yield IMAGES
    docker("rmi", *IMAGES.values(), check=False)


class Composed(Contained):
    """The federation of compose.yaml."""

    def __init__(self):
        super().__init__()
        self.containers = {}
        self.environ = {
            **os.environ,
            "SUPERNODE_IMAGE": IMAGES["supernode"],
            "SUPEREXEC_IMAGE": IMAGES["superexec"],
            "COMPOSE_PROJECT_NAME": PROJECT,
        }

    def compose(self, *argv, **more):
        return run(*compose_command(), "-f", ROOT / "docker/compose.yaml", *argv, env=self.environ, **more)

    def container(self, service):
        if service not in self.containers:
            self.containers[service] = self.compose("ps", "-q", service).split()[-1]
        return self.containers[service]

    def stop(self, service):
        """Its exit status."""
        docker("stop", "-t", "40", self.container(service))
        return self.exit_status(service)

    def kill(self, service):
        super().kill(service)
        docker("wait", self.container(service))

    def start(self, service):
        docker("start", self.container(service))

    def healthy(self, service):
        return self.inspect(service, "{{.State.Health.Status}}") == "healthy"

    def wait_healthy(self, *services):
        for service in services:
            wait_until(lambda: self.healthy(service), f"{service} is healthy", READY_S, 0.5)

    def knock(self, gate=""):
        return super().knock(2, gate)


@pytest.fixture(scope="module")
def composed(images, request):
    federation = Composed()
    failed = request.session.testsfailed
    try:
        federation.compose("up", "-d", seconds=600)
        federation.wait_healthy("supernode-1", "supernode-2", "superexec-1", "superexec-2")
        yield federation
    finally:
        if request.session.testsfailed > failed:
            print(federation.compose("logs", "--no-color", check=False)[-40000:])
        federation.compose("down", "-v", "-t", "30", check=False)


@pytest.fixture
def gate(composed):
    return composed.new_gate()


def test_run(composed):
    """Three rounds on two nodes, over TLS."""
    said = composed.flwr("run", composed.copy_app(EXAMPLE), "local", "--stream", seconds=300)
    (accuracy,) = re.findall(r"round 3 +accuracy (0\.\d+)", said)
    assert float(accuracy) > 0.9


def test_read_only(composed):
    """Nothing is written but in volumes, of which two have folders of their own."""
    for service in ("supernode-1", "superexec-1", "superlink"):
        assert composed.inspect(service, "{{.HostConfig.ReadonlyRootfs}}") == "true"
        assert set(docker("diff", composed.container(service)).splitlines()) <= {"A /certificates", "A /secrets"}
        assert composed.inspect(service, "{{.Config.User}}") == "49999:49999"


def test_apps_apart(composed, gate):
    """An app reaches no folder of another one, though it has no mounts here, and writes where it may."""
    composed.add_other_app("superexec-1")
    result = composed.knock(gate)
    composed.wait_at_gate(gate, "superexec-1", "superexec-2")
    assert "apps run in a cage: sandbox=node" in composed.logs("superexec-1")
    # Where the engine allows mounts it does not see the names either.
    assert composed.reached("superexec-1", gate) - {"list"} == {"home", "temporary"}
    composed.touch("superexec-1", gate)
    composed.touch("superexec-2", gate)
    assert composed.came_back(result) == [[0, ""], [0, ""]]


def test_network_cut(composed, gate):
    """A reply that is ready meanwhile arrives when the network is back."""
    result = composed.knock(gate)
    composed.wait_at_gate(gate, "superexec-1", "superexec-2")
    node = composed.container("supernode-1")
    docker("network", "disconnect", f"{PROJECT}_fleet", node)
    try:
        composed.touch("superexec-1", gate)
        composed.touch("superexec-2", gate)
        wait_until(lambda: "trying again" in composed.logs("supernode-1"), "the cut is seen", READY_S, 0.5)
    finally:
        docker("network", "connect", "--alias", "supernode-1", f"{PROJECT}_fleet", node)
    assert composed.came_back(result) == [[0, ""], [0, ""]]
    composed.wait_healthy("supernode-1")


def test_launcher_killed(composed, gate):
    """Its message is answered for, and the next one is served when it is back."""
    result = composed.knock(gate)
    composed.wait_at_gate(gate, "superexec-1", "superexec-2")
    composed.kill("superexec-1")
    composed.touch("superexec-2", gate)
    good, bad = composed.came_back(result)
    assert good == [0, ""] and bad[0] == 8, bad
    composed.start("superexec-1")
    composed.wait_healthy("superexec-1")
    assert composed.came_back(composed.knock()) == [[0, ""], [0, ""]]


def test_launcher_stopped(composed, gate):
    """By SIGTERM, with a message: its status is 0, and the node's reply says what happened."""
    result = composed.knock(gate)
    composed.wait_at_gate(gate, "superexec-1", "superexec-2")
    assert composed.stop("superexec-1") == 0
    composed.touch("superexec-2", gate)
    good, bad = composed.came_back(result)
    assert good == [0, ""] and bad[0] == 8, bad
    composed.start("superexec-1")
    assert composed.came_back(composed.knock()) == [[0, ""], [0, ""]]


def test_node_stopped(composed, gate):
    """By SIGTERM, with a message: it answers first, and its status is 0."""
    result = composed.knock(gate)
    composed.wait_at_gate(gate, "superexec-1", "superexec-2")
    composed.touch("superexec-2", gate)
    assert composed.stop("supernode-1") == 0
    good, bad = composed.came_back(result)
    assert good == [0, ""] and bad[0] == 8, bad
    composed.start("supernode-1")
    composed.wait_healthy("supernode-1")
    assert composed.came_back(composed.knock()) == [[0, ""], [0, ""]]


def test_node_killed(composed):
    """Started again it is a node again, with the launcher that has waited."""
    composed.kill("supernode-1")
    composed.start("supernode-1")
    composed.wait_healthy("supernode-1")
    assert composed.came_back(composed.knock()) == [[0, ""], [0, ""]]


@contextlib.contextmanager
def container(*argv):
    name = docker("run", "-d", *argv).split()[-1]
    try:
        yield name
    finally:
        docker("rm", "-f", name)


@pytest.mark.parametrize("root", [[], ["--read-only"]], ids=["writable", "read-only"])
def test_other_user(composed, root):
    """A node of a user that the image does not know."""
    options = [*root, "--user", "4242:4242", "--cap-drop", "ALL", "--network", f"{PROJECT}_fleet"]
    options += ["-v", f"{PROJECT}_public-certificates:/certificates:ro"]
    arguments = ["--superlink=superlink:8000", "--root-certificates=/certificates/ca.crt"]
    arguments += ["--isolation=process", "--clientappio-api-address=0.0.0.0:9094"]
    with container(*options, IMAGES["supernode"], *arguments) as node:
        healthy = ["inspect", "-f", "{{.State.Health.Status}}", node]
        wait_until(lambda: docker(*healthy).strip() == "healthy", "it is healthy", READY_S, 0.5)
        asked = docker("exec", node, "/usr/local/bin/flower-supernode", "--healthcheck", "localhost:19094")
        assert asked == "localhost:19094: serving\n"


def test_plain_launcher(composed):
    """As Flower's compose files have it: apps are installed in the home that the image has."""
    options = ["-v", f"{PROJECT}_worker-api-2:/run/worker-api"]
    options += ["-v", f"{PROJECT}_launchers-secret:/secrets:ro", IMAGES["superexec"]]
    arguments = ["--insecure", "--plugin-type", "clientapp"]
    arguments += ["--appio-api-address", "unix:/run/worker-api/socket"]
    arguments += ["--superexec-auth-secret-file", "/secrets/secret"]
    composed.stop("superexec-2")
    try:
        with container(*options, *arguments):
            assert composed.came_back(composed.knock()) == [[0, ""], [0, ""]]
    finally:
        composed.start("superexec-2")


def test_programs(images):
    """What the images start; one has all programs."""
    for target, name in [("supernode", "flower-supernode"), ("superexec", "flower-superexec"), ("clientapp", "flwr-clientapp")]:
        assert docker("run", "--rm", images[target], "--version").startswith(f"{name} (flwr-native)")
    superexec = ["run", "--rm", "--entrypoint", "flower-supernode", images["superexec"], "--version"]
    assert docker(*superexec).startswith("flower-supernode (flwr-native)")
