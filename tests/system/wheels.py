"""Wheels of small packages, made by a test, and what a folder of them is good for."""

import zipfile

LOCAL = {  # what both uv and pip take from the environment: nothing but the wheels of a folder
    "UV_OFFLINE": "1",
    "UV_NO_INDEX": "1",
    "PIP_NO_INDEX": "1",
}


def make_wheel(folder, name, version="1.0", requires=(), code=""):
    """A package of one module, whose VERSION is its version."""
    folder.mkdir(parents=True, exist_ok=True)
    module = name.replace("-", "_")
    about = f"{module}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{module}.py": f'VERSION = "{version}"\n{code}',
        f"{about}/METADATA": metadata + "".join(f"Requires-Dist: {r}\n" for r in requires),
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{about}/RECORD"])
    wheel = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def local(folder):
    """Variables with which uv and pip know this folder alone."""
    return {**LOCAL, "UV_FIND_LINKS": str(folder), "PIP_FIND_LINKS": str(folder)}
