"""Plans about processes: run one, see how they are, end one. Values in, draft out; no I/O.

What is run comes out of quotes, structured parameters or a project's named recipe. Where none of them says it, madre asks.
"""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from config.contracts.spawner import SpawnRequest, SpawnSummary
from config.errors import InvalidRequest
from config.projects import Project, Recipe
from madre.core import words
from madre.core.draft import Draft, Known, checked, step
from madre.core.intents.commands import Trouble, has_empty_pair, quotes_in, split
from madre.core.intents.numbers import spoken_to_digits
from madre.core.intents.slots import read_slots
from madre.core.intents.text import listed, plain
from madre.core.models import IntentV2, StepType

FAMILIES = (
    listed("test tests testing prueba pruebas"),
    listed("build compile compila compilar construye construir"),
    listed("lint linter linting"),
    listed("bench benchmark benchmarks"),
    listed("docs documentation documentacion"),
)
"""Words of people for the usual names of recipes."""
RECIPE_WORDS = listed("project projects proyecto proyectos recipe recipes receta recetas")
LONGEST_SHOWN = 300  # characters of a command in the question whether to run it
MOST_SHOWN = 10
_AMOUNT = r"\b\d+(?:[.,]\d+)? ?"
UNTAKEN: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (
        re.compile(
            rf"{_AMOUNT}(?:s|segs?|segundos?|secs?|seconds?|m|mins?|minutos?|minutes?|h|horas?|hours?|hrs?)\b|\btimeout\b"
        ),
        ("timeout_seconds",),
    ),
    (
        re.compile(
            rf"{_AMOUNT}(?:[kmgt]i?b|bytes|megas?|gigas?|(?:kilo|mega|giga)bytes?)\b|\b(?:memoria|memory|ram)\b"
        ),
        ("max_memory_mb",),
    ),
    (re.compile(r"\b(?:red|network|internet|offline|wifi)\b"), ("network",)),
)
"""What people say of limits and network in plain text, and the parameters that hold it: text gives a process neither."""
NOT_A_JOBS = frozenset({"wait_seconds"})
"""Fields of a SpawnRequest that mean nothing to a daughter: her plan waits for her."""


def run(intent: IntentV2, message: str, files: list[str], known: Known) -> Draft:
    """One daughter. Raises InvalidRequest for structured parameters that spawner would refuse."""
    params, language = intent.params, intent.language
    given = {
        name: params[name]
        for name in SpawnRequest.model_fields
        if name not in NOT_A_JOBS and params.get(name) is not None
    }
    warnings: list[str] = []
    for name in ("project", "recipe"):
        if not isinstance(params.get(name, ""), str):
            raise _refused(name, "must be a name")
    project = given.get("project")
    if project is not None and project not in known.projects and ("command" in given or "command_line" in params):
        return _unknown_project(intent, known)
    if "command" not in given:
        if "args" in given:
            raise _refused("args", "goes with command")
        if "recipe" in params:
            found: dict[str, Any] | Draft = _recipe_by_name(intent, known)
        elif "command_line" in params:
            found = _quoted(str(params["command_line"]), language, warnings)
        elif "command_lines" in params:
            return Draft(question=words.say("several_commands", language), missing="command")
        else:
            found = _recipe_by_words(intent, message, known)
        if isinstance(found, Draft):
            return found
        warnings += _untaken(message, given, language)
        given = found | given if "project" not in found else found | given | {"project": found["project"]}
    if files and isinstance(given.get("files", []), list):
        given["files"] = [*given.get("files", []), *({"path": asset, "asset_id": asset} for asset in files)]
    given.setdefault("name", _base_name(given.get("command")))
    request = checked(SpawnRequest, given)
    order = request.model_dump(mode="json", exclude_unset=True)
    steps = [step(1, StepType.SPAWN_DAUGHTER, "spawner:run", order)]
    return Draft(steps, warnings=warnings, about=about(request, language))


def completed(asked: IntentV2, answer: str, projects: Mapping[str, Project]) -> IntentV2:
    """The order that waited for a particular, with what the answer says."""
    kept, more = dict(asked.params), read_slots(asked.name, answer)
    if kept.get("project") not in (None, *projects) and "project" not in more:
        named = _mentioned(projects, plain(quotes_in(answer).rest))
        if len(named) == 1:
            more["project"] = named[0]
        elif "command_line" in more:
            del kept["project"]  # another command, which does not speak of that project
    return asked.model_copy(update={"params": kept | more})


