"""The one command: `make up`."""
import os
import shutil
import socket
import subprocess

import pytest

from conftest import SAN, SINGLE_UID, SOURCE, public_folder, remove_tree, run

pytestmark = pytest.mark.skipif(bool(SAN), reason="the memory limits of real services are too low for ASan")


@pytest.fixture
def folder():
    path = public_folder("pennypost-up-")
    yield path
    run("make", "-s", "-C", SOURCE, "down", f"QMAILHOME={path}/home", check=False)
    if not os.environ.get("KEEP"):
        remove_tree(path)


def up(home, *variables, source=SOURCE, check=True, **options):
    return run("make", "-s", "-C", source, "up", f"QMAILHOME={home}", *variables, timeout=600,
               check=check, **options)


def mails(home):
    return list((home / "alias/Maildir/new").iterdir())


def test_make_up_gives_a_running_server_and_again_an_upgrade(folder):
    """From nothing to a message in the Maildir, and a summary; again: everything is kept."""
    home = folder / "home"
    done = up(home, "PORT=2601", "IP=127.0.0.1", "HOST=mx.up.example")
    assert "Pennypost runs." in done.stdout and "port 2601" in done.stdout
    assert len(mails(home)) == 1
    (home / "control/locals").write_text("localhost\nmx.up.example\nmore.example\n")
    (home / "control/concurrencylocal").write_text("7\n")
    done = up(home)
    assert "port 2601" in done.stdout and "restart" in done.stdout
    assert len(mails(home)) == 2
    assert "more.example" in (home / "control/locals").read_text()
    assert (home / "control/concurrencylocal").read_text() == "7\n"
    run("make", "-s", "-C", SOURCE, "down", f"QMAILHOME={home}")
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", 2601), 5)


def test_make_uninstall_keeps_mail_and_settings(folder):
    """uninstall removes programs and services; control/, queue/, alias/ stay."""
    home = folder / "home"
    up(home, "PORT=2602", "IP=127.0.0.1", "HOST=mx.up.example")
    run("make", "-s", "-C", SOURCE, "uninstall", f"QMAILHOME={home}")
    assert sorted(p.name for p in home.iterdir()) == ["alias", "control", "log", "queue", "users"]
    assert len(mails(home)) == 1


def test_a_taken_port_is_explained(folder):
    """By whom it is taken, and how to choose another."""
    with socket.create_server(("127.0.0.1", 2603)):
        done = up(folder / "home", "PORT=2603", "IP=127.0.0.1", check=False)
    assert done.returncode != 0
    assert f"port 2603 is taken by python3 (process {os.getpid()})" in done.stderr
    assert "make up PORT=" in done.stderr


def test_the_same_port_at_another_address_is_free(folder):
    """Instances share a port when each has an address of its own; one on all addresses is in the way."""
    with socket.create_server(("127.0.0.7", 2604)):
        up(folder / "home", "PORT=2604", "IP=127.0.0.8")
    run("make", "-s", "-C", SOURCE, "down", f"QMAILHOME={folder}/home")
    for taken in (socket.create_server(("", 2604)),
                  socket.create_server(("::1", 2604), family=socket.AF_INET6)):
        wanted = "127.0.0.8" if taken.family == socket.AF_INET else "::1"
        with taken:
            done = up(folder / "home", f"IP={wanted}", check=False)
        assert "port 2604 is taken" in done.stderr


def test_the_home_is_never_a_folder_of_the_system(folder):
    """uninstall removes HOME/bin: an empty, relative or foreign home is refused, nothing is touched."""
    (folder / "share").mkdir()
    (folder / "bin").mkdir()
    for home in ("/", "relative", str(folder), "/a b", "/usr"):
        for target in ("install", "uninstall"):
            done = run("make", "-s", "-C", SOURCE, target, f"QMAILHOME={home}", check=False)
            assert done.returncode != 0 and "make: " in done.stderr, home
    done = run("make", "-n", "-C", SOURCE, "uninstall", "QMAILHOME=")
    assert "rm -rf /bin" not in done.stdout
    assert (folder / "bin").exists()


