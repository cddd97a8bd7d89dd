"""What an operator opens works: packaging, the container's own commands, certificates."""

from __future__ import annotations

import ast
import fnmatch
import json
import re
import shutil
import ssl
import subprocess
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.trust import certificates
from hie_node.init import NewNode, create, derived_community
from registry.identifiers import FacilityCode
from tests.docs.tables import ROOT

ROOMS = ("registry", "consent", "adapters", "hie_node")


def test_every_file_that_the_program_reads_is_packed_with_it() -> None:
    packed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]["*"]
    files = [f for room in ROOMS for f in (ROOT / room).rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    left_out = [f for f in files if f.suffix != ".py" and not any(fnmatch.fnmatch(f.name, one) for one in packed)]
    assert left_out == []
    folders = {f.parent for f in files if f.suffix == ".py"}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_what_is_installed_is_pinned_by_hash() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    pinned = (ROOT / "deploy" / "requirements.txt").read_text("utf-8")
    names = {re.split(r"[\[>=]", one)[0] for one in wanted}
    assert [
        name for name in sorted(names) if not re.search(rf"^{re.escape(name)}==\S+ \\$", pinned, re.MULTILINE)
    ] == []
    entries = re.findall(r"^\S+==.*?(?=^\S|\Z)", pinned, re.MULTILINE | re.DOTALL)
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_container_copies_what_is_there_and_asks_for_its_health() -> None:
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text("utf-8"))
    copied = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY ") and "--from" not in line]
    assert [source for line in copied for source in line if not (ROOT / source).exists()] == []
    asked = re.search(r"^HEALTHCHECK .* CMD (\[.*\])$", text, re.MULTILINE)
    assert asked is not None
    program, _, code = json.loads(asked[1])
    assert program == "python"
    ast.parse(code)


@pytest.mark.parametrize("name", ["node", "house"])
def test_a_renewed_certificate_has_the_same_names_and_a_new_key(tmp_path: Path, name: str) -> None:
    code = "27001"
    home = derived_community(code)
    node = NewNode("Bệnh viện đa khoa Bắc Ninh", FacilityCode(code), home, f"{home}.1", public_host="hie.example.vn")
    create(tmp_path / "node", node)
    tls = tmp_path / "node" / "tls"
    before, key = (tls / f"{name}.crt").read_bytes(), (tls / f"{name}.key").read_bytes()
    subprocess.run([ROOT / "deploy" / "renew-certificate", tmp_path / "node", name], check=True, timeout=60)
    after = (tls / f"{name}.crt").read_bytes()
    assert (after != before, (tls / f"{name}.key").read_bytes() != key) == (True, True)
    assert certificates.home_of(certificates.to_der(after)) == home
    assert certificates.days_left(after, now=datetime.now(UTC)) == certificates.days_left(before, now=datetime.now(UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / f"{name}.crt", tls / f"{name}.key")
    checked = ["openssl", "verify", "-x509_strict", "-CAfile", tls / "federation-ca.crt", tls / f"{name}.crt"]
    assert shutil.which("openssl"), "openssl is needed for this test: apt-get install openssl"
    subprocess.run(checked, check=True, timeout=60, stdout=subprocess.DEVNULL)
    assert sorted(path.name for path in tls.iterdir() if path.name.startswith("renew")) == []


def test_no_pattern_asks_python_for_what_debian_12_gets_wrong() -> None:
    """Python 3.11.2 matches nothing where a possessive group holds a lookahead (CPython issue 101955)."""
    possessive = re.compile(r"\(\?<?[=!][^\n]*?\)[*+?}]\+")
    assert possessive.search(r'"<!--(?:(?!-->).)*+-->"')
    files = [file for room in ROOMS for file in (ROOT / room).rglob("*.py")]
    assert [str(file.relative_to(ROOT)) for file in files if possessive.search(file.read_text("utf-8"))] == []
