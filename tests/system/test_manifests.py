"""The manifests, the chart, the compose file and the unit of docker/: their schemas, what pod security asks
for, and that our programs know each option in them."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from cluster_desk import cluster_desk
from federation.release import PYTHON

pytestmark = pytest.mark.ours

DOCKER = Path(__file__).parents[2] / "docker"
KUSTOMIZATIONS = ["one-pod", "two-deployments"]
TOOLS = PYTHON / "manifests/bin"  # by scripts/setup --for-tests
RENDER = Path(__file__).parent / "render_chart.py"
# kubectl, for the commands of docs/deployment.md: says what it would make.
DRY = 'kubectl() { [ $1 = apply ] || command kubectl "$@" --dry-run=client -o yaml; echo ---; }\n'

CHARTS = {
    "defaults": "{}",
    "socket": """
        superlink: {rootCertificates: "-----BEGIN CERTIFICATE-----\\nAA==\\n-----END CERTIFICATE-----\\n"}
        nodes:
          - {name: a, config: 'partition-id=0 name="alice"', privateKey: "a key\\n"}
          - {name: b, config: "", privateKeySecret: key-of-b}
        gpus: {count: 2}
        image: {pullSecrets: [{name: registry}]}
        volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
        volumeMounts: [{name: data, mountPath: /data, readOnly: true}]
        supernodeArgs: [--log-level=debug]
        superexecArgs: [--log-level=debug]
        nodeSelector: {gpu: "yes"}
        tolerations: [{key: gpu, operator: Exists}]
        affinity: {nodeAffinity: {}}
    """,
    "tls": """
        superlink: {insecure: true}
        nodes: [{name: a, config: partition-id=0}, {name: b, config: partition-id=1}]
        workerApi: {mode: tls, launchers: 3}
        gpus: {count: 1, resource: amd.com/gpu}
        volumes: [{name: data, emptyDir: {}}]
        volumeMounts: [{name: data, mountPath: /data}]
        superexecArgs: [--log-level=debug]
        networkPolicy: {superlinkPort: 9092}
    """,
}


def run(*argv, **more):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, **more)
    assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def tool(name):
    if not (TOOLS / name).exists():
        pytest.skip("scripts/setup --for-tests installs what checks manifests")
    return TOOLS / name


def render(name, tmp_path):
    values = tmp_path / "values.yaml"
    values.write_text(CHARTS[name], encoding="utf-8")
    return run(tool("python"), "-B", RENDER, DOCKER / "helm", values)


@pytest.fixture(params=[*KUSTOMIZATIONS, *(f"chart: {name}" for name in CHARTS)])
def manifests(request, tmp_path):
    """The objects, as a cluster would be given them."""
    if request.param not in KUSTOMIZATIONS:
        text = render(request.param.removeprefix("chart: "), tmp_path)
    elif shutil.which("kubectl"):
        text = run("kubectl", "kustomize", DOCKER / "kubernetes" / request.param)
    else:
        folder = DOCKER / "kubernetes" / request.param
        resources = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))["resources"]
        text = "---\n".join((folder / name).read_text("utf-8") for name in resources)
    return [each for each in yaml.safe_load_all(text) if each]


def pods(objects):
    return [each["spec"]["template"]["spec"] for each in objects if each["kind"] == "Deployment"]


def containers(pod):
    return [*pod.get("initContainers", []), *pod["containers"]]


def test_schema(manifests, tmp_path):
    """Each object is one that Kubernetes takes, without a field that it would pass over."""
    validate = tool("kubernetes-validate")
    file = tmp_path / "objects.yaml"
    file.write_text(yaml.safe_dump_all(manifests), encoding="utf-8")
    run(validate, "--strict", file)


@pytest.mark.parametrize("verb", ["create", "apply"])
def test_kubectl(manifests, tmp_path, verb):
    """kubectl would send each object; a stand-in answers what it asks a cluster first."""
    if not shutil.which("kubectl"):
        pytest.skip("no kubectl")
    file = tmp_path / "objects.yaml"
    file.write_text(yaml.safe_dump_all(manifests), encoding="utf-8")
    argv = [verb, "--dry-run=client", "--validate=false", "-o", "name", "-f", file]
    environ = {**os.environ, "KUBECONFIG": "", "HOME": str(tmp_path)}
    with cluster_desk() as address:
        sent = run("kubectl", "--server", address, *argv, env=environ)
    names = [each.rpartition("/")[2] for each in sent.split()]
    assert sorted(names) == sorted(each["metadata"]["name"] for each in manifests)


def test_commands(tmp_path):
    """The commands of docs/deployment.md make what the manifests mount."""
    if not shutil.which("kubectl") or not shutil.which("openssl"):
        pytest.skip("no kubectl, or no openssl")
    text = (DOCKER.parent / "docs/deployment.md").read_text("utf-8")
    (block,) = re.findall(r"```\n(kubectl create configmap.*?)```", text, re.S)
    (tmp_path / "docker").symlink_to(DOCKER)
    (tmp_path / "ca.crt").write_text("a certificate\n", encoding="utf-8")
    said = run("bash", "-ec", DRY + block, cwd=tmp_path)
    made = [each for each in yaml.safe_load_all(said) if each]
    keys = {each["metadata"]["name"]: set(each["data"]) for each in made}
    files = sorted((DOCKER / "kubernetes").glob("*/*.yaml"))
    objects = [each for file in files for each in yaml.safe_load_all(file.read_text("utf-8"))]
    for volume in (volume for pod in pods(objects) for volume in pod["volumes"]):
        source = volume.get("configMap") or volume.get("secret")
        if source:
            name = source.get("name") or source["secretName"]
            assert {item["key"] for item in source.get("items", [])} <= keys[name]
    assert keys == {
        "superlink-ca": {"ca.crt"},
        "worker-api-tls": {"ca.crt", "tls.crt", "tls.key"},
        "launcher": {"launcher"},
    }


def test_restricted(manifests):
    """Pod security, profile restricted, and a root that nobody writes to."""
    assert pods(manifests)
    for pod in pods(manifests):
        security = pod["securityContext"]
        assert security["runAsNonRoot"] and security["runAsUser"] == 49999
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in containers(pod):
            assert container["securityContext"] == {
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]


def test_volumes(manifests):
    """Each mount has its volume, each volume a mount."""
    for pod in pods(manifests):
        mounted = {mount["name"] for each in containers(pod) for mount in each["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


def check_cage(options, variables, mounts):
    """What containers of the launcher need where apps have no mounts: the cage by its name, and apps installed apart
    from what apps write to, which lies on a volume of its own."""
    assert "--sandbox=node" in options
    home = Path(variables["FLWR_HOME"])
    (below,) = [Path(mount) for mount in mounts if Path(mount) in home.parents]
    written = {Path(variables["HOME"]), Path(variables.get("TMPDIR", "/tmp"))}
    assert all(str(each) in mounts for each in written)
    assert not any(home.is_relative_to(each) or each.is_relative_to(below) for each in written)


def test_cage(manifests):
    launchers = [
        each for pod in pods(manifests) for each in pod["containers"] if each["name"] == "superexec"
    ]
    assert launchers
    for each in launchers:
        variables = {pair["name"]: pair["value"] for pair in each["env"]}
        check_cage(each["args"], variables, [mount["mountPath"] for mount in each["volumeMounts"]])


def secret_of(options):
    (option,) = [each for each in options if each.startswith("--superexec-auth-secret-file=")]
    return option


def test_secret(manifests):
    """Apps may reach the worker API, and sign nothing there: node and launcher have a secret."""
    for pod in pods(manifests):
        named = [secret_of(each["args"]) for each in pod["containers"]]
        assert len(set(named)) == 1


@pytest.mark.parametrize("value, said", [("strict", ["--sandbox=strict"]), ('"off"', ["--sandbox=off"]), ('""', [])])
def test_chart_cage(tmp_path, value, said):
    """The value of the chart, and none."""
    values = tmp_path / "values.yaml"
    values.write_text(f"sandbox: {value}", encoding="utf-8")
    text = run(tool("python"), "-B", RENDER, DOCKER / "helm", values)
    objects = [each for each in yaml.safe_load_all(text) if each]
    options = [option for pod in pods(objects) for each in pod["containers"] for option in each["args"]]
    assert [option for option in options if "sandbox" in option] == said


def test_network_policies(manifests):
    """Each pod has one, in both directions."""
    policies = [each["spec"] for each in manifests if each["kind"] == "NetworkPolicy"]
    for each in manifests:
        if each["kind"] == "Deployment":
            labels = each["spec"]["template"]["metadata"]["labels"]
            mine = [policy for policy in policies if policy["podSelector"]["matchLabels"].items() <= labels.items()]
            assert [policy["policyTypes"] for policy in mine] == [["Ingress", "Egress"]]


def program_of(image):
    for target in ("supernode", "superexec"):
        if target in image:
            return Path(os.environ["FLWR_BIN_DIR"]) / f"flower-{target}"
    raise AssertionError(image)


def test_options(manifests):
    """They are known, and their values are good ones: --version ends the reading without complaint."""
    for pod in pods(manifests):
        for container in pod["containers"]:
            run(program_of(container["image"]), *container["args"], "--version")


def probed(container):
    """The ports that its probes ask at."""
    named = {each["name"]: each["containerPort"] for each in container["ports"]}
    for probe in (container["readinessProbe"], container["livenessProbe"]):
        yield probe["grpc"]["port"] if "grpc" in probe else named[probe["tcpSocket"]["port"]]


def test_probes(manifests):
    """Each program is asked at its health address, where the kubelet reaches it; no two programs of
    a pod have a port in common."""
    for pod in pods(manifests):
        ports = []
        for container in pod["containers"]:
            (port,) = set(probed(container))
            assert "grpc" in container["readinessProbe"]
            assert f"--health-server-address=0.0.0.0:{port}" in container["args"]
            ports += [each["containerPort"] for each in container["ports"]]
            assert port in ports
        assert len(ports) == len(set(ports))


def test_launchers_probes(manifests):
    """A launcher that hangs is started again, one whose app takes all cores for a moment is not."""
    for pod in pods(manifests):
        for each in pod["containers"]:
            if each["name"] == "superexec":
                assert "grpc" in each["livenessProbe"]
                assert each["livenessProbe"]["timeoutSeconds"] >= 10


def test_gpus(tmp_path):
    for chart, gpus in (("socket", {"nvidia.com/gpu": 2}), ("tls", {"amd.com/gpu": 1})):
        objects = [each for each in yaml.safe_load_all(render(chart, tmp_path)) if each]
        limits = [each["resources"]["limits"] for pod in pods(objects) for each in pod["containers"]]
        with_gpus = [limit for limit in limits if any("gpu" in name for name in limit)]
        assert len(with_gpus) == 2 and all(gpus.items() <= limit.items() for limit in with_gpus)


def test_mode(tmp_path):
    """A word that is none of the two modes is refused."""
    values = tmp_path / "values.yaml"
    values.write_text("workerApi: {mode: plain}", encoding="utf-8")
    argv = [tool("python"), "-B", RENDER, DOCKER / "helm", values]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode and "workerApi.mode must be socket or tls" in done.stderr


def test_compose():
    """The options in the compose file."""
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))["services"]
    for name in ("supernode-1", "supernode-2", "superexec-1", "superexec-2"):
        run(program_of(name), *services[name]["command"], "--version")
        assert services[name]["read_only"] and services[name]["cap_drop"] == ["ALL"]
    for number in (1, 2):
        assert secret_of(services[f"supernode-{number}"]["command"]) == secret_of(
            services[f"superexec-{number}"]["command"]
        )
    for name in ("superexec-1", "superexec-2"):
        service = services[name]
        program, asked = service["healthcheck"]["test"][1:]
        address = asked.removeprefix("--healthcheck=")
        assert Path(program).name == "flower-supernode" and asked != address
        assert f"--health-server-address={address}" in service["command"]
        mounts = [each.partition(":")[0] for each in service["tmpfs"]]
        check_cage(service["command"], service["environment"], mounts)


def test_unit(tmp_path):
    """With the two lines that are comments systemd gives the service control groups, as it says."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze")
    unit = (DOCKER / "flower-supernode.service").read_text("utf-8")
    lines = re.compile(r"^#(?=Delegate=yes$|ProtectControlGroups=no$)", re.M)
    divided, found = lines.subn("", unit)
    assert found == 2
    file = tmp_path / "flower-supernode.service"
    for text, closed in ((unit, True), (divided, False)):
        file.write_text(text, encoding="utf-8")
        said = run("systemd-analyze", "security", "--offline=yes", "--json=short", file)
        closes = {each["name"]: each["set"] for each in json.loads(said)}
        assert closes["ProtectControlGroups="] is closed
        assert closes["Delegate="] is closed
