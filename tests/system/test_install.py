"""The programs where `cmake --install` puts them, and as links from elsewhere."""

import os
import subprocess
from pathlib import Path

import pytest

from judge import serves

pytestmark = pytest.mark.ours


@pytest.fixture
def installed(tmp_path):
    """The folder of the installed programs."""
    build = Path(os.environ["FLWR_BIN_DIR"]).parent
    prefix = tmp_path / "prefix"
    subprocess.run(
        ["cmake", "--install", build, "--prefix", prefix],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=60,
    )
    return prefix / "bin"


def check(federation, binaries, installed):
    federation.binaries = binaries
    federation.start_superlink()
    node = federation.start_node()
    assert os.readlink(f"/proc/{node.pid}/exe") == str(
        installed.parent / "libexec/flwr-native/flower-supernode"
    )
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    assert serves(judge, node_id) == 1


def test_installed(federation, installed):
    """Nothing of the build folder is needed."""
    check(federation, installed, installed)


def test_link(federation, installed, tmp_path):
    """The worker is found beside the program, not beside the link."""
    links = tmp_path / "links"
    links.mkdir()
    (links / "flower-supernode").symlink_to(installed / "flower-supernode")
    check(federation, links, installed)


def test_native_app(federation, installed, tmp_path):
    """An app in C is built and run with what is installed alone."""
    prefix = installed.parent
    source = Path(__file__).parent / "native/judge.c"
    (library,) = prefix.glob("lib*/**/libflwr-app.so")
    flags = [f"-I{prefix / 'include'}", f"-L{library.parent}", "-lflwr-app"]
    app = tmp_path / "judge.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", app, source, *flags], check=True, timeout=60)
    federation.binaries = installed
    federation.start_superlink()
    federation.start_node(options={"--native-app": f"flwr-native/judge={app}", "--python": None})
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    assert serves(judge, node_id) == 1
