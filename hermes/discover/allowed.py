"""Where a discovery may go: hosts that the settings name, and never a private address unless they name that host as well."""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

PORTS = {"http": 80, "https": 443}
_TO_NAME_IT = "VX11_HERMES_DISCOVER_HOSTS can name it"
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Refused(Exception):
    """This address is not visited; the text says why."""


@dataclass(frozen=True)
class Allowed:
    """Hosts and ports that may be visited.

    `public` are pairs of host and port that must have public addresses; `named` are `host` (on any port) or `host:port`, wherever they are.
    """

    public: frozenset[tuple[str, int]]
    named: frozenset[str]

    @classmethod
    def of(cls, urls: Iterable[str], hosts: Iterable[str]) -> "Allowed":
        """What the hosts of these addresses and these further hosts make. An address that is none adds nothing."""
        public = set()
        for url in urls:
            try:
                public.add(endpoint_of(url))
            except Refused:
                continue
        return cls(frozenset(public), frozenset(host.lower() for host in hosts))

    def also(self, urls: Iterable[str]) -> "Allowed":
        """With the hosts of these addresses, which the machine's owner configured, wherever they are."""
        named = {_written(*endpoint_of(url)) for url in urls}
        return Allowed(self.public, self.named | named)

    def is_named(self, host: str, port: int) -> bool:
        return bool(self.named & {host.lower(), _bracketed(host), _written(host, port)})

    def check(self, host: str, port: int) -> None:
        """Raises Refused for a host or port that is not on the list."""
        if (host.lower(), port) not in self.public and not self.is_named(host, port):
            raise Refused(f"{_written(host, port)} is not among the hosts that may be visited; {_TO_NAME_IT}")

    def check_url(self, url: str) -> None:
        """Raises Refused."""
        self.check(*endpoint_of(url))

    async def address(self, host: str, port: int) -> str:
        """The address to connect to: the one that was looked at, so that no second answer of a name server can lead elsewhere.

        Raises Refused for a host that is not on the list, has no address, or has a private one without being named.
        """
        self.check(host, port)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as exc:
            raise Refused(f"the name server knows no address of {host}: look at the network") from exc
        addresses = [str(one[4][0]) for one in found]
        if not self.is_named(host, port):
            for address in addresses:
                if not is_public(address):
                    raise Refused(f"{host} is at {address}, which is not a public address; {_TO_NAME_IT}")
        return addresses[0]


def endpoint_of(url: str) -> tuple[str, int]:
    """Host, in lower case, and port of an http(s) address. Raises Refused."""
    try:
        parts: SplitResult = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise Refused("this is not an address") from exc
    if parts.scheme not in PORTS or not host:
        raise Refused("only http and https addresses are visited")
    return host.lower(), port or PORTS[parts.scheme]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


def _bracketed(host: str) -> str:
    return f"[{host.lower()}]" if ":" in host else host.lower()


def _written(host: str, port: int) -> str:
    return f"{_bracketed(host)}:{port}"
