"""Writes docs/compatibility.md from what pytest has noted about test_releases.py, test_transports.py
and test_official_workers.py of tests/system."""

import sys
from pathlib import Path
from xml.etree import ElementTree

KINDS = {
    "test_run": "two nodes, full run",
    "test_run_with_tls_and_keys": "the same with TLS and registered keys",
    "test_run_with_tls": "the same with TLS",
    "test_judge": "one node: state, run configuration, an exception, a large message",
    "test_package_of_another_release": "the same, the app's Python has another release",
    "test_upgrade": "upgraded from 1.39 to 1.41 under running nodes",
    "test_official_workers": "launcher and workers of the same release",
    "test_official_workers_of_another_release": "launcher and workers of another release",
}

PAGE = """# Compatibility

What was seen when our `flower-supernode` and `flwr-clientapp` worked with unmodified SuperLinks of Flower, each with the newest patch of
a minor release. Two nodes run an app written for that release, with that release's Python package, through the worker of this
project; the ServerApp checks every number that comes back, an app's exception, and the state that each node keeps. 1.19, which was
replaced after a month, is no target. The rows with one node are of another app, which knows the names of 1.15 and of 1.21 and later.

`scripts/compatibility` runs all of them and writes this page; `scripts/compatibility 1.39` runs those of one release again. Without it,
`scripts/test` runs 1.15, 1.26, 1.39 and 1.41; REST and the adapter with 1.15 and 1.26. Seconds are wall time, and no measure.

The legacy stream (`flwr.server.start_server`, "grpc-bidi") is no SuperLink's: `tests/system/test_bidi.py` has ten clients at once of
`examples/bidi-client` at the server of 1.15.2 and at that of 1.41.0, plain and by TLS. There are no keys over it.

Apps in C and libflwr are part of every `scripts/test`: an app in C at the SuperLinks of 1.15.2 (gRPC, REST and the adapter), 1.26, 1.39
and 1.41.0 (`tests/system/test_native.py`), nodes of libflwr at the same ones (there and in `tests/system/test_library_superlink.py`),
`flwr_start_client()` and `flwr_start_numpy_client()` at `flwr.server.start_server` of 1.15.2 and of 1.41.0, plain and by TLS
(`tests/system/test_library.py`). The table has only apps in Python.

| date | release | Fleet API over | what | result |
|---|---|---|---|---|
{rows}

## Flower's workers under our SuperNode

The same run, with Flower's own launchers and workers (`flower-superexec` and `flwr-clientapp`; to 1.20 `flwr-clientapp` alone): one node with
`--isolation process`, beside which a launcher runs, and one that runs a launcher by `--clientapp-command`
(`tests/system/test_official_workers.py`; `scripts/test` runs 1.26 and 1.39, and Flower's workers of 1.15, 1.34 and 1.41 with single messages).
At a SuperLink of 1.41.0 launchers and workers of each release from 1.34.0 to 1.42.0 were seen with state, errors, 7 MiB both ways, a launchers' secret, and
a worker that is killed (`tests/system/test_newest_isolation.py`).
Flower's `flwr-clientapp`, which our node starts for each message (`--clientapp-command` with `{token}`), was seen so at SuperLinks of 1.15.2 and 1.26.1, and
with 1.34.0, 1.39.0 and 1.41.0 at one of 1.41.0; `scripts/test --all-releases` has one or more of each dialect (there and in `tests/system/test_foreign_worker.py`).

| date | release of the SuperLink | Fleet API over | what | result |
|---|---|---|---|---|
{workers}

## Our worker under Flower's SuperNodes

Unmodified SuperNodes of Flower, each at a SuperLink of its release; nobody has told our programs which one it is (`tests/system/test_supernodes.py`:
`scripts/test` runs 1.15, 1.26, 1.34, 1.39 and 1.41, `scripts/test --all-releases` all). With `--isolation process` beside `flwr-clientapp` or
`flower-superexec` of ours: *messages* are one after the other, state that is kept, an exception, an app that is killed and answered for by our worker;
*run* is a full run on two nodes, one with each of the two programs. *subprocess*: the SuperNode starts our program, found first on `PATH`, with the arguments of
its release; a full run on two nodes.

| date | release | the launcher asks by | over | what was seen |
|---|---|---|---|---|
| 2026-11-28 | 1.15.2 | GetToken | gRPC | messages |
| 2026-11-28 | 1.18.0 | GetToken | gRPC | run |
| 2026-11-28 | 1.20.0 | GetRunIdsWithPendingMessages, RequestToken | gRPC | run; subprocess |
| 2026-11-28 | 1.22.0 | ListAppsToLaunch, RequestToken | gRPC | messages; subprocess |
| 2026-11-28 | 1.25.0 | the same | gRPC | messages |
| 2026-11-28 | 1.26.1 | the same | gRPC | messages; 30 MiB in one array both ways; subprocess |
| 2026-11-28 | 1.29.0 | the same | gRPC | messages; launcher secret |
| 2026-11-28 | 1.30.0 | PullPendingTasks, ClaimTask | gRPC | messages |
| 2026-11-28 | 1.32.1 | the same | gRPC | messages |
| 2026-11-28 | 1.34.0 | the same | gRPC | messages; run; launcher secret; TLS; subprocess |
| 2026-11-29 | 1.36.0 | the same | HTTP | messages; run |
| 2026-11-29 | 1.38.0 | the same | HTTP | messages; run |
| 2026-11-28 | 1.39.0 | AcquireTask | HTTP | messages |
| 2026-11-28 | 1.41.0 | AcquireTask | HTTP | messages; launcher secret; TLS; 30 MiB in one array both ways; subprocess |
| 2026-11-29 | 1.42.0 | AcquireTask | HTTP | messages; run |

A worker that is killed after it has got its message: Flower's SuperNode hands a message out once and answers itself, with error 8, a minute after the last
heartbeat (seen with 1.41.0; that of 1.26.1 tries to and fails, "Start time or end time for message ID ... is missing"). TLS was seen over gRPC (1.34.0) and
HTTP (1.39.0, 1.41.0), in both crosses.
"""


