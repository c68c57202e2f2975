"""Verdicts: values in, verdict out, no I/O."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from config.contracts.hermes_db import TokenFacts
from config.errors import Conflict, FleetError, Forbidden, TooManyRequests


def token_refusal(token: TokenFacts, address: str | None, now: datetime) -> FleetError | None:
    """Why a key is not handed to `address` now, or None when it is."""
    if not token.is_active:
        return Conflict(f"the key for {token.service} is not active: PATCH with is_active true brings it back")
    if token.expires_at is not None and token.expires_at <= now:
        return Conflict(f"the key for {token.service} expired at {token.expires_at.isoformat()}: store a new one")
    if token.addresses and not is_in(address, token.addresses):
        return Forbidden(f"the key for {token.service} is not for {address or 'whoever asks without an address'}")
    if token.limit_per_day is not None and token.used_today >= token.limit_per_day:
        return TooManyRequests(
            f"the key for {token.service} was read {token.used_today} times today (UTC), as often as its limit_per_day allows",
            headers=retry_after(next_day(now) - now),
        )
    return None


def lease_refusal(cli: str, limit: str, value: int, freed_at: datetime, now: datetime) -> TooManyRequests:
    """Says which limit of a tool is reached, and when one more turn can be had at the latest."""
    is_rate = limit != "max_concurrent"
    turns = "1 turn" if value == 1 else f"{value} turns"
    told = f"{turns} in the last {limit.rpartition('_')[2]}" if is_rate else f"{turns} held now"
    return TooManyRequests(f"{limit} of {cli} is reached: {told}", headers=retry_after(freed_at - now), limit=limit)


def is_in(address: str | None, networks: Iterable[str]) -> bool:
    """Whether an address belongs to one of the networks; an IPv4 address may come as IPv6 has it (`::ffff:10.0.0.1`)."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in ip_network(network) for network in networks)


def day_of(now: datetime) -> str:
    """The day in UTC, as uses are counted by it."""
    return now.astimezone(UTC).date().isoformat()


def next_day(now: datetime) -> datetime:
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(tzinfo=UTC))


def retry_after(wait: timedelta) -> dict[str, str]:
    """The header, in whole seconds, at least one."""
    return {"Retry-After": str(max(1, math.ceil(wait.total_seconds())))}
