"""Make FABs in the directory given: one by the real package, and variants of it, good and bad.

Prints the name of the directory that the real package installs the first one to.
"""

import contextlib
import hashlib
import io
import os
import stat
import sys
import warnings
import zipfile
from pathlib import Path

from flwr.cli.build import build
from flwr.cli.install import install_from_fab

PYPROJECT = """
[project]
name = "demo-app"
version = "1.0.0"
description = "d"
license = "Apache-2.0"
dependencies = ["flwr>=1.15"]

[tool.flwr.app]
publisher = "Some Org"

[tool.flwr.app.components]
serverapp = "demo_app.server_app:app"
clientapp = "demo_app.client_app:app"

[tool.flwr.app.config]
num-server-rounds = 3
lr = 0.5
train.deep.flag = true
name = "x"
"""

FILES = {
    "demo_app/__init__.py": b"",
    "demo_app/client_app.py": b"app = 1\n",
    "demo_app/server_app.py": b"app = 2\n",
    "demo_app/sub/deep/er.py": b"# deep\n" * 1000,
    # A name in decomposed form, as macOS writes it: bytes are bytes.
    "demo_app/gro\u0308\u00dfe.py": b"x = 1\n",
    "README.md": b"# demo\n",
}


def line(name, data):
    return f"{name},{hashlib.sha256(data).hexdigest()},{len(data) * 8}\n"


def listing(files):
    return "".join(line(n, d) for n, d in files)


def info(name, kind=0):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (kind | 0o644) << 16
    return entry


