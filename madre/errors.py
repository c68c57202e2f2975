"""Madre's expected refusals."""

from config.errors import FleetError


class ConfirmationRefused(FleetError):
    """The confirm token is wrong, used, expired or another caller's; nothing was run."""

    code, status, title = "confirmation_refused", 403, "This confirmation does not open this plan"


class PlanNotFound(FleetError):
    """There is no plan with this id, or it is another caller's."""

    code, status, title = "plan_not_found", 404, "There is no such plan"


class SessionNotFound(FleetError):
    """Nothing was said in this session yet, or it is another caller's."""

    code, status, title = "session_not_found", 404, "There is no such session"


class PlanNotCancellable(FleetError):
    """The plan has ended already."""

    code, status, title = "plan_finished", 409, "This plan has ended already"


class UnknownControl(FleetError):
    """Madre does not know this target or action."""

    code, status, title = "unknown_control", 422, "There is no such control"
