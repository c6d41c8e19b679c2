"""The users' tools: qmail-newu, qmail-getpw, qmail-pw2u."""
import os
import subprocess

import pytest

from conftest import run


def test_qmail_newu_names_the_line_of_a_mistake(make_instance):
    """Exit 111 with file and line; the old table stays, no cdb.tmp is left."""
    one = make_instance(start=False)
    before = (one.home / "users/cdb").read_bytes()
    one.write("users/assign", "=a:a:1:1:/h:::\n=b:b:x:1:/h:::\n.\n")
    done = one.bin("qmail-newu", check=False)
    assert done.returncode == 111 and "users/assign:2:" in done.stderr
    one.write("users/assign", "=a:a:1:1:/h:::\n")  # no dot: cut off
    assert one.bin("qmail-newu", check=False).returncode == 111
    assert (one.home / "users/cdb").read_bytes() == before
    assert not (one.home / "users/cdb.tmp").exists()
    assert one.bin("qmail-newu", "x", check=False).returncode == 100


def test_qmail_newu_writes_what_other_cdb_readers_read(make_instance):
    """The keys and data of users/cdb are qmail's, byte for byte; vpopmail's lines are understood."""
    one = make_instance(start=False)
    one.write("users/assign", "=Joe:joe:507:100:/home/joe:::\n"
                              "+d.example-:d.example:89:89:/home/vpopmail/domains/d.example:-::\n.\n")
    one.bin("qmail-newu")
    dump = subprocess.run(["/usr/bin/python3", "-c", """
import struct, sys
b = open(sys.argv[1], 'rb').read()
end = min(struct.unpack_from('<I', b, 8 * i)[0] for i in range(256))
at = 2048
while at < end:
    k, d = struct.unpack_from('<II', b, at)
    print(b[at + 8:at + 8 + k], b[at + 8 + k:at + 8 + k + d])
    at += 8 + k + d
""", one.home / "users/cdb"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert dump == [r"b'!joe\x00' b'joe\x00507\x00100\x00/home/joe\x00\x00'",
                    r"b'!d.example-' b'd.example\x0089\x0089\x00/home/vpopmail/domains/d.example\x00-\x00'",
                    "b'' b'-'"]


def test_qmail_getpw_prints_the_six_strings(make_instance):
    """user, uid, gid, homedir, dash, ext; root and accounts without a home are no users."""
    one = make_instance(start=False)
    alias = one.bin("qmail-getpw", "no-such-user").stdout.split("\0")
    assert alias[0] == "alias" and alias[3:] == [str(one.home / "alias"), "-", "no-such-user", ""]
    assert one.bin("qmail-getpw", "root").stdout.startswith("alias\0")
    assert one.bin("qmail-getpw", "ROOT-x").stdout.endswith("-\0ROOT-x\0")
    assert one.bin("qmail-getpw", check=False).returncode == 100


def test_qmail_getpw_finds_the_longest_account_name(make_instance):
    """joe-list is an account: joe-list-x is its extension x; case does not matter."""
    one = make_instance(start=False)
    accounts = one.folder / "passwd"
    homes = {"joe": 6001, "joe-list": 6002, "thief": 6003}
    text = open("/etc/passwd", encoding="utf-8").read()
    for name, uid in homes.items():
        (one.folder / name).mkdir()
        os.chown(one.folder / name, uid if name != "thief" else 6001, uid)
        text += f"{name}:x:{uid}:{uid}::{one.folder / name}:/bin/sh\n"
    accounts.write_text(text)
    run("mount", "--bind", accounts, "/etc/passwd")
    try:
        def found(local):
            return one.bin("qmail-getpw", local).stdout.split("\0")[:-1]
        assert found("joe") == ["joe", "6001", "6001", str(one.folder / "joe"), "", ""]
        assert found("Joe-Ext-x")[0::4] == ["joe", "-"] and found("Joe-Ext-x")[5] == "Ext-x"
        assert found("joe-list-x")[:2] == ["joe-list", "6002"] and found("joe-list-x")[5] == "x"
        assert found("thief")[0] == "alias"  # his home is somebody else's
    finally:
        run("umount", "/etc/passwd")


def test_a_home_that_cannot_be_seen_is_trouble(make_instance):
    """A wrong mode of /home does not make its users unknown: 111, and their mail waits."""
    one = make_instance(start=False)
    accounts, hidden = one.folder / "passwd", one.folder / "hidden"
    (hidden / "joe").mkdir(parents=True)
    os.chown(hidden / "joe", 6001, 6001)
    accounts.write_text(open("/etc/passwd", encoding="utf-8").read() +
                        f"joe:x:6001:6001::{hidden}/joe:/bin/sh\n")
    run("mount", "--bind", accounts, "/etc/passwd")
    try:
        def ask():
            return one.bin("qmail-getpw", "joe-list", check=False, user=6002, group=6002, extra_groups=[])
        hidden.chmod(0o700)
        assert (ask().returncode, ask().stdout) == (111, "")
        hidden.chmod(0o711)
        assert ask().stdout.startswith("joe\0")
        (hidden / "joe").rmdir()
        assert ask().stdout.startswith("alias\0")
    finally:
        run("umount", "/etc/passwd")


@pytest.mark.parametrize("service", ["systemd", "uninstalled"])
def test_qmail_getpw_knows_trouble_from_nobody(make_instance, service):
    """While /etc/passwd cannot be read, its users are not unknown, although the next service, which
    can be asked (or is not there: libnss-systemd need not be installed), does not have them. Who is
    unknown to all services is nobody."""
    one = make_instance(start=False)
    accounts, switch = one.folder / "passwd", one.folder / "nsswitch.conf"
    (one.folder / "joe").mkdir()
    os.chown(one.folder / "joe", 6001, 6001)
    accounts.write_text(open("/etc/passwd", encoding="utf-8").read() +
                        f"joe:x:6001:6001::{one.folder}/joe:/bin/sh\n")
    switch.write_text(f"passwd: files [NOTFOUND=continue] {service}\n")
    run("mount", "--bind", accounts, "/etc/passwd")
    run("mount", "--bind", switch, "/etc/nsswitch.conf")
    try:
        assert one.bin("qmail-getpw", "joe").stdout.startswith("joe\0")
        assert one.bin("qmail-getpw", "jim").stdout.startswith("alias\0")
        for fault in ("openat:error=EMFILE", "openat:error=ENOMEM", "read:error=EIO"):
            for times in (":when=1", ":when=1..2", ""):
                done = one.run("strace", "-o", one.folder / "trace", "-P", "/etc/passwd", "-e",
                               f"inject={fault}{times}", one.home / "bin/qmail-getpw", "joe", check=False)
                if times == ":when=1" and done.returncode == 0:  # it was asked again at once
                    assert done.stdout.startswith("joe\0")
                else:
                    assert done.stdout == "" and done.returncode == 111
                assert "INJECTED" in (one.folder / "trace").read_text()
    finally:
        run("umount", "/etc/nsswitch.conf")
        run("umount", "/etc/passwd")


def test_qmail_pw2u_follows_its_helper_files(make_instance):
    """include, exclude, mailnames, subusers, append, and the options."""
    one = make_instance(start=False)
    home = one.folder / "h"
    home.mkdir()
    os.chown(home, 6001, 6001)
    passwd = (f"root:x:0:0::/root:/bin/sh\nalias:x:7790:2108::{one.home}/alias:/x\n"
              f"ann:x:6001:600::{home}:/bin/sh\nBig:x:6001:600::{home}:/bin/sh\n"
              f"eve:x:6002:600::{home}:/bin/sh\nout:x:6001:600::{home}:/bin/sh\n")
    one.control("accounts", "alias:no-such-account")  # so that the name alone counts
    os.chown(one.home / "alias", 7790, 7790)

    def made(*options, check=True):
        return one.bin("qmail-pw2u", *options, input=passwd, check=check).stdout.splitlines()
    lines = made()
    assert f"+:alias:7790:2108:{one.home}/alias:-::" in lines
    assert f"=ann:ann:6001:600:{home}:::" in lines and f"+ann-:ann:6001:600:{home}:-::" in lines
    assert lines[-1] == "." and not any("root" in line or "Big" in line or "eve" in line for line in lines)
    assert any(line.startswith("=Big:") for line in made("-u"))
    assert any(line.startswith("=eve:") for line in made("-H"))
    assert not any(line.startswith("+ann") for line in made("-C"))
    assert f"+ann+:ann:6001:600:{home}:-::" in made("-c", "+")
    assert f"+ann-:ann:6001:600:{home}:-/::" in made("-/")
    one.write("users/exclude", "out\n")
    one.write("users/mailnames", "ann:ann.smith:smith\n")
    one.write("users/subusers", "sub:ann:pre:\n")
    one.write("users/append", "=z:z:1:1:/z:::\n")
    lines = made()
    assert f"=ann.smith:ann:6001:600:{home}:::" in lines and f"+smith-:ann:6001:600:{home}:-::" in lines
    assert not any(line.startswith(("=ann:", "=out:")) for line in lines)
    assert f"=sub:ann:6001:600:{home}:-:pre:" in lines and f"+sub-:ann:6001:600:{home}:-:pre-:" in lines
    assert lines[-2:] == ["=z:z:1:1:/z:::", "."]
    one.write("users/include", "alias\n")
    assert not any("smith" in line for line in made())
    one.write("users/assign", "\n".join(lines) + "\n")
    one.bin("qmail-newu")
    assert one.bin("qmail-pw2u", input="ann:x:1:1::/:\n", check=False).returncode == 111
