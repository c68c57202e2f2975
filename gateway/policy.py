"""Who may hand on what. Pure: values in, verdicts out."""

from config.auth import DANGEROUS, Caller

OWNER = "owner"


def grantable(caller: Caller, scope: str) -> bool:
    """Whether `caller` may make a token with `scope`: nobody gives more than they have.

    A star covers what it covers for its holder, so it never covers a dangerous operation; only the owner may name one that is not
    among their own scopes.
    """
    if scope in caller.scopes:
        return True
    if scope in DANGEROUS:
        return caller.id == OWNER
    if scope == "*":
        return False
    module = scope.partition(":")[0]
    return "*" in caller.scopes or f"{module}:*" in caller.scopes
