"""A name server for tests, in a network and a mount table of their own."""
import subprocess

from instance import public_folder, remove_tree, run, wait_for


class Dns:
    """unbound on 127.0.0.1:53, asking nobody but its own zone file; /etc/resolv.conf points to it."""

    def __init__(self):
        self.folder = public_folder("pennypost-dns-")
        self.server = None
        resolv = self.folder / "resolv.conf"
        resolv.write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:2\n")
        run("mount", "--bind", resolv, "/etc/resolv.conf")

    def zone(self, *records, dead=()):
        """Serve these records ("x.example. MX 10 mx.x.example."), NXDOMAIN for the rest, SERVFAIL
        for the domains in dead. Replaces what was served before."""
        self.end()
        root = [". 1 IN SOA ns. root. 1 3600 3600 3600 1", ". 1 IN NS ns.", "ns. 1 IN A 127.0.0.1"]
        root += [record.replace(" ", " 1 IN ", 1) for record in records]
        (self.folder / "root.zone").write_text("\n".join(root) + "\n")
        lines = [
            "server:", "  interface: 127.0.0.1", "  interface: ::1", "  do-daemonize: no",
            "  username: \"\"", "  chroot: \"\"", f"  pidfile: \"{self.folder}/pid\"",
            f"  directory: \"{self.folder}\"", "  use-syslog: no", "  logfile: \"\"",
            "  module-config: \"iterator\"", "  num-threads: 1", "  cache-max-negative-ttl: 1",
            "  access-control: ::1 allow", "  access-control: 127.0.0.0/8 allow"]
        for name in ("invalid.", "test.", "localhost.", "127.in-addr.arpa."):
            lines.append(f"  local-zone: \"{name}\" nodefault")
        # A zone that cannot be transferred has no answer: SERVFAIL.
        origins = [(".", f"zonefile: \"{self.folder}/root.zone\"")]
        for name, origin in origins + [(name, "primary: 127.0.0.1@9") for name in dead]:
            lines += ["auth-zone:", f"  name: \"{name}\"", f"  {origin}", "  for-downstream: no",
                      "  for-upstream: yes", "  fallback-enabled: no"]
        lines += ["remote-control:", "  control-enable: no"]
        (self.folder / "unbound.conf").write_text("\n".join(lines) + "\n")
        with open(self.folder / "log", "ab") as log:
            self.server = subprocess.Popen(["unbound", "-d", "-c", str(self.folder / "unbound.conf")],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def answers():
            assert self.server.poll() is None, (self.folder / "log").read_text()
            import dns.resolver
            try:
                resolver = dns.resolver.Resolver(configure=False)
                resolver.nameservers, resolver.lifetime = ["127.0.0.1"], 1
                resolver.resolve("nothing.invalid.", "A")
            except dns.resolver.NXDOMAIN:
                return True
            except Exception:  # not there yet
                return False
        wait_for(answers, "the name server")

    def end(self):
        if self.server:
            self.server.kill()
            self.server.wait()
            self.server = None

    def close(self):
        self.end()
        run("umount", "/etc/resolv.conf")
        remove_tree(self.folder)
