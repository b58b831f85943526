"""docker/kubernetes with the images of docker/Dockerfile, by podman: scripts/test --containers."""

import base64
import json
import os
import resource
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

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
PROJECT = f"flwr-test-{os.getpid()}"
IMAGES = {target: f"{PROJECT}/{target}" for target in ("supernode", "superexec")}


def settings():
    """Of podman. Where root cannot raise limits it starts nothing with those that it has by itself;
    runc copes with both kinds of control groups, other runtimes with one."""
    limits = []
    for name, number in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
        hard = resource.getrlimit(number)[1]
        limit = 4096 if hard < 0 else min(hard, 4096)
        limits.append(f"{name}={limit}:{limit}")
    text = f"[containers]\ndefault_ulimits = {json.dumps(limits)}\n"
    return text + '[engine]\nruntime = "runc"\n' * bool(shutil.which("runc"))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """The images, in podman's store."""
    if not shutil.which("podman"):
        pytest.skip("no podman (Debian: podman, netavark, aardvark-dns, catatonit)")
    if not has_engine():
        pytest.skip("no Docker engine, which builds the images")
    file = tmp_path_factory.mktemp("podman") / "containers.conf"
    file.write_text(settings(), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_CONF", str(file))
        build(IMAGES, APP_PACKAGES="numpy scikit-learn")
        for image in IMAGES.values():
            with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
                run("podman", "load", "-q", stdin=saved.stdout)
        yield IMAGES
        run("podman", "rmi", *(f"localhost/{each}" for each in IMAGES.values()), check=False)
        docker("rmi", *IMAGES.values(), check=False)


def text_of(path):
    return path.read_text(encoding="utf-8")


def deployments_of(name):
    """Name -> Deployment, as podman takes it."""
    files = sorted((ROOT / "docker/kubernetes" / name).glob("*.yaml"))
    objects = [each for file in files for each in yaml.safe_load_all(text_of(file))]
    found = [each for each in objects if each["kind"] == "Deployment"]
    # By way of JSON no part is there twice, as by an anchor.
    return {each["metadata"]["name"]: adapt(json.loads(json.dumps(each))) for each in found}


def adapt(deployment):
    """podman 4.3 differs from a cluster: it has no probes of gRPC, and systemd runs the others; it
    publishes ports; it mounts secrets undecoded; it removes init containers too early."""
    deployment["metadata"]["annotations"] = {"io.podman.annotations.init.container.type": "always"}
    deployment["metadata"]["name"] = f"{PROJECT}-{deployment['metadata']['name']}"
    pod = deployment["spec"]["template"]["spec"]
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        container["image"] = f"localhost/{PROJECT}/{container['image'].rpartition('/')[2]}"
        container["imagePullPolicy"] = "Never"
        for each in ("ports", "readinessProbe", "livenessProbe"):
            container.pop(each, None)
        for mount in container["volumeMounts"]:
            mount["name"] = f"{PROJECT}-{mount['name']}"
    for volume in pod["volumes"]:
        volume["name"] = f"{PROJECT}-{volume['name']}"
        if secret := volume.pop("secret", None):
            items = {"items": secret["items"]} if "items" in secret else {}
            volume["configMap"] = {"name": secret["secretName"], **items}
        if "configMap" in volume:
            volume["configMap"]["name"] = f"{PROJECT}-{volume['configMap']['name']}"
    return deployment


def config_map(name, data):
    metadata = {"name": f"{PROJECT}-{name}"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


class Pods(Contained):
    """A SuperLink and pods in a network of their own."""

    engine = "podman"

    def __init__(self, folder):
        super().__init__()
        self.folder = folder
        self.played = {}
        self.names = {"superlink": f"{PROJECT}-superlink"}

    def container(self, service):
        return self.names[service]

    def start_superlink(self):
        certificates = self.folder / "certificates"
        certificates.mkdir()
        run(ROOT / "docker/certificates.sh", certificates, "49999", "superlink", "worker-api")
        composed = yaml.safe_load(text_of(ROOT / "docker/compose.yaml"))["services"]["superlink"]
        options = ["--name", self.names["superlink"], "--network", f"{PROJECT}:alias=superlink"]
        for pair in composed["environment"].items():
            options += ["-e", "=".join(pair)]
        options += ["--read-only", "--tmpfs", composed["tmpfs"][0]]
        options += ["-v", f"{certificates}/superlink:/certificates:ro"]
        options += ["--entrypoint", composed["entrypoint"][0]]
        image = f"localhost/{IMAGES['superexec']}"
        self.run("network", "create", PROJECT)
        self.run("run", "-d", *options, image, *composed["command"])

    def certificate(self, name, file="ca.crt"):
        return text_of(self.folder / "certificates" / name / file)

    def play(self, deployment, *config_maps, alias=""):
        """Its container of each name is then known by that."""
        file = self.folder / f"{deployment['metadata']['name']}.yaml"
        file.write_text(yaml.safe_dump_all([*config_maps, deployment]), encoding="utf-8")
        pod = f"{deployment['metadata']['name']}-pod-0"
        self.played[pod] = file
        self.run("play", "kube", "--network", PROJECT + alias, file)
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            self.names[container["name"]] = f"{pod}-{container['name']}"
        return pod

    def serves(self, service, port):
        """As the kubelet would ask."""
        asked = ["flower-supernode", f"--healthcheck=127.0.0.1:{port}"]
        said = self.run("exec", self.container(service), *asked, check=False)
        return f"127.0.0.1:{port}: serving" in said

    def wait_ready(self):
        for service, port in (("supernode", 9095), ("superexec", 9096)):
            wait_until(lambda: self.serves(service, port), f"{service} serves", READY_S, 0.5)

    def kill(self, service):
        """As a kernel without memory does: what podman has killed it does not start again."""
        os.kill(int(self.inspect(service, "{{.State.Pid}}")), signal.SIGKILL)

    def stop(self, pod):
        self.run("pod", "stop", "-t", "30", pod)

    def down(self):
        """Nodes leave the SuperLink first."""
        for pod, file in self.played.items():
            self.run("pod", "stop", "-t", "30", pod, check=False)
            self.run("play", "kube", "--down", file, check=False)
        left = self.run("volume", "ls", "-q", "--filter", f"name={PROJECT}", check=False).split()
        if left:
            self.run("volume", "rm", "-f", *left, check=False)
        self.played = {}

    def end(self):
        self.down()
        self.run("rm", "-f", self.names["superlink"], check=False)
        self.run("network", "rm", "-f", PROJECT, check=False)


@pytest.fixture(scope="module")
def cluster(images, tmp_path_factory):
    pods = Pods(tmp_path_factory.mktemp("pods"))
    try:
        pods.start_superlink()
        yield pods
    finally:
        pods.end()


@pytest.fixture
def pods(cluster, request):
    failed = request.session.testsfailed
    yield cluster
    if request.session.testsfailed > failed:
        for name in cluster.names:
            print(name, cluster.run("logs", cluster.container(name), check=False)[-20000:])
    cluster.down()


def superlink_ca(pods):
    return config_map("superlink-ca", {"ca.crt": pods.certificate("public")})


def check_restricted(pods, *services):
    """User 49999, no capability, no way to more rights, a root that is not written to."""
    for service in services:
        assert pods.inspect(service, "{{.HostConfig.ReadonlyRootfs}}") == "true"
        pid = pods.inspect(service, "{{.State.Pid}}")
        lines = text_of(Path("/proc") / pid / "status").splitlines()
        status = dict(line.split(":\t", 1) for line in lines)
        assert status["Uid"].split() == 4 * ["49999"]
        assert int(status["CapBnd"], 16) == int(status["CapEff"], 16) == 0
        assert status["NoNewPrivs"] == "1"


def test_one_pod(pods):
    """Node and launcher meet at the socket; a launcher that is killed is answered for, and is there
    again; a pod that is stopped ends well."""
    pod = pods.play(deployments_of("one-pod")["flower-node"], superlink_ca(pods))
    pods.wait_ready()
    check_restricted(pods, "supernode", "superexec")
    assert pods.came_back(pods.knock(1)) == [[0, ""]]
    gate = pods.new_gate()
    pods.add_other_app("superexec")
    result = pods.knock(1, gate)
    pods.wait_at_gate(gate, "superexec")
    # Where podman's rules of system calls allow mounts it does not see the names either.
    assert pods.reached("superexec", gate) - {"list"} == {"home", "temporary"}
    pods.kill("superexec")
    ((code, reason),) = pods.came_back(result)
    assert code == 8, reason
    assert pods.came_back(pods.knock(1)) == [[0, ""]]
    pods.stop(pod)
    assert [pods.exit_status(each) for each in ("supernode", "superexec")] == [0, 0]


def test_two_deployments(pods):
    """Launcher and node over TLS, with a secret of both."""
    deployments = deployments_of("two-deployments")
    tls = {file: pods.certificate("worker-api", file) for file in ("ca.crt", "tls.crt", "tls.key")}
    shared = [config_map("worker-api-tls", tls)]
    shared.append(config_map("launcher", {"launcher": base64.b64encode(os.urandom(32)).decode()}))
    supernode, superexec = (deployments[f"flower-{each}"] for each in ("supernode", "superexec"))
    pods.play(supernode, superlink_ca(pods), *shared, alias=":alias=worker-api")
    pods.play(superexec, *shared)
    pods.wait_ready()
    check_restricted(pods, "supernode", "superexec")
    assert pods.came_back(pods.knock(1)) == [[0, ""]]