def write(path, files, content, pyproject=PYPROJECT, method=zipfile.ZIP_STORED, kinds=None):
    """files are pairs, for a name may come twice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(path, "w") as fab:
            if pyproject is not None:
                fab.writestr(info("pyproject.toml"), pyproject, method)
            for name, data in files:
                fab.writestr(info(name, (kinds or {}).get(name, 0)), data, method)
            if content is not None:
                fab.writestr(info(".info/CONTENT"), content, method)


def patch(source, target, change):
    data = bytearray(source.read_bytes())
    change(data)
    target.write_bytes(data)


def good(out, files, text):
    pyproject = PYPROJECT.encode()
    write(out / "listed.fab", files, text + line("pyproject.toml", pyproject))
    write(out / "deflated.fab", files, text, method=zipfile.ZIP_DEFLATED)
    folders = [("demo_app/", b""), ("empty/", b"")]
    write(out / "folders.fab", folders + files, text, kinds={"empty/": stat.S_IFDIR})
    write(out / "carriage.fab", files, text.replace("\n", "\r\n").rstrip())
    write(out / "comma.fab", files + [("a,b.py", b"1")], text + line("a,b.py", b"1"))
    write(out / "signed.fab", files + [(".info/x", b"1")], text + line(".info/x", b"1"))
    for name, comment in {"comment": b"a comment", "longest": b"c" * 65535}.items():
        write(out / f"{name}.fab", files, text)
        with zipfile.ZipFile(out / f"{name}.fab", "a") as fab:
            fab.comment = comment
    zeros = files + [("zeros.md", bytes(1 << 20))]
    write(out / "zeros.fab", zeros, listing(zeros), method=zipfile.ZIP_DEFLATED)


def bad_paths(out, files, text):
    names = {
        "dotdot": "../evil.py",
        "inner": "demo_app/../../evil.py",
        "absolute": "/tmp/evil.py",
        "dot": "./evil.py",
        "double": "demo_app//evil.py",
        "backslash": "demo_app\\evil.py",
        "control": "evil\x01.py",
        "newline": "evil\n.py",
        "long": "a" * 300,
        "longer": "a/" * 600 + "a",
    }
    for key, name in names.items():
        write(out / f"path-{key}.fab", files + [(name, b"1")], text + line(name, b"1"))
    extra = files + [("link.py", b"/etc/passwd")]
    write(out / "symlink.fab", extra, listing(extra), kinds={"link.py": stat.S_IFLNK})
    write(out / "fifo.fab", extra, listing(extra), kinds={"link.py": stat.S_IFIFO})
    clash = files + [("README.md/x.py", b"1")]
    write(out / "clash.fab", clash, listing(clash))
    clash = files + [("demo_app", b"1")]
    write(out / "clash2.fab", clash, listing(clash))
    plain = files + [("x_y.py", b"1")]
    write(out / "plain.fab", plain, listing(plain))
    patch(out / "plain.fab", out / "nul.fab", lambda d: rename(d, b"x_y.py", b"x\0y.py"))
    patch(out / "plain.fab", out / "latin.fab", lambda d: rename(d, b"x_y.py", b"x\xffy.py"))


def rename(data, old, new):
    data[:] = data.replace(old, new)


def bad_lists(out, files, text):
    first = listing(files[1:2])
    write(out / "hash.fab", files, text.replace(line(*files[1]), line(files[1][0], b"App = 1\n")))
    write(out / "size.fab", files, text.replace(first, first.replace(",64\n", ",72\n")))
    write(out / "bits.fab", files, text.replace(first, first.replace(",64\n", ",65\n")))
    write(out / "unlisted.fab", files, text.replace(first, ""))
    write(out / "missing.fab", files, text + line("gone.py", b"1"))
    write(out / "twice-listed.fab", files, text + first)
    write(out / "pyproject-hash.fab", files, text + line("pyproject.toml", b"other"))
    same = PYPROJECT.encode().replace(b'"x"', b'"y"')
    write(out / "pyproject-same.fab", files, text + line("pyproject.toml", same))
    write(out / "form.fab", files, text + "nonsense\n")
    write(out / "nolist.fab", files, None)
    write(out / "nopyproject.fab", files, text, pyproject=None)
    write(out / "twice.fab", files + files[1:2], text)
    write(out / "twice-folder.fab", files + [("README.md/", b"")], text)
    write(out / "twice-pyproject.fab", files + [("pyproject.toml", PYPROJECT)], text)


def bad_sizes(out, files, text):
    bomb = files + [("bomb.md", bytes(20 << 20))]
    write(out / "bomb.fab", bomb, listing(bomb), method=zipfile.ZIP_DEFLATED)
    many = files + [(f"f/{i}.py", b"") for i in range(30000)]
    write(out / "many.fab", many, listing(many))
    big = PYPROJECT + "#" * (128 << 10)
    write(out / "pyproject-big.fab", files, text, pyproject=big)
    deep = files + [(f"{i}/" + "a/" * 100 + "x.py", b"") for i in range(200)]
    write(out / "deep.fab", deep, listing(deep))
    # The bomb again, announced (in the list and in both headers) as something small.
    mild = listing(files + [("bomb.md", bytes(1 << 20))])
    write(out / "liar.fab", bomb, mild, method=zipfile.ZIP_DEFLATED)
    old, new = ((n << 20).to_bytes(4, "little") for n in (20, 1))
    patch(out / "liar.fab", out / "liar.fab", lambda d: rename(d, old, new))


def bad_zips(out):
    real = out / "real.fab"
    size = real.stat().st_size
    with zipfile.ZipFile(out / "comment.fab") as fab:
        end = fab.fp.seek(0, os.SEEK_END) - len(fab.comment) - 22
    # Two ends, of which each reader may take another.
    patch(out / "comment.fab", out / "ends.fab",
          lambda d: d.__setitem__(slice(end + 20, None), (22).to_bytes(2, "little") + d[end:end + 20] + b"\0\0"))
    patch(real, out / "trailing.fab", lambda d: d.extend(b"x"))
    patch(real, out / "leading.fab", lambda d: d.insert(0, 0))
    patch(real, out / "text.fab", lambda d: d.__setitem__(slice(None), b"no zip at all" * 9))
    patch(real, out / "empty.fab", lambda d: d.clear())
    for i, cut in enumerate([1, 5, 21, 22, 30, 60, 300, size // 2, size - 10, size - 1]):
        patch(real, out / f"cut-{i}.fab", lambda d, cut=cut: d.__delitem__(slice(-cut, None)))
    with zipfile.ZipFile(real) as fab:
        names = [i.header_offset for i in fab.infolist()]
        start = fab.start_dir
    # Two entries with the same data.
    second = names[1].to_bytes(4, "little")

    def overlap(d):
        at = start
        for _ in range(2):
            at += 46 + int.from_bytes(d[at + 28:at + 30], "little")
        d[at + 42:at + 46] = second

    patch(real, out / "overlap.fab", overlap)
    patch(real, out / "local.fab", lambda d: d.__setitem__(names[1] + 30, ord("D")))
    patch(real, out / "encrypted.fab", lambda d: d.__setitem__(start + 8, 1))
    patch(real, out / "method.fab", lambda d: d.__setitem__(start + 10, 12))
    patch(real, out / "zip64.fab",
          lambda d: d.__setitem__(slice(start + 42, start + 46), b"\xff" * 4))


def main():
    out = Path(sys.argv[1]).resolve()
    app = out / "demo-app"
    for name, data in FILES.items():
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_bytes(data)
    (app / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    os.chdir(out)
    with contextlib.redirect_stdout(io.StringIO()):
        name, _ = build(app)
        os.rename(name, "real.fab")
        installed = install_from_fab((out / "real.fab").read_bytes(), out / "real-home", True)
    files = list(FILES.items())
    text = listing(files)
    good(out, files, text)
    bad_paths(out, files, text)
    bad_lists(out, files, text)
    bad_sizes(out, files, text)
    bad_zips(out)
    print(installed.name)


main()