def status(intent: IntentV2, _message: str, _files: list[str], known: Known) -> Draft:
    """How one process is, or which there are, with madre's own plans."""
    if intent.target == "madre":
        return Draft([step(1, StepType.NOOP, "madre:plans", {})])
    if ids := _spawn_ids(intent):
        asked = [{"spawn_id": one, "caller": known.whose} for one in ids[:MOST_SHOWN]]
        return Draft([step(n, StepType.CALL_SPAWNER, "spawner:status", one) for n, one in enumerate(asked, start=1)])
    wanted = {"caller": known.whose, "name": _job_name(intent)}
    return Draft([step(1, StepType.CALL_SPAWNER, "spawner:list", wanted), step(2, StepType.NOOP, "madre:plans", {})])


def kill(intent: IntentV2, message: str, _files: list[str], known: Known) -> Draft:
    """The end of the jobs that are named by their ids, or of the only one that runs under the name that was said."""
    language = intent.language
    if known.jobs is None:
        return Draft(refusal=words.say("spawner_down", language), refusal_code="upstream_unavailable")
    if not known.jobs:
        return Draft(refusal=words.say("no_jobs_to_end", language), refusal_code="spawn_not_found")
    by_id = {job.spawn_id: job for job in known.jobs}
    ids = _spawn_ids(intent)
    if ids and all(one in by_id for one in ids):
        chosen = [by_id[one] for one in ids]
    else:
        chosen = [] if ids else _named_jobs(_job_name(intent), message, known.jobs)
        if len(chosen) != 1:
            return Draft(question=words.say("which_job", language, what=_jobs(known.jobs)), missing="job")
    steps = [
        step(n, StepType.CALL_SPAWNER, "spawner:kill", {"spawn_id": job.spawn_id, "name": job.name})
        for n, job in enumerate(chosen, start=1)
    ]
    return Draft(steps, about=_jobs(chosen))


def about(request: SpawnRequest, language: str) -> str:
    """What exactly would be run, in one line."""
    line = shlex.join([request.command, *request.args])
    line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in line)
    shown = line if len(line) <= LONGEST_SHOWN else f"{line[:LONGEST_SHOWN]}…"
    told = [f"`{shown}`"]
    if request.project is not None:
        told.append(words.say("on_a_copy" if request.project_copy else "in_project", language, name=request.project))
    if request.network == "full":
        told.append(words.say("with_network", language))
    told.append(words.say("at_most", language, seconds=f"{request.timeout_seconds:g}"))
    return ", ".join(told)


def _quoted(line: str, language: str, warnings: list[str]) -> dict[str, Any] | Draft:
    found = split(line)
    if found.trouble is Trouble.SHELL:
        sign = repr(found.sign)[1:-1]
        return Draft(question=words.say("needs_shell", language, sign=sign), missing="command")
    if found.trouble is Trouble.VARIABLE:
        return Draft(question=words.say("sets_variable", language, sign=found.sign), missing="command")
    if found.trouble is Trouble.EMPTY:
        return Draft(question=words.say("empty_quotes", language), missing="command")
    if found.trouble is not None:
        return Draft(question=words.say("open_quotes", language), missing="command")
    if found.sign:
        warnings.append(words.say("as_written", language, sign=found.sign))
    return {"command": found.words[0], "args": list(found.words[1:])}


def _recipe_by_name(intent: IntentV2, known: Known) -> dict[str, Any] | Draft:
    """The recipe that structured parameters name. Raises InvalidRequest when there is none by that name."""
    name, recipe = intent.params.get("project"), intent.params["recipe"]
    if not isinstance(name, str) or name not in known.projects:
        raise _refused(
            "project", f"is none of {', '.join(sorted(known.projects)) or 'the settings: VX11_PROJECTS names none'}"
        )
    if recipe not in (found := known.projects[name].recipes):
        raise _refused("recipe", f"is none of {name}'s: {', '.join(sorted(found)) or 'it has none'}")
    return _of_recipe(name, recipe, found[recipe])


def _recipe_by_words(intent: IntentV2, message: str, known: Known) -> dict[str, Any] | Draft:
    """The recipe that a message names with its project; a question where either is not said or not known."""
    said: str | None = intent.params.get("project")
    text = plain(quotes_in(message).rest)
    if has_empty_pair(message):
        return Draft(question=words.say("empty_quotes", intent.language), missing="command")
    if said is None and not known.projects:
        none = words.say("no_projects", intent.language) if _speaks_of_recipes(text) else ""
        return Draft(question=words.say("which_command", intent.language, projects=none), missing="command")
    if said is None or said not in known.projects:
        named = _mentioned(known.projects, text)
        if len(named) != 1:
            if said is not None:
                return _unknown_project(intent, known)
            listing = words.say("recipes", intent.language, what=_recipes(known.projects, intent.language))
            return Draft(question=words.say("which_command", intent.language, projects=listing), missing="command")
        said = named[0]
    recipes = known.projects[said].recipes
    rest = re.sub(rf"(?<![\w-]){re.escape(plain(said))}(?![\w-])", " ", text)
    found = _mentioned(recipes, rest) or [
        name for family in FAMILIES for name in recipes if plain(name) in family and _mentioned(family, rest)
    ]
    if not recipes:
        return Draft(question=words.say("no_recipes", intent.language, project=said), missing="command")
    if len(found) != 1:
        what = ", ".join(sorted(recipes))
        return Draft(question=words.say("which_recipe", intent.language, project=said, what=what), missing="command")
    return _of_recipe(said, found[0], recipes[found[0]])


