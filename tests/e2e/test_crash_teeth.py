"""tests/crash/teeth.py: what it takes out of Pennypost is there."""
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/crash"))
from teeth import MUTATIONS  # noqa: E402


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_finds_its_place(name):
    """Each step that is taken out stands in the source, once."""
    mutation = MUTATIONS[name]
    assert (TOP / mutation.file).read_text(encoding="utf-8").count(mutation.old) == 1
    assert mutation.new != mutation.old
