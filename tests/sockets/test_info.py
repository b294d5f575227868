from __future__ import annotations

import asyncio
import datetime
import hashlib
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.servers import CertificateAuthority
from wirekit.sockets import SocketInfo, connect

from .carriers import Workshop, client_context

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())


def certificate(key: Any, algorithm: Any, rsa_padding: Any = None, name: str = "a") -> bytes:
    """A self-signed certificate, DER."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, algorithm, rsa_padding=rsa_padding)
    )
    return made.public_bytes(Encoding.DER)


def pss(algorithm: hashes.HashAlgorithm) -> padding.PSS:
    return padding.PSS(mgf=padding.MGF1(algorithm), salt_length=algorithm.digest_size)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: certificate(RSA, hashes.SHA256()), "sha256"),
        (lambda: certificate(RSA, hashes.SHA384()), "sha384"),
        (lambda: certificate(RSA, hashes.SHA512()), "sha512"),
        (lambda: certificate(RSA, hashes.SHA224()), "sha224"),
        (lambda: certificate(P256, hashes.SHA256()), "sha256"),
        (lambda: certificate(P256, hashes.SHA224()), "sha224"),
        (lambda: certificate(P384, hashes.SHA384()), "sha384"),
        (lambda: certificate(P384, hashes.SHA512()), "sha512"),
        (lambda: certificate(RSA, hashes.SHA256(), pss(hashes.SHA256())), "sha256"),
        (lambda: certificate(RSA, hashes.SHA384(), pss(hashes.SHA384())), "sha384"),
        (lambda: certificate(RSA, hashes.SHA512(), pss(hashes.SHA512())), "sha512"),
        (lambda: certificate(RSA, hashes.SHA224(), pss(hashes.SHA224())), "sha224"),
        # so long that every length takes its long form
        (lambda: certificate(P256, hashes.SHA256(), name="n" * 64), "sha256"),
    ],
)
def test_the_end_point_binding_follows_the_certificates_own_hash(
    made: Callable[[], bytes], expected: str
) -> None:
    data = made()
    algorithm = x509.load_der_x509_certificate(data).signature_hash_algorithm
    assert algorithm is not None
    assert algorithm.name == expected
    info = SocketInfo("db:5432", peer_certificate=data)
    assert info.channel_binding("tls-server-end-point") == hashlib.new(expected, data).digest()


@pytest.mark.parametrize("old", ["2a864886f70d010105", "2a864886f70d010104", "2a8648ce3d0401"])
def test_md5_and_sha1_become_sha256(old: str) -> None:
    # RFC 5929 §4.1; today's libraries do not sign by them, so an identifier is put in place.
    key, present = (P256, "2a8648ce3d040302") if len(old) == 14 else (RSA, "2a864886f70d01010b")
    data = certificate(key, hashes.SHA256())
    swapped = data.replace(bytes.fromhex(present), bytes.fromhex(old))
    if len(old) == len(present):
        info = SocketInfo("db:5432", peer_certificate=swapped)
        assert info.channel_binding("tls-server-end-point") == hashlib.sha256(swapped).digest()
    else:
        algorithm = bytes.fromhex("300906" + "07" + old)
        tail = b"\x30\x03\x02\x01\x00" + algorithm + b"\x03\x01\x00"
        made = b"\x30" + bytes([len(tail)]) + tail
        info = SocketInfo("db:5432", peer_certificate=made)
        assert info.channel_binding("tls-server-end-point") == hashlib.sha256(made).digest()


def test_rsassa_pss_without_parameters_means_sha1_and_so_sha256() -> None:
    # RFC 4055 §3.1: the default hash is SHA-1.
    tbs, bits = b"\x30\x03\x02\x01\x00", b"\x03\x01\x00"
    algorithm = bytes.fromhex("300f06092a864886f70d01010a3002a200")
    body = tbs + algorithm + bits
    made = b"\x30" + bytes([len(body)]) + body
    info = SocketInfo("db:5432", peer_certificate=made)
    assert info.channel_binding("tls-server-end-point") == hashlib.sha256(made).digest()


def test_a_signature_without_a_hash_of_its_own_gives_no_binding() -> None:
    data = certificate(ed25519.Ed25519PrivateKey.generate(), None)
    info = SocketInfo("db:5432", peer_certificate=data)
    assert info.channel_binding("tls-server-end-point") is None


def test_without_tls_there_is_nothing_to_bind_to() -> None:
    info = SocketInfo("db:5432")
    assert info.channel_binding("tls-server-end-point") is None
    assert info.channel_binding("tls-unique") is None
    with pytest.raises(ValueError, match="tls-exporter"):
        info.channel_binding("tls-exporter")


async def test_tls_unique_is_what_the_other_end_has(
    certificate_authority: CertificateAuthority,
) -> None:
    seen: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tls = writer.get_extra_info("ssl_object")
        seen.set_result(tls.get_channel_binding("tls-unique"))
        await reader.read()
        writer.close()

    context = certificate_authority.server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with connect(
        f"localhost:{port}",
        secure_transport="on",
        ssl_context=client_context(certificate_authority),
    ) as socket:
        info = socket.info
        assert info.tls_version == "TLSv1.2"
        assert info.tls_unique
        assert info.channel_binding("tls-unique") == await seen
    server.close()


async def test_what_is_known_of_tls(make: Workshop) -> None:
    client, server = await make.make("tls")
    info = client.info
    assert info.remote_address == "localhost:1"
    assert info.peer_address[0] == info.local_address[0] == "127.0.0.1"
    assert info.peer_address == server.info.local_address
    assert info.tls_version == "TLSv1.3"
    assert info.cipher is not None
    assert info.cipher.startswith("TLS_")
    assert info.alpn is None
    expected = ssl.PEM_cert_to_DER_cert(make.authority.server.cert_chain_pems[0].bytes().decode())
    assert info.peer_certificate == expected
    assert info.channel_binding("tls-unique") is None
    binding = info.channel_binding("tls-server-end-point")
    assert binding == hashlib.sha256(expected).digest()
    assert server.info.peer_certificate is None
    assert expected.hex() not in repr(info)
    assert "peer_certificate" not in repr(info)


async def test_what_is_known_without_tls(make: Workshop) -> None:
    client, server = await make.tcp()
    info = await client.opened
    await server.opened
    assert info.remote_address == f"127.0.0.1:{info.peer_address[1]}"
    assert info.peer_address == server.info.local_address
    assert info.local_address == server.info.peer_address
    assert (info.tls_version, info.cipher, info.peer_certificate) == (None, None, None)
    assert server.info.remote_address == "client"
    unix, _ = await make.unix()
    assert (await unix.opened).peer_address == str(make.directory / "carrier.sock")
    assert unix.info.remote_address == f"unix:{make.directory / 'carrier.sock'}"
