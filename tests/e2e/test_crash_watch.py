"""How tests/crash measures an instance, on machines of the other kind of cgroups."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "crash"))
import watch  # noqa: E402
from instance import NotPossible  # noqa: E402


class Nobody:
    """An instance without processes."""

    @staticmethod
    def processes():
        return []


@pytest.fixture(name="version_2")
def make_version_2(tmp_path, monkeypatch):
    """What a file system of version 2 looks like, whose groups have got two controllers."""
    (tmp_path / "cgroup.procs").touch()
    (tmp_path / "cgroup.subtree_control").write_text("memory pids\n")
    monkeypatch.setattr(watch, "CGROUPS", tmp_path)


def test_the_group_that_counts_memory_outlives_the_one_that_limits_processes(version_2):
    """A process is in one group of version 2, so both controllers have the same."""
    memory = watch.Cgroup("memory", Nobody)
    processes = watch.Cgroup("pids", Nobody)
    assert processes.path == memory.path
    processes.close()
    (memory.path / "cgroup.procs").touch()  # a real one would have it
    assert memory.pids() == []


def test_a_controller_that_groups_have_not_got_is_not_there(version_2):
    """Such a case is skipped."""
    with pytest.raises(NotPossible):
        watch.Cgroup("io", Nobody)