def _of_recipe(project: str, name: str, recipe: Recipe) -> dict[str, Any]:
    asked = recipe.model_dump(exclude_none=True)
    return asked | {"project": project, "name": f"{project}-{name}"[:100]}


def _unknown_project(intent: IntentV2, known: Known) -> Draft:
    there = ", ".join(sorted(known.projects))
    if intent.source == "structured":
        raise _refused("project", f"is none of the settings' projects: {there or 'VX11_PROJECTS names none'}")
    key = "unknown_project" if there else "unknown_project_of_none"
    question = words.say(key, intent.language, name=intent.params["project"], what=there)
    return Draft(question=question, missing="command")


def _untaken(message: str, given: Mapping[str, Any], language: str) -> list[str]:
    """The warning about limits and network that a message speaks of outside its quoted command, where `params` do not set them."""
    text = spoken_to_digits(plain(quotes_in(message).rest))
    missed = [
        (hit[0], fields) for form, fields in UNTAKEN for hit in form.finditer(text) if not set(fields) & set(given)
    ]
    if not missed:
        return []
    what = ", ".join(dict.fromkeys(said for said, _ in missed))
    fields = ", ".join(dict.fromkeys(f"`{field}`" for _, some in missed for field in some))
    return [words.say("only_the_command", language, what=what[:LONGEST_SHOWN], fields=fields)]


def _speaks_of_recipes(text: str) -> bool:
    return bool(_mentioned((*RECIPE_WORDS, *(word for family in FAMILIES for word in family)), text))


def _mentioned(names: Iterable[str], text: str) -> list[str]:
    """The names that a plain text holds as words of their own; of two where one is part of the other, the longer."""
    found = []
    for name in names:
        parts = "[-_ ]".join(re.escape(part) for part in re.split(r"[-_ ]+", plain(name)))
        if re.search(rf"(?<![\w-]){parts}(?![\w-])", text):
            found.append(name)
    return [one for one in found if not any(one != other and plain(one) in plain(other) for other in found)]


def _spawn_ids(intent: IntentV2) -> list[str]:
    """Raises InvalidRequest for a structured `spawn_id` that is none."""
    given = intent.params.get("spawn_id")
    if given is not None:
        if not isinstance(given, str) or not 0 < len(given) <= 64:
            raise _refused("spawn_id", "must be the id of a job")
        return [given]
    said = intent.params.get("object_ids", [])
    return [one.lower() for one in said if isinstance(one, str) and one.lower().startswith("spawn_")]


def _job_name(intent: IntentV2) -> str | None:
    """Raises InvalidRequest for a structured `name` that is none."""
    given = intent.params.get("name", intent.params.get("job_name"))
    if given is not None and (not isinstance(given, str) or not 0 < len(given) <= 100 or "\x00" in given):
        raise _refused("name", "must be the name of a job, of 1 to 100 characters")
    return given


def _named_jobs(name: str | None, message: str, jobs: Sequence[SpawnSummary]) -> list[SpawnSummary]:
    """The jobs of this name; without one, those whose names the message holds."""
    if name is not None:
        return [job for job in jobs if job.name == name]
    said = set(_mentioned({job.name for job in jobs if job.name != "job"}, plain(quotes_in(message).rest)))
    return [job for job in jobs if job.name in said]


def _jobs(jobs: Sequence[SpawnSummary]) -> str:
    listed_jobs = ", ".join(f"{job.name} ({job.spawn_id}, {job.status})" for job in jobs[:MOST_SHOWN])
    return listed_jobs + (", …" if len(jobs) > MOST_SHOWN else "")


def _recipes(projects: Mapping[str, Project], language: str) -> str:
    none = words.say("no_recipe_in_list", language)
    return "; ".join(f"{name}: {', '.join(sorted(one.recipes)) or none}" for name, one in sorted(projects.items()))


def _base_name(command: Any) -> str:
    return (command.rsplit("/", 1)[-1][:100] if isinstance(command, str) else "") or "job"


def _refused(field: str, why: str) -> InvalidRequest:
    message = f"params.{field}: {why}"
    return InvalidRequest(message, errors=[{"field": f"params.{field}", "message": why}])
