"""The house: setup, services, two instances, single-user mode."""
import os
import smtplib


def test_an_instance_comes_up_and_delivers(instance):
    """qmail-setup and s6-svscan suffice for a mail server: SMTP in, a file in a Maildir out."""
    instance.swaks("--header", "Subject: first", to="alice@{host}")
    (mail,) = instance.wait_mail("alice")
    assert b"Subject: first" in mail
    instance.wait_empty()


def test_postmaster_has_a_maildir(instance):
    """Mail to postmaster arrives without any further configuration."""
    before = len(instance.maildir("alias"))
    instance.swaks(to="postmaster@{host}")
    instance.wait_mail("alias", before + 1)


def test_two_instances_run_side_by_side(make_instance):
    """QMAILHOME chooses the home: two instances share a machine and nothing else."""
    one = make_instance(host="one.example", ip="127.0.0.2", port=25)
    two = make_instance(host="two.example", ip="127.0.0.3", port=25)
    for this, other in ((one, two), (two, one)):
        before = len(other.maildir("alice"))
        this.swaks(to="alice@{host}")
        this.wait_mail("alice")
        assert len(other.maildir("alice")) == before


def test_single_user_mode_delivers(single_user_instance):
    """Started by an ordinary user, every role is that user, and mail to postmaster arrives."""
    one = single_user_instance
    one.swaks(to="postmaster@{host}")
    one.wait_mail("alias")
    for pid in one.processes():
        assert os.stat(f"/proc/{pid}").st_uid == one.uid
    # what this user runs besides mail must not keep a .qmail program from starting
    assert (one.home / "control/maxprocesses").read_text() == "0\n"


def test_setup_again_changes_no_file(make_instance):
    """qmail-setup never overwrites what an administrator wrote."""
    one = make_instance(start=False)
    one.control("locals", "changed.example")
    one.dot_qmail("alias", "&changed@example.org", "postmaster")
    one.write("service/qmail-smtpd/env/PORT", "2626\n")
    files = {p: p.read_bytes() for d in ("control", "alias", "service") for p in
             (one.home / d).rglob("*") if p.is_file()}
    one.run(one.home / "bin/qmail-setup", "--home", one.home, "--host", "other.example")
    assert files == {p: p.read_bytes() for p in files}


def test_programs_run_with_the_rights_of_their_role(instance):
    """No daemon but qmail-lspawn and the supervisors keeps root."""
    with smtplib.SMTP(instance.ip, instance.port, timeout=60):
        for name in ("qmail-queued", "qmail-send", "qmail-rspawn", "tcpserver", "s6-log",
                     "qmail-smtpd"):
            pids = instance.processes(name)
            assert pids, name
            for pid in pids:
                with open(f"/proc/{pid}/status", encoding="ascii") as status:
                    ids = [line.split()[1:] for line in status if line.startswith(("Uid", "Gid"))]
                assert all("0" not in line for line in ids), (name, ids)


def test_strangers_meet_a_program_with_a_clean_environment(make_instance):
    """What the services were started with does not reach qmail-smtpd: only PATH, env/ and the connection."""
    one = make_instance(ip="127.0.0.4", start=False)
    one.env["LEFT_OVER"] = "secret"
    one.write("service/qmail-smtpd/env/CHOSEN", "yes\n")
    one.start()
    with smtplib.SMTP(one.ip, one.port, timeout=60):
        (pid,) = one.processes("qmail-smtpd")
        with open(f"/proc/{pid}/environ", encoding="ascii") as file:
            names = {entry.partition("=")[0] for entry in file.read().split("\0")}
    assert {"PATH", "CHOSEN", "QMAILHOME", "TCPREMOTEIP", "TCPLOCALPORT"} <= names
    assert "LEFT_OVER" not in names and "HOME" not in names