def row_of(case, date):
    """(is it one of Flower's workers, what to sort by, the row)"""
    name, _, parameter = case.get("name").partition("[")
    noted = {each.get("name"): each.get("value") for each in case.iter("property")}
    ways = {"failure": "failed", "error": "failed", "skipped": "not run"}
    found = [ways[each.tag] for each in case if each.tag in ways]
    what = KINDS[name]
    if name == "test_upgrade":
        what += "; the database is kept" if parameter == "True]" else "; what it knew is lost"
    if name == "test_run_with_tls" and not parameter.endswith("-0]"):
        what += ", and keys that are not used"
    if name == "test_package_of_another_release":
        what += f": {parameter.rstrip(']').rpartition('-')[2]}"
    if name == "test_official_workers_of_another_release":
        what += f": {parameter.partition('-')[0]}"
    release = noted.get("release", "?")
    transport = noted.get("transport", "?")
    result = found[0] if found else f"works ({float(case.get('time')):.0f} s)"
    minor = int(release.split(".")[1]) if release != "?" else 0
    order = (minor, list(KINDS).index(name), parameter)
    of_workers = name.startswith("test_official")
    return of_workers, order, f"| {date} | {release} | {transport} | {what} | {result} |"


BY_HAND = "\n## Our worker"


def by_hand(page):
    """What stands in the page from this heading on."""
    text = Path(page).read_text(encoding="utf-8") if Path(page).exists() else ""
    _, heading, rest = text.partition(BY_HAND)
    return heading + rest


def main(page, *results):
    """The last of several results of a test counts."""
    rows = {}
    for path in results:
        suite = ElementTree.parse(path).getroot().find("testsuite")
        date = suite.get("timestamp").partition("T")[0]
        seen = set()
        for case in suite.iter("testcase"):
            if case.get("name").partition("[")[0] not in KINDS:
                continue
            # One that passes and then leaves something behind is there twice.
            if case.get("name") not in seen or case.find("error") is not None:
                rows[case.get("name")] = row_of(case, date)
            seen.add(case.get("name"))
    tables = [
        "\n".join(row for of_workers, _, row in sorted(rows.values()) if of_workers == wanted)
        for wanted in (False, True)
    ]
    Path(page).write_text(PAGE.format(rows=tables[0], workers=tables[1]) + by_hand(page), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
