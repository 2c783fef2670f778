"""run.py test: each tier in a pytest process of its own, and a closing line that hides nothing."""

import os
import tempfile
import time
import xml.etree.ElementTree as xml
from pathlib import Path
from typing import NamedTuple

from . import environment, find_chromium, find_comfyui, server
from .process import pass_through

ROOT = Path(__file__).resolve().parent.parent
TIERS = ("core", "host", "browser")
# As python -m pytest, but without putting the current folder on sys.path: our folders have the
# names of ComfyUI's modules.
PYTEST = "import sys; del sys.path[0]; import pytest; raise SystemExit(pytest.main())"
NO_TEST_RAN = 5
MOST_PROCESSES = 4  # each may hold a ComfyUI server of its own
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # of torch's in each process


class LeftOut(Exception):
    """A tier cannot run on this machine; the message says what is missing."""


class Outcome(NamedTuple):
    label: str
    status: int
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    note: str = ""

    @property
    def is_good(self):
        return self.status in (0, NO_TEST_RAN)

    def __str__(self):
        counts = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        return f"{self.label}: {self.note or counts}"


def main(tiers, pytest_arguments):
    """Run these tiers, or all of them; return 0 when everything that ran passed."""
    outcomes, left_out = [], []
    for tier in tiers or TIERS:
        try:
            outcomes += RUN[tier](pytest_arguments)
        except LeftOut as reason:
            left_out.append(f"{tier}: LEFT OUT, {reason}")
        except (environment.InstallError, find_comfyui.Misnamed) as error:
            print(error)
            outcomes.append(Outcome(tier, 1, failed=1, note="FAILED before it began, see above"))
    return close(outcomes, left_out, asked_for=bool(tiers))


def close(outcomes, left_out, asked_for):
    passed, failed, skipped = (
        sum(getattr(outcome, name) for outcome in outcomes)
        for name in ("passed", "failed", "skipped")
    )
    print("", *outcomes, *left_out, sep="\n")
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    all_good = all(outcome.is_good for outcome in outcomes)
    return 0 if all_good and passed and not (asked_for and left_out) else 1


def run_core(arguments):
    python = environment.ensure("headless", "evaluate", "test")
    ignored = [f"--ignore={ROOT / 'tests' / tier}" for tier in ("host", "browser")]
    arguments = [*side_by_side(), *ignored, ROOT / "tests", *arguments]
    return [run_pytest("core", python, arguments, {**os.environ, **ONE_THREAD})]


def run_host(arguments):
    hosts = known_hosts()
    python = environment_of(hosts)
    arguments = [*servers_side_by_side(), ROOT / "tests" / "host", *arguments]
    return [run_in_host("host", host, python, arguments, **ONE_THREAD) for host in hosts]


def run_browser(arguments):
    chromium = find_chromium.find()
    if chromium is None:
        raise LeftOut(find_chromium.not_found())
    hosts = known_hosts()
    python = environment_of(hosts)
    arguments = [*servers_side_by_side(), ROOT / "tests" / "browser", *arguments]
    variables = {"CHROMIUM_PATH": chromium, **ONE_THREAD}
    return [run_in_host("browser", hosts[0], python, arguments, **variables)]


RUN = {"core": run_core, "host": run_host, "browser": run_browser}


def known_hosts():
    hosts = find_comfyui.find_all()
    if not hosts:
        raise LeftOut(find_comfyui.not_found())
    return hosts


def environment_of(hosts):
    environment.ensure("headless", "evaluate", "test")
    return environment.ensure_comfyui(hosts)


def servers_side_by_side():
    """As side_by_side; not where a server would outlive a process that is told to stop."""
    return side_by_side() if server.C_LIBRARY else []


def side_by_side():
    """Arguments that have pytest run files of tests, in their order, in a process for each core."""
    processes = min(os.cpu_count() or 1, MOST_PROCESSES)
    files = ["--dist", "loadfile", "--no-loadscope-reorder"]
    return ["-n", str(processes), *files] if processes > 1 else []


def run_in_host(tier, host, python, arguments, **variables):
    variables = server.shimmed() | variables | {"FEWSTEP_HOST": str(host.folder)}
    return run_pytest(f"{tier} ({host})", python, arguments, variables)


def run_pytest(label, python, arguments, variables=os.environ):
    print(f"\n== {label} ==", flush=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [python, "-c", PYTEST, "-q", f"--junitxml={report}", *arguments]
        status = pass_through(command, cwd=ROOT, env=variables)
        counts = count(report)
    label = f"{label}, {time.monotonic() - start:.0f} s"
    if status == NO_TEST_RAN:
        return Outcome(label, status, note="no test")
    if status and not counts["failed"]:
        note = f"FAILED, pytest ended with status {status}"
        return Outcome(label, status, counts["passed"], 1, counts["skipped"], note)
    return Outcome(label, status, **counts)


def count(report):
    """Passed, failed and skipped of a JUnit report; a setup error is a failure."""
    if not report.is_file():
        return {"passed": 0, "failed": 0, "skipped": 0}
    suites = xml.parse(report).getroot().iter("testsuite")
    total = failed = skipped = 0
    for suite in suites:
        total += int(suite.get("tests"))
        failed += int(suite.get("failures")) + int(suite.get("errors"))
        skipped += int(suite.get("skipped"))
    return {"passed": total - failed - skipped, "failed": failed, "skipped": skipped}
