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
        (folder / "bin").mkdir()
        shutil.copy2(federation.binaries / "flower-supernode", folder / "bin")
        for beside in ("libexec", "share"):
            if (federation.binaries.parent / beside).exists():
                (folder / beside).symlink_to(federation.binaries.parent / beside)
        worker = folder / "bin/flwr-clientapp"
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
