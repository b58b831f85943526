"""clang-tidy over all that is compiled; a file that has passed is skipped until something changes."""

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def compiled(root, build):
    """Each source of ours once, whatever the number of its targets."""
    commands = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    files = {Path(entry["directory"], entry["file"]).resolve() for entry in commands}
    return sorted(file for file in files if root in file.parents and build not in file.parents)


def fingerprint(root):
    """Of all that can change what clang-tidy says of any file."""
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout
    whole = hashlib.sha256(version + (root / ".clang-tidy").read_bytes())
    for header in sorted([*root.rglob("*.h"), *root.rglob("*.hpp")]):
        if root / "build" not in header.parents:
            whole.update(header.read_bytes())
    return whole


def check(file, build, stamps, whole):
    """What clang-tidy has to say; nothing when it is content."""
    digest = whole.copy()
    digest.update(str(file).encode() + file.read_bytes())
    stamp = stamps / digest.hexdigest()
    if stamp.exists():
        return ""
    done = subprocess.run(
        ["clang-tidy", "--quiet", "--warnings-as-errors=*", "-p", str(build), str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return done.stdout + done.stderr
    stamp.touch()
    return ""


def main():
    root, build = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    stamps = build / "tidy"
    stamps.mkdir(exist_ok=True)
    whole = fingerprint(root)
    files = compiled(root, build)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        said = list(pool.map(lambda file: check(file, build, stamps, whole), files))
    bad = [text for text in said if text]
    print("\n".join(bad), f"{len(files)} files, {len(bad)} with findings", sep="\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
