"""A certificate authority of a test's own, and certificates for its servers, made with openssl."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.needs import skip_or_fail


@dataclass(frozen=True)
class Authority:
    """A certificate authority: its own certificate is what a user names as the one to trust."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.pem"

    def issue(self, *names: str, days: int = 2) -> Path:
        """A certificate with its key in one PEM file, for a server of these names (``DNS:…`` or ``IP:…``).

        Args:
            days: how long it is valid; a negative number for one that is no more.
        """
        stem = self.folder / names[0].replace(":", "_")
        key, request, issued, extra = (stem.with_suffix(suffix) for suffix in (".key", ".csr", ".crt", ".ext"))
        extra.write_text(f"subjectAltName={','.join(names)}\n")
        _openssl(
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            "/CN=a server",
            "-keyout",
            key,
            "-out",
            request,
        )
        _openssl(
            *(
                "x509",
                "-req",
                "-in",
                request,
                "-CA",
                self.certificate,
                "-CAkey",
                self.folder / "ca.key",
                "-CAcreateserial",
            ),
            *("-extfile", extra, "-out", issued, "-days", str(days)),
        )
        both = stem.with_suffix(".pem")
        both.write_bytes(key.read_bytes() + issued.read_bytes())
        return both


def make_authority(folder: Path) -> Authority:
    """Make one in an empty folder; the test is skipped where there is no openssl."""
    if shutil.which("openssl") is None:
        skip_or_fail("there is no openssl to make certificates with")
    _openssl(
        *(
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=a test's authority",
        ),
        *("-keyout", folder / "ca.key", "-out", folder / "ca.pem"),
    )
    return Authority(folder)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
