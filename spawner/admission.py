"""What a request comes to on this machine: which program, with which mounts, variables and limits; or why it is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.contracts.spawner import Limits, Protections, SpawnRequest
from config.errors import Forbidden
from spawner import policy
from spawner.commands import find_command
from spawner.errors import InputRefused, ProfileMissing
from spawner.job import Mount
from spawner.settings import Profile, SpawnerSettings

PROJECT_TARGET = "/project"
SHORTEST_SECRET = 12  # characters; shorter values, and paths, are no keys


@dataclass(frozen=True)
class Admitted:
    """A request that policy has let through."""

    command: Path
    limits: Limits
    env: Mapping[str, str]
    mounts: tuple[Mount, ...]
    copies: Path | None
    """The project folder that is copied into the job's."""
    has_network: bool
    asks_for_network: bool
    """Whether the request, rather than its profile, brings the network: then somebody must have allowed it."""
    protections: Protections
    secrets: tuple[str, ...] = ()
    """Values of the profile's variables, which are keys as a rule: they are kept out of the record."""


class Admission:
    """Looks at requests. The few looks at the file system that it takes cost less than a thread would."""

    def __init__(self, settings: SpawnerSettings, protections: Protections, job_uids: range | None) -> None:
        self._settings, self._protections, self._job_uids = settings, protections, job_uids
        self._most = {
            name: getattr(settings, f"spawner_most_{name.removeprefix('max_')}") for name in Limits.model_fields
        }

    def admit(self, request: SpawnRequest, caller: str) -> Admitted:
        """Raises CommandRefused, InputRefused, ProtectionUnmet, and Forbidden for another caller's profile."""
        profile = self._profile(request, caller)
        limits = policy.limits_of(request, self._most, self._settings.spawner_most_ttl_seconds)
        policy.refuse_variables(request.env)
        policy.refuse_inputs(request.files, has_project_copy=request.project_copy)
        for glob in request.artifacts:
            policy.parts_of(glob, "artifacts")
        asks = request.network == "full"
        has_network = asks or profile.network
        protections = policy.protections_of(self._protections, has_network=has_network)
        policy.refuse_unprotected(request.min_protection, protections)
        project = self._project(request)
        mounts = [Mount(one.source, one.target, one.writable, one.lent and not one.writable) for one in profile.mounts]
        if project is not None and not request.project_copy:
            mounts.append(Mount(project, PROJECT_TARGET))
        return Admitted(
            command=find_command(request.command, self._settings.command_dirs, job_uids=self._job_uids),
            limits=limits,
            env=request.env | profile.env,
            mounts=tuple(mounts),
            copies=project if request.project_copy else None,
            has_network=has_network,
            asks_for_network=asks and not profile.network,
            protections=protections,
            secrets=tuple(
                value for value in profile.env.values() if len(value) >= SHORTEST_SECRET and not value.startswith("/")
            ),
        )

    def _profile(self, request: SpawnRequest, caller: str) -> Profile:
        if request.profile is None:
            return Profile(callers=[])
        found = self._settings.profiles.get(request.profile)
        if found is None:
            raise ProfileMissing(f"there is no profile {request.profile!r} (VX11_SPAWNER_PROFILES)")
        if caller not in found.callers:
            raise Forbidden(f"the profile {request.profile!r} is not for {caller}")
        return found

    def _project(self, request: SpawnRequest) -> Path | None:
        if request.project is None:
            if request.project_copy:
                raise InputRefused("project_copy copies a project: name it in `project`")
            return None
        found = self._settings.projects.get(request.project)
        if found is None:
            raise InputRefused(f"there is no project {request.project!r} (VX11_PROJECTS)")
        path = found.path.resolve()
        if not path.is_dir():
            raise InputRefused(f"the folder of the project {request.project!r} is not there")
        return path
