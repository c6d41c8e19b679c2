"""qmail-showctl and qmail-control(5) know every control file that a program reads."""
import re
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]


def names_read_by_programs():
    names = set()
    for path in [*SOURCE.glob("lib/*.c"), *SOURCE.glob("qmail-*/*.c")]:
        names |= set(re.findall(r'"control/([a-zA-Z0-9._-]+)"', path.read_text()))
    for path in SOURCE.glob("service/*/run"):
        names |= set(re.findall(r"control/([a-z0-9.]+[a-z0-9])", path.read_text()))
    return {n for n in names if not n.endswith(".tmp")}


def test_every_control_file_is_in_the_table_and_in_the_page(instance):
    """A control file that a program reads is shown by qmail-showctl and described in qmail-control(5)."""
    page = set(re.findall(r"^\.It Pa (\S+)$", (SOURCE / "control/qmail-control.5").read_text(), re.M))
    shown = set(re.findall(r"^([a-z.]+): ", instance.bin("qmail-showctl").stdout, re.M)) - {
        "home", "warning"}
    assert shown == page
    assert names_read_by_programs() <= page


def test_a_file_that_nobody_reads_gives_a_warning(instance):
    """A misspelt control file does not stay unnoticed."""
    assert "warning" not in instance.bin("qmail-showctl").stdout
    instance.control("rcpthost", "example.org")
    text = instance.bin("qmail-showctl").stdout
    instance.control("rcpthost")
    assert "warning: no program reads control/rcpthost\n" in text


def test_values_and_defaults_are_shown(instance):
    """What holds is printed: the content, or the default."""
    instance.control("databytes", "12345")
    instance.control("badmailfrom", "# comment\n@bad.example\nx@y.example")
    text = instance.bin("qmail-showctl").stdout
    instance.control("databytes")
    instance.control("badmailfrom")
    assert re.search(r"^databytes: .*\n  12345$", text, re.M)
    assert re.search(r"^badmailfrom: .*\n  @bad.example\n  x@y.example$", text, re.M)
    assert re.search(r"^helohost: .*\n  \(default\) me.example$", text, re.M)
