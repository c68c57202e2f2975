"""The two secrets of the fleet: the owner's token (people) and the fleet token (services among themselves).

No built-in values: the first start makes both at random, readable by their owner alone. Values that are publicly known,
such as the example in the original documents, are refused.
"""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import SecretStr

from config.settings import FleetSettings

PUBLICLY_KNOWN = frozenset(
    {
        "vx11-local-token",
        "vx11-token",
        "vx11",
        "changeme",
        "change-me",
        "secret",
        "token",
        "test",
        "admin",
        "password",
        "sk-1234",
    }
)
SHORTEST = 16  # characters
PREFIX = "vx11_"
"""Begins every secret made here, so that logs and scanners know one when they see it."""


class WeakSecret(ValueError):
    """A configured token is publicly known or too short to be one."""


@dataclass(frozen=True)
class FleetSecrets:
    """The secrets in memory; `repr` shows none of them."""

    owner: SecretStr
    fleet: SecretStr

    def is_owner(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._bytes[0])

    def is_fleet(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._bytes[1])

    @cached_property
    def _bytes(self) -> tuple[bytes, bytes]:
        """Both as they are compared with every request."""
        return self.owner.get_secret_value().encode(), self.fleet.get_secret_value().encode()

    def key_for(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose, derived from the fleet secret, so that no two uses share a key."""
        return hmac.digest(self.fleet.get_secret_value().encode(), f"vx11:{purpose}".encode(), "sha256")


def load_secrets(settings: FleetSettings) -> FleetSecrets:
    """Read the secrets, making those that do not exist yet (0600, in a folder of 0700).

    Raises WeakSecret when a value is publicly known or shorter than 16 characters, or when both are the same.
    """
    owner = _checked("VX11_TOKEN", settings.token, settings.secrets_dir / "token")
    fleet = _checked("VX11_FLEET_TOKEN", settings.fleet_token, settings.secrets_dir / "fleet_token")
    if owner == fleet:  # who has the fleet token may say in whose name they ask
        raise WeakSecret("VX11_TOKEN and VX11_FLEET_TOKEN have the same value: they must differ")
    return FleetSecrets(owner, fleet)


def token_hash(token: str) -> str:
    """How a client or confirm token is kept: SHA-256 in hex. The tokens are 256 random bits, so no salt is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def _checked(name: str, configured: SecretStr | None, file: Path) -> SecretStr:
    value = configured.get_secret_value() if configured is not None else _read_or_make(file)
    if value.lower() in PUBLICLY_KNOWN:
        raise WeakSecret(f"{name} has a publicly known value: unset it and a random one is made in {file}")
    if len(value) < SHORTEST:
        raise WeakSecret(f"{name} is shorter than {SHORTEST} characters: unset it and a random one is made in {file}")
    return SecretStr(value)


def _read_or_make(file: Path) -> str:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not file.exists():
        draft = file.with_name(
            f".{file.name}.{secrets.token_hex(8)}"
        )  # containers that share the folder share process ids
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(f"{PREFIX}{secrets.token_urlsafe(32)}\n")
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(draft, file)  # fails where another service was first: then all of them read that one
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return file.read_text().strip()
