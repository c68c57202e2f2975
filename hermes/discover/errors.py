"""What can stop a discovery as a whole; a single page or index that fails is a warning in its result."""

from config.errors import FleetError


class BrowserMissing(FleetError):
    """There is no browser on this machine to look at pages with."""

    code, status, title = "browser_missing", 503, "No browser is installed"


class BrowserBroken(FleetError):
    """The browser could not be started, or went down with all it had read."""

    code, status, title = "browser_broken", 502, "The browser did not do its work"
