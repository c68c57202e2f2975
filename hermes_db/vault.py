"""Encrypts the keys of outside services at rest: Fernet (AES-128 in CBC mode with HMAC-SHA256), keys in a file of their own.

The file holds one key per line, the newest first, readable by its owner alone. Values are encrypted with the first and decrypted with
whichever fits, so that a rotation that is killed half-way leaves everything readable, and so do backups of the database from before it.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from hermes_db.errors import TokenKeyUnusable

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


class Vault:
    """The key file, read anew for each use: it is small, and may be put back or rotated beside us."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def sealer(self, *, may_make: bool) -> Callable[[SecretStr], str]:
        """Encrypts values. Makes the key file when it is not there and `may_make` says that nothing was encrypted before.

        Raises TokenKeyUnusable.
        """
        if may_make and not self.file.exists():
            self._write([_new_key()])
        fernet = self._fernet()
        return lambda value: fernet.encrypt(value.get_secret_value().encode()).decode()

    def opener(self) -> Callable[[str], SecretStr]:
        """Decrypts values. Both this and what it returns raise TokenKeyUnusable."""
        from cryptography.fernet import InvalidToken

        fernet = self._fernet()

        def open_(sealed: str) -> SecretStr:
            try:
                return SecretStr(fernet.decrypt(sealed.encode()).decode())
            except InvalidToken:
                raise TokenKeyUnusable(
                    f"{self.file} does not hold the key that this value was encrypted with: put the right file back, "
                    "or store the value again"
                ) from None

        return open_

    def add_key(self) -> int:
        """Put a new key in front of the others; returns how many there are then. Raises TokenKeyUnusable."""
        self._fernet()
        keys = [_new_key(), *self._keys()]
        self._write(keys)
        return len(keys)

    def _fernet(self) -> "MultiFernet":
        # Here and not above: it takes 30 ms and 12 MiB, which a fleet that keeps no keys of others never pays.
        from cryptography.fernet import Fernet, MultiFernet

        try:
            return MultiFernet([Fernet(key) for key in self._keys()])
        except ValueError:  # neither the keys nor what is wrong with one may be shown
            raise TokenKeyUnusable(f"{self.file} holds no usable key: put the right file back") from None

    def _keys(self) -> list[str]:
        try:
            return self.file.read_text(encoding="ascii").split()
        except FileNotFoundError:
            raise TokenKeyUnusable(
                f"{self.file} is missing: put it back, or delete what was encrypted with it and store it again"
            ) from None
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is not text"
            raise TokenKeyUnusable(f"{self.file} cannot be read: {reason}") from None

    def _write(self, keys: list[str]) -> None:
        """All or nothing, and on the disk before any value is encrypted with it.

        Whoever writes is inside the one write transaction of this service: the draft is nobody else's, and a kill leaves at most one.
        """
        folder, draft = self.file.parent, self.file.with_name(f".{self.file.name}.draft")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as out:
                out.write("\n".join(keys) + "\n")
                out.flush()
                os.fsync(out.fileno())
            os.replace(draft, self.file)
            beside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(beside)
            finally:
                os.close(beside)
        except OSError as exc:
            raise TokenKeyUnusable(f"{self.file} cannot be written: {exc.strerror}") from exc


def _new_key() -> str:
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()