def test_a_package_is_installed_below_destdir_and_prepares_homes(folder):
    """make install DESTDIR= writes nowhere else; the qmail-setup there prepares a home that works."""
    run("make", "-s", "-C", SOURCE, "install", f"DESTDIR={folder}/root", "QMAILHOME=/opt/post")
    assert [p.name for p in folder.iterdir()] == ["root"]
    assert sorted(p.name for p in (folder / "root/opt/post").iterdir()) == ["bin", "man", "share"]
    done = run(folder / "root/opt/post/bin/qmail-setup", "--home", folder / "home",
               "--host", "mx.pack.example",
               "--ip", "127.0.0.1", "--port", "2607", "--start")
    assert "Pennypost runs." in done.stdout
    assert len(mails(folder / "home")) == 1


def test_wrong_options_are_refused_before_anything_is_made(folder):
    """qmail-setup: a port, an address or a role that cannot be is a usage error."""
    run("make", "-s", "-C", SOURCE, "install", f"QMAILHOME={folder}/programs")
    for wrong in (("--port", "0"), ("--port", "65536"), ("--port", "x"), ("--ip", "here"), ("--host", "a b"),
                  ("--accounts", "nobody=x"), ("--accounts", "qmailq"), ("--what",)):
        done = run(folder / "programs/bin/qmail-setup", "--home", folder / "home", *wrong, check=False)
        assert done.returncode == 100 and "usage: qmail-setup" in done.stderr, wrong
    assert not (folder / "home").exists()


def test_the_queue_of_another_qmail_is_not_touched(folder):
    """A home with qmail's own queue: said so, nothing installed."""
    (folder / "home/queue/lock").mkdir(parents=True)
    done = up(folder / "home", check=False)
    assert done.returncode != 0 and "queue of another qmail" in done.stderr
    assert not (folder / "home/bin").exists()


def test_a_strict_umask_and_a_later_host_name(folder):
    """Root's umask does not matter; a host name that was made up gives way to a real one."""
    home = folder / "home"
    old = os.umask(0o077)
    try:
        up(home, "PORT=2605", "IP=127.0.0.1", "HOST=made.localdomain")
    finally:
        os.umask(old)
    (home / "control/locals").write_text("made.localdomain\nmine.example\n")
    up(home, "HOST=mail.real.example")
    assert (home / "control/me").read_text() == "mail.real.example\n"
    assert (home / "control/rcpthosts").read_text() == "localhost\nmail.real.example\n"
    assert (home / "control/locals").read_text() == "made.localdomain\nmine.example\n"
    done = up(home, "HOST=other.example")
    assert "control/me says mail.real.example and is kept" in done.stdout


def test_a_home_that_its_accounts_cannot_reach_is_explained(folder):
    """A private folder above the home: said so, instead of services that never get ready."""
    (folder / "private").mkdir(mode=0o700)
    done = up(folder / "private/home", "PORT=2606", check=False)
    assert done.returncode != 0 and "cannot get to" in done.stderr


def test_make_up_as_an_ordinary_user_is_single_user_mode(folder):
    """Without root: ./home, a port above 1024, the same summary, and every process is the user's."""
    clone = folder / "clone"
    shutil.copytree(SOURCE, clone, symlinks=True, ignore=shutil.ignore_patterns(
        ".git", "san", "fuzz", "fuzzers", "clang", "e2e", "unit", "home"))
    run("chown", "-R", f"{SINGLE_UID}:{SINGLE_UID}", folder)
    ids = dict(user=SINGLE_UID, group=SINGLE_UID, extra_groups=[])
    try:
        done = run("make", "-s", "-C", clone, "up", timeout=600, **ids)
        assert "Pennypost runs." in done.stdout and "port 2525" in done.stdout
        assert len(mails(clone / "home")) == 1
        owners = run("ps", "-eo", "uid,args").stdout
        lines = [line.split(None, 1) for line in owners.splitlines() if f"{clone}/home" in line]
        assert lines and {uid for uid, _ in lines} == {str(SINGLE_UID)}
    finally:
        run("make", "-s", "-C", clone, "down", **ids)


def test_the_programs_name_what_is_missing(folder):
    """A missing package is named, with the command that installs it."""
    done = subprocess.run([SOURCE / "tests/packages", "--look", "no-such-package"], text=True,
                          capture_output=True, check=False)
    assert done.returncode == 1
    assert "missing: no-such-package" in done.stderr and "apt-get install no-such-package" in done.stderr
