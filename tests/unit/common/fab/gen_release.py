"""Build FABs with the Flower release that runs this, and install them with it, in the directory given.

Prints "fab FILE NAME" (the directory that the release installs it as) and "home FLWR_HOME XDG_DATA_HOME
HOME RESULT" (where it looks for apps; "-" is not set, "''" is empty).
"""

import contextlib
import io
import os
import sys
import zipfile
from pathlib import Path

from flwr.cli import build as builder
from flwr.cli.install import install_from_fab

OUT = Path(sys.argv[1]).resolve()
NEW = hasattr(builder, "build_fab_from_disk")

PYPROJECT = """
[project]
name = "demo-app"
version = "{version}"
description = "d"
license = {license}
dependencies = ["flwr>=1.15"]

[tool.flwr.app]
publisher = "some-org"
{app}

[tool.flwr.app.components]
serverapp = "demo_app.server_app:app"
clientapp = "demo_app.client_app:app"

[tool.flwr.app.config]
rounds = 3

[tool.flwr.federations]
default = "x"

[tool.flwr.federations.x]
options.num-supernodes = 2
"""

FILES = {
    "demo_app/__init__.py": b"",
    "demo_app/client_app.py": b"app = 1\n",
    "demo_app/server_app.py": b"app = 2\n",
    "demo_app/sub/deep/er.py": b"# deep\n" * 1000,
    "demo_app/gro\u0308\u00dfe.py": b"x = 1\n",
    "demo_app/conf.toml": b"a = 1\n",
    "README.md": b"# demo\n",
    "LICENSE": b"free\n",
    "conf/a.yaml": b"a: 1\n",
    "conf/b.yml": b"b: 1\n",
    "conf/c.json": b"{}\n",
    "conf/d.jsonl": b"{}\n{}\n",
    "data/table.csv": b"1,2\n",
    "data/weights.bin": os.urandom(300000),
    "data/zeros.npy": bytes(1 << 20),
    "data/no-type": b"x",
    "data/notebook.ipynb": b"{}",
    "data/with space & more'.txt": b"x\r\n",
    "data/.hidden.cfg": b"x",
    "data/lib.so": b"\x7fELF",
}

VARIANTS = {"plain": {}}
if NEW:
    VARIANTS |= {
        "few": {"app": 'fab-include = ["demo_app/**/*.py", "conf/*", "LICENSE"]'},
        "less": {"app": 'fab-exclude = ["conf/**"]'},
        "strict": {
            "app": 'fab-format-version = 1\nflwr-version-target = "1.41.0"',
            "license": '{ file = "LICENSE" }',
        },
        "version": {"version": "2.0.0"},
        "any": {},
    }


def build(name, app="", license='"Apache-2.0"', version="1.0.0"):
    folder = OUT / name
    for path, data in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    text = PYPROJECT.format(app=app, license=license, version=version)
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    if name == "any":
        # Files of any type: 1.41 takes only some, what is on the way may bring others.
        builder.filter_paths_for_publish = dict
        builder.FAB_INCLUDE_PATTERNS = ("**",)
    if NEW:
        return builder.build_fab_from_disk(folder)
    os.chdir(OUT)
    path, _ = builder.build(folder)
    return Path(path).read_bytes()


def deflate(data):
    """The same files, packed: no release does it, all of them read it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            new.writestr(zipfile.ZipInfo(info.filename), old.read(info), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def fab(name, data):
    (OUT / f"{name}.fab").write_bytes(data)
    with contextlib.redirect_stdout(io.StringIO()):
        installed = install_from_fab(data, OUT / "home", True)
    print("fab", f"{name}.fab", installed.name)


def home():
    if NEW:
        from flwr.supercore.utils import get_flwr_home as get
    else:
        from flwr.common.config import get_flwr_dir as get
    names = ("FLWR_HOME", "XDG_DATA_HOME", "HOME")
    for values in [("/f", "/d", "/h"), ("/f", None, None), (None, "/d", "/h"), (None, None, "/h")]:
        for key, value in zip(names, values):
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value
        print("home", *("-" if v is None else v for v in values), get())


for variant, settings in VARIANTS.items():
    with contextlib.redirect_stdout(io.StringIO()):
        content = build(variant, **settings)
    fab(variant, content)
    fab(variant + "-deflated", deflate(content))
home()
