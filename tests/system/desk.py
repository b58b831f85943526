"""A SuperNode's workers in the hands of the test."""

import json
import shutil
import socket
import sys
import tempfile
from pathlib import Path


class Desk:
    """A SuperNode whose workers are the test's: they tell their token and wait."""

    def __init__(self, federation):
        self.folder = tempfile.TemporaryDirectory(prefix="desk-")
        folder = Path(self.folder.name)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(folder / "socket"))
        self.listener.listen()
        self.listener.settimeout(30)
        # The program looks for its worker beside itself, wherever links to it are.
        prefix = federation.binaries.parent
        libexec = folder / "libexec/flwr-native"
        (folder / "bin").mkdir()
        libexec.mkdir(parents=True)
        for program in ("bin/flower-supernode", "libexec/flwr-native/flower-supernode"):
            shutil.copy2(prefix / program, folder / program)
        for file in (prefix / "libexec/flwr-native").iterdir():
            if file.name not in ("flower-supernode", "flwr-clientapp"):
                (libexec / file.name).symlink_to(file)
        if (prefix / "share").exists():
            (folder / "share").symlink_to(prefix / "share")
        worker = libexec / "flwr-clientapp"
        script = Path(__file__).parent / "fake_worker.py"
        worker.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" "{script}" "{folder}/socket"\n', encoding="utf-8"
        )
        worker.chmod(0o755)
        self.bin = folder / "bin"

    def worker(self):
        """The next worker: (its connection, which it lives as long as; token; address)."""
        connection, _ = self.listener.accept()
        said = json.loads(connection.recv(65536))
        return connection, said["token"], said["address"]

    def close(self):
        self.listener.close()
        self.folder.cleanup()
