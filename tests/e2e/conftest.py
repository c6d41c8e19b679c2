"""Fixtures that make and start whole instances of Pennypost; tests/README.md describes them.

Everything runs inside one `unshare -n -m`: lo is ours, ports 25 and 53 are free, and
/etc/resolv.conf can be covered by a bind mount without touching the machine.
"""
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from dns_server import Dns  # noqa: E402
from instance import (PATIENCE, SAN, SINGLE_UID, SOURCE, USERS, Instance,  # noqa: E402
                      install_programs, public_folder, remove_tree, require_own_network, run,
                      wait_for)

# Tests import these from here.
__all__ = ["PATIENCE", "SAN", "SINGLE_UID", "SOURCE", "USERS", "public_folder", "remove_tree",
           "run", "wait_for"]

# Their fixtures are known to every test, without an import.
pytest_plugins = ["inject_program", "local_program", "queue_alone", "remote_program", "send_alone",
                  "spawner"]


def pytest_sessionstart(session):
    why = require_own_network()
    if why:
        pytest.exit(f"{why}: run `make e2e`", 2)


@pytest.fixture(scope="session")
def programs():
    """A folder with bin/, man/ and share/, as `make install` makes it."""
    folder = install_programs()
    yield folder
    remove_tree(folder)


def instance_factory(programs):
    made = []

    def make(start=True, **options):
        one = Instance(programs, **options)
        made.append(one)
        return one.start() if start else one

    return make, made


def end_all(made):
    for one in made:
        one.stop()
    for one in made:
        if not os.environ.get("KEEP"):
            remove_tree(one.folder)


@pytest.fixture
def make_instance(programs):
    """A function: make_instance(host=, ip=, port=, users=, uid=, start=True) -> Instance."""
    make, made = instance_factory(programs)
    yield make
    end_all(made)


@pytest.fixture(scope="module")
def instance(programs):
    """One started instance for all tests of a file: me.example at 127.0.0.1:25, users alice, bob, carol."""
    make, made = instance_factory(programs)
    try:
        yield make()
    finally:
        end_all(made)


@pytest.fixture
def single_user_instance(make_instance):
    """A started instance that an ordinary user made: one uid everywhere, port 2525."""
    return make_instance(uid=SINGLE_UID, port=2525)


@pytest.fixture(scope="module")
def dns_server():
    """A Dns object: call .zone("x.example. MX 10 mx.example.", ..., dead=["bad.example."])."""
    server = Dns()
    yield server
    server.close()


def pytest_configure(config):
    for path in (SOURCE / "build/e2e").glob("*.tap"):
        path.unlink()


def pytest_runtest_logreport(report):
    """Write one line per test for `make check` to count."""
    if report.when == "call" or report.outcome == "failed":
        word = {"passed": "ok", "failed": "not ok"}.get(report.outcome)
        if word and os.environ.get("RESULTS"):
            with open(os.environ["RESULTS"], "a", encoding="utf-8") as results:
                results.write(f"{word} e2e {report.nodeid}\n")
