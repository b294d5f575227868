"""Exim: the second mail system, which shares no code with Postfix."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
from collections.abc import Generator, Mapping
from pathlib import Path

from ._certificates import CertificateAuthority
from ._mail import DOMAIN, IDN_DOMAIN, MAILBOXES, USERS, MailServer, greets, read_maildirs
from ._programs import find_program
from ._running import LOOPBACK, Launch, free_port, run_server

CONFIGURATION = """
{options}

acl_mail:
  accept

acl_rcpt:
  require message = authentication required
          condition = ${{if eq{{$received_port}}{{{port}}}{{yes}}{{${{if def:authenticated_id}}}}}}
  require message = relay not permitted
          domains = +local_domains
  defer   message = not now
          local_parts = later
  require message = unknown user
          verify = recipient
  accept

acl_data:
  defer   message = not now
          condition = ${{if eq{{$h_x-refuse:}}{{later}}}}
  deny    message = not such a thing
          condition = ${{if def:h_x-refuse:}}
  accept

begin routers

mailboxes:
  driver = accept
  domains = +local_domains
  local_parts = {mailboxes}
  local_part_suffix = +*
  local_part_suffix_optional
  transport = maildir

begin transports

maildir:
  driver = appendfile
  maildir_format
  directory = {directory}/mail/$local_part_data
  create_directory
  return_path_add
  envelope_to_add
  user = {user}
  group = {group}

begin authenticators

plain:
  driver = plaintext
  public_name = PLAIN
  server_set_id = $auth2
  server_prompts = :
  server_condition = ${{if and{{{{def:auth2}}\\
    {{eq{{$auth3}}{{${{lookup{{$auth2}}lsearch{{{directory}/passwords}}}}}}}}}}}}

login:
  driver = plaintext
  public_name = LOGIN
  server_set_id = $auth1
  server_prompts = <| Username: | Password:
  server_condition = ${{if and{{{{def:auth1}}\\
    {{eq{{$auth2}}{{${{lookup{{$auth1}}lsearch{{{directory}/passwords}}}}}}}}}}}}

cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_set_id = $auth1
  server_secret = ${{lookup{{$auth1}}lsearch{{{directory}/passwords}}{{$value}}fail}}
"""


@contextlib.contextmanager
def exim_server(
    *, tls: CertificateAuthority | None = None, config: Mapping[str, str] | None = None
) -> Generator[MailServer]:
    """Run an Exim until the block ends.

    It offers SIZE (10 MiB), 8BITMIME, PIPELINING, CHUNKING, PRDR, SMTPUTF8 and DSN, not
    ENHANCEDSTATUSCODES, and AUTH with PLAIN, LOGIN and CRAM-MD5. Of recipients, ``later`` is
    refused for a while only (451), unknown ones and foreign domains (550) for good; a header field
    ``X-Refuse`` has a message refused behind its final dot (550, with ``later`` as its value 451).

    Args:
        tls: Also listen on `MailServer.tls_port` and `MailServer.submission_port`, with this
            authority's certificate.
        config: Further options of the main section, which win over those set here.
    """
    found = find_program("exim")
    is_root = os.geteuid() == 0
    owner = pwd.getpwnam("nobody") if is_root else pwd.getpwuid(os.geteuid())
    # All its processes are of one user, so that it needs no privileges.
    user = owner.pw_name if is_root else None

    def prepare(directory: Path) -> Launch:
        port = free_port()
        submission_port, tls_port = (free_port(), free_port()) if tls else (None, None)
        options = _options(directory, owner, [port, submission_port, tls_port])
        if tls is not None:
            options["tls_certificate"] = f"{directory}/server.pem"
            options["tls_privatekey"] = f"{directory}/server.key"
            options["tls_advertise_hosts"] = f"${{if eq{{$received_port}}{{{port}}}{{:}}{{*}}}}"
            options["tls_on_connect_ports"] = str(tls_port)
            # Where TLS can be had, AUTH is to be had in it only.
            options["auth_advertise_hosts"] = (
                f"${{if or{{{{eq{{$received_port}}{{{port}}}}}{{def:tls_in_cipher}}}}{{*}}{{}}}}"
            )
        options.update(config or {})
        domains = f"{DOMAIN} : {IDN_DOMAIN} : {IDN_DOMAIN.encode('idna').decode()}"
        lines = [f"domainlist local_domains = {domains}"]
        lines += [f"{name} = {value}" for name, value in options.items()]
        text = CONFIGURATION.format(
            options="\n".join(lines) + "\n\nbegin acl",
            port=port,
            directory=directory,
            mailboxes=" : ".join(MAILBOXES),
            user=owner.pw_name,
            group=options["exim_group"],
        )
        (directory / "exim.conf").write_text(text)
        passwords = [f"{name}: {password}" for name, password in USERS.items()]
        (directory / "passwords").write_text("\n".join(passwords) + "\n")
        (directory / "mail").mkdir(exist_ok=True)
        (directory / "log").touch()  # for it to own, as all of this
        for name in ("main", "panic"):
            (directory / name).unlink(missing_ok=True)
            (directory / name).symlink_to("log")
        return Launch(
            command=(str(found.path), "-C", str(directory / "exim.conf"), "-bdf", "-q1m"),
            is_ready=lambda: greets(port),
            port=port,
            tls_port=tls_port,
            submission_port=submission_port,
            user=user,
        )

    with run_server(found, prepare, certificates=tls, user=user) as server:
        yield MailServer(
            port=server.port,
            submission_port=server.submission_port,
            tls_port=server.tls_port,
            running=server,
            read=lambda: list(read_maildirs(server.directory / "mail")),
            queued=lambda: len(list((server.directory / "spool/input").rglob("*-H"))),
        )


def _options(directory: Path, owner: pwd.struct_passwd, ports: list[int | None]) -> dict[str, str]:
    return {
        "exim_user": owner.pw_name,
        "exim_group": grp.getgrgid(os.getegid()).gr_name,
        "deliver_drop_privilege": "true",
        "spool_directory": f"{directory}/spool",
        "log_file_path": f"{directory}/%s",
        "write_rejectlog": "false",
        "daemon_startup_retries": "0",
        "local_interfaces": LOOPBACK,
        "daemon_smtp_ports": " : ".join(str(port) for port in ports if port is not None),
        "primary_hostname": f"mail.{DOMAIN}",
        "qualify_domain": DOMAIN,
        "host_lookup": "",
        "rfc1413_query_timeout": "0s",
        "tls_advertise_hosts": "",  # or it would make a certificate of its own
        "keep_environment": "",
        "never_users": "",
        "message_size_limit": "10M",
        "chunking_advertise_hosts": "*",
        "dsn_advertise_hosts": "*",
        "prdr_enable": "true",
        "smtputf8_advertise_hosts": "*",
        "acl_smtp_mail": "acl_mail",
        "acl_smtp_rcpt": "acl_rcpt",
        "acl_smtp_data": "acl_data",
        "acl_smtp_vrfy": "acl_mail",
        # Errors are what tests make, and they make many at once.
        "smtp_max_unknown_commands": "1000",
        "smtp_max_synprot_errors": "1000",
        "smtp_accept_max": "0",
        "smtp_accept_queue_per_connection": "0",
        "smtp_accept_max_per_connection": "0",
        "accept_8bitmime": "true",
    }
