"""A node that reaches its SuperLink by a proxy of the environment's (https_proxy, http_proxy): one
that refuses, wants a password, cuts."""

import os

import pytest
from judge import AWAY, serves
from proxy import Proxy
from test_releases import use

pytestmark = pytest.mark.ours

HOST = "superlink.invalid"  # of the certificate, too; only the proxy can find it
SUPERLINKS = {"rest": "1.15", "http": "1.41"}
# What is said when nothing but the proxy answers: by plain text, by TLS.
SAYS = {
    "password": [r"the proxy on the way to \S+ wants a password \(HTTP status 407\)", r"the proxy on the way to .*407"],
    "denied": ["HTTP status 403, as proxies say it", r"the proxy on the way to .*403"],
    "cut": ["closes them without an answer", "closes them without an answer|the proxy on the way to"],
}
ALL = [(name, secure, mode) for name in SUPERLINKS for secure in (False, True) for mode in SAYS]
USUAL = [
    ("rest", False, "password"),
    ("rest", True, "denied"),
    ("http", False, "denied"),
    ("http", True, "password"),
    ("http", True, "cut"),
]


@pytest.mark.parametrize(
    "superlink, secure, mode", ALL if os.environ.get("FLWR_TEST_ALL_FAULTS") else USUAL
)
def test_proxy(federation, tmp_path, superlink, secure, mode, record_property):
    """Before the node is known: a line that names the proxy, and other tries. Afterwards: nothing is
    lost, and nobody is forgotten."""
    use(federation, SUPERLINKS[superlink], record_property)
    federation.fleet_api_type = "rest" if superlink == "rest" else None
    if secure:
        federation.secure()
    federation.expect(AWAY)
    federation.start_superlink()
    proxy = Proxy(federation.fleet, mode)
    try:
        env = {"http_proxy": proxy.url, "https_proxy": proxy.url, "no_proxy": "", "NO_PROXY": ""}
        node = federation.start_node(superlink=f"{HOST}:{federation.fleet}", env=env, wait=False)
        node.wait_log(SAYS[mode][secure], 60)
        proxy.set("pass")
        federation.wait_registered(node, seconds=60)
        judge = federation.judge()
        (node_id,) = judge.nodes(1)
        assert serves(judge, node_id) == 1
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        message = judge.send(node_id, "wait", pipe=str(pipe))
        with open(pipe, "w", encoding="utf-8") as word:  # the app is there
            proxy.set(mode)
            word.write("on")
        proxy.wait_refused(3)
        proxy.set("pass")
        assert judge.reply(message, 120)["code"] == 0
        assert serves(judge, node_id) == 2
        assert node.text().count("registered: node_id=") == 1
        assert node.stop() == 0
    finally:
        proxy.close()
