"""A ComfyUI behind a reverse proxy: log-ins, paths, certificates. Secrets stay secret."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from runner.comfyui.installation import Installation
from tests.faults.harness import call, make_stage
from tests.faults.proxy import Proxy
from tests.faults.proxy_actions import change_body
from tests.support.servers.comfy import ComfyServer

SECRET = "Bearer s3cr3t-t0ken-that-nobody-may-read"


def port_of(server: ComfyServer) -> int:
    return int(server.url.rpartition(":")[2])


def check_secret_nowhere(folder: Path, *texts: str) -> None:
    secret = SECRET.split()[1]
    for path in folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
    for text in texts:
        assert secret not in text


@pytest.mark.parametrize("way", ["--header", "VIDEOGEN_HEADER"])
def test_a_log_in_goes_with_requests_and_socket_and_is_written_nowhere(
    fault_server: ComfyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    with Proxy(port_of(fault_server), prefix="/comfy", authorization=SECRET) as proxy:
        stage = make_stage(tmp_path, segments=2, options=("--server", f"{proxy.url}/"))
        ended = stage.run()
        assert ended.status == 3, ended
        assert "--header" in ended.err
        if way == "--header":
            stage.options += ["--header", f"Authorization: {SECRET}"]
            # The command that run.json keeps is the process's own.
            monkeypatch.setattr("sys.argv", ["videogen", *stage.arguments()])
        else:
            monkeypatch.setenv("VIDEOGEN_HEADER", f"Authorization: {SECRET}")
        ended = stage.run("--json")
        assert ended.status == 0, ended
        assert proxy.counts.by_request["GET /ws"] >= 1
    stage.check_complete()
    check_secret_nowhere(stage.directory, ended.out, ended.err)
    assert call(["report", str(stage.directory)]).status == 0
    check_secret_nowhere(stage.directory)


def test_a_wrong_log_in_is_not_repeated(fault_server: ComfyServer, tmp_path: Path) -> None:
    with Proxy(port_of(fault_server), authorization="Bearer another") as proxy:
        stage = make_stage(tmp_path, options=("--server", proxy.url, "--header", f"Authorization: {SECRET}"))
        ended = stage.run()
    assert ended.status == 3, ended
    check_secret_nowhere(stage.directory, ended.out, ended.err)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A self-signed one for 127.0.0.1: (certificate and key, certificate)."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    key, cert, both = folder / "key.pem", folder / "cert.pem", folder / "both.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            str(key),
            "-out",
            str(cert),
        ],
        check=True,
        capture_output=True,
    )
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    return str(both), str(cert)


@pytest.mark.parametrize("variable", ["", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_certificate_of_its_own_has_to_be_named(
    fault_server: ComfyServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    certificate: tuple[str, str],
    variable: str,
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "WEBSOCKET_CLIENT_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    with Proxy(port_of(fault_server), certificate=certificate[0]) as proxy:
        stage = make_stage(tmp_path, segments=1, options=("--server", proxy.url))
        if not variable:
            ended = stage.run()
            assert ended.status == 3, ended
            assert "certificate does not verify" in ended.err
            assert "Traceback" not in ended.err
            return
        monkeypatch.setenv(variable, certificate[1])
        ended = stage.run()
        assert ended.status == 0, ended
        assert proxy.counts.by_request.get("GET /ws"), "the socket did not accept the certificate"
    stage.check_complete()


def test_a_server_without_the_pack_is_told_so(proxy: Proxy, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, segments=1, options=("--server", proxy.url))
    proxy.on("GET /object_info", change_body(lambda body: body.replace(b"VideoGenSegment", b"SomethingElse")), times=9)
    ended = stage.run()
    assert ended.status == 3, ended
    assert "does not have the videogen nodes" in ended.err
    assert not stage.events("segment-submitted")


def test_a_server_that_is_no_comfyui_is_told_so(proxy: Proxy, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, segments=1, options=("--server", proxy.url))
    proxy.on("GET /system_stats", change_body(lambda _: b"<html>It works!</html>"), times=9)
    ended = stage.run()
    assert ended.status == 2, ended
    assert "is not a ComfyUI" in ended.err


def test_without_an_installation_the_set_up_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from custom_nodes.videogen.core.errors import VideoGenError

    def missing() -> Installation:
        raise VideoGenError("not-installed", "there is no ComfyUI set up to start", "Run `python3 install.py`.")

    monkeypatch.setattr("runner.run.server_connections.find_installation", missing)
    ended = make_stage(tmp_path, segments=1).run()
    assert ended.status == 3, ended
    assert "install.py" in ended.err
