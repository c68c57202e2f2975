"""What madre says to people, in Spanish and English."""

from typing import Any

from madre.core import audio_words, job_words, model_words
from madre.core.models import IntentName, IntentV2, RiskLevel, StepV2

SAYINGS: dict[str, tuple[str, str]] = {
    "which_file": (
        "¿Qué archivo miro? Envía su asset_id en `files`.",
        "Which file shall I look at? Send its asset_id in `files`.",
    ),
    "engineer_unheard": (
        "El ingeniero de audio (shub) no responde ahora mismo. No se ha hecho nada; dilo otra vez dentro de un momento.",
        "The audio engineer (shub) does not answer right now. Nothing was done; say it again in a moment.",
    ),
    "command_too_long": (
        "Eso es demasiado largo para un encargo de audio (4000 caracteres como mucho). No se ha hecho nada; dilo por partes.",
        "That is too long for an order about sound (4000 characters at most). Nothing was done; say it in parts.",
    ),
    "delete_what": (
        "¿Qué borro exactamente? Envía el asset_id en `files`; no borro nada que no esté nombrado.",
        "What exactly shall I delete? Send the asset_id in `files`; I delete nothing that is not named.",
    ),
    "stem_count": (
        "El mensaje habla de {said} stems y he recibido {found}; mezclo los {found}.",
        "The message speaks of {said} stems and {found} came with it; I mix the {found}.",
    ),
    "mix_format": (
        "Todavía no escribo mezclas en {wanted}; la hago en WAV.",
        "I do not write mixes as {wanted} yet; this one is a WAV.",
    ),
    "confirm_high": (
        "Esto es delicado: {reason}. No se hace nada hasta que lo confirmes con su confirm_token "
        "(POST /madre/plans/{plan_id}/confirm).",
        "This is dangerous: {reason}. Nothing happens until you confirm it with its confirm_token "
        "(POST /madre/plans/{plan_id}/confirm).",
    ),
    "confirm_med": (
        "Antes de empezar: {reason}. ¿Sigo? Responde «sí» en esta sesión.",
        'Before I start: {reason}. Shall I go on? Answer "yes" in this session.',
    ),
    "needs_token": (
        "Para esto no basta un «sí»: necesita su confirm_token, el que vino con la pregunta. Envíalo con POST "
        "/madre/plans/{plan_id}/confirm o con `vx11 confirm {plan_id} TOKEN`; un «no» lo cancela. Todavía no se ha hecho nada.",
        'A "yes" is not enough for this one: it needs its confirm_token, which came with the question. Send it with POST '
        '/madre/plans/{plan_id}/confirm or with `vx11 confirm {plan_id} TOKEN`; a "no" cancels it. Nothing has been done yet.',
    ),
    "declined": ("De acuerdo, no hago nada.", "All right, I do nothing."),
    "confirmed": ("De acuerdo, empiezo.", "All right, I start."),
    "expired": (
        "El plazo para confirmar ha pasado; no se ha hecho nada.",
        "The time to confirm has passed; nothing was done.",
    ),
    "cancelled": ("Cancelado.", "Cancelled."),
    "working": (
        "En marcha. Míralo en GET /madre/plans/{plan_id} o síguelo en GET /madre/plans/{plan_id}/events.",
        "Under way. See GET /madre/plans/{plan_id} or follow GET /madre/plans/{plan_id}/events.",
    ),
    "halted": (
        "Todo está detenido ({why}); el plan queda guardado y sigue tras `vx11 resume`.",
        "Everything is halted ({why}); the plan is kept and goes on after `vx11 resume`.",
    ),
    "halted_waiting": (
        "Todo está detenido ({why}); este plan se puede confirmar tras `vx11 resume`.",
        "Everything is halted ({why}); this plan can be confirmed after `vx11 resume`.",
    ),
    "halted_by": ("por {by}", "by {by}"),
    "dry_run": ("Esto es lo que haría; no he hecho nada.", "This is what I would do; I have done nothing."),
    "no_model": (
        "No puedo contestar: ahora mismo no hay ningún modelo al alcance ({detail}). El audio y los controles siguen funcionando.",
        "I cannot answer that: no model can be reached right now ({detail}). Audio and controls still work.",
    ),
    "failed": ("No ha salido bien: {detail}", "That did not work: {detail}"),
    "not_in_fleet": (
        "Te he entendido ({what}), pero ningún servicio de esta flota lo hace todavía. No se ha hecho nada.",
        "I understood you ({what}), but no service of this fleet does that yet. Nothing was done.",
    ),
    "which_command": (
        "¿Qué comando ejecuto? Escríbelo entre comillas invertidas (ejecuta `python3 check.py`) o envíalo en `params` como `command` y "
        "`args`; nunca lo adivino.{projects}",
        "Which command shall I run? Write it in backticks (run `python3 check.py`) or send it in `params` as `command` and `args`; I "
        "never guess it.{projects}",
    ),
    "recipes": (
        " También puedes nombrar un proyecto y una de sus recetas: {what}.",
        " Or name a project and one of its recipes: {what}.",
    ),
    "several_commands": (
        "Veo varios comandos citados; dime uno solo, entre comillas invertidas.",
        "I see several quoted commands; give me one, in backticks.",
    ),
    "no_projects": (
        " No hay ningún proyecto configurado (VX11_PROJECTS).",
        " No project is configured (VX11_PROJECTS).",
    ),
    "needs_shell": (
        "Ese comando usa «{sign}», que solo entiende un shell, y yo no pongo ninguno. Escríbelo sin eso, o pide el shell tú, con todo "
        "el comando entre comillas invertidas: ejecuta `sh -c '…'`.",
        'That command uses "{sign}", which only a shell understands, and I put none in between. Write it without, or ask for the '
        "shell yourself, with the whole command in backticks: run `sh -c '…'`.",
    ),
    "sets_variable": (
        "Ese comando empieza por «{sign}», una variable que solo pondría un shell, y yo no pongo ninguno. Escríbelo sin ella entre "
        "comillas invertidas y pon la variable en `env` de `params`, o pide el shell tú: ejecuta `sh -c '{sign}… …'`.",
        'That command begins with "{sign}", a variable that only a shell would set, and I put none in between. Write it without, in '
        "backticks, and put the variable into `env` of `params`, or ask for the shell yourself: run `sh -c '{sign}… …'`.",
    ),
    "empty_quotes": (
        "Esas comillas están vacías. ¿Qué comando ejecuto? Escríbelo dentro de comillas invertidas: ejecuta `python3 check.py`.",
        "Those quotes are empty. Which command shall I run? Write it within backticks: run `python3 check.py`.",
    ),
    "only_the_command": (
        "Solo he tomado lo que se ejecuta; lo demás que dice el mensaje ({what}) no cambia nada. Los límites y la red van en "
        "`params`: {fields}.",
        "I took over only what is run; what else the message says ({what}) changes nothing. Limits and network go into `params`: "
        "{fields}.",
    ),
    "open_quotes": (
        "En ese comando hay una comilla sin cerrar. ¿Cómo es entero? Escríbelo entre comillas invertidas.",
        "A quote in that command is not closed. How does all of it read? Write it in backticks.",
    ),
    "as_written": (
        "No hay ningún shell en medio: «{sign}» se pasa tal cual.",
        'There is no shell in between: "{sign}" is passed as it is written.',
    ),
    "unknown_project": (
        "No conozco ningún proyecto «{name}». Los que hay (VX11_PROJECTS): {what}. ¿Cuál es?",
        'I know no project "{name}". Those there are (VX11_PROJECTS): {what}. Which one is it?',
    ),
    "unknown_project_of_none": (
        "No conozco ningún proyecto «{name}»: no hay ninguno configurado (VX11_PROJECTS). Si es otro comando, escríbelo entre comillas "
        "invertidas.",
        'I know no project "{name}": none is configured (VX11_PROJECTS). If it is another command, write it in backticks.',
    ),
    "no_recipes": (
        "El proyecto {project} no tiene recetas (VX11_PROJECTS). Escribe un comando entre comillas invertidas.",
        "Project {project} has no recipes (VX11_PROJECTS). Write a command in backticks.",
    ),
    "no_recipe_in_list": ("sin recetas", "no recipes"),
    "which_recipe": (
        "¿Qué ejecuto del proyecto {project}? Sus recetas: {what}. O escribe un comando entre comillas invertidas.",
        "What shall I run of project {project}? Its recipes: {what}. Or write a command in backticks.",
    ),
    "which_job": (
        "¿Cuál detengo? Dime su id o su nombre: {what}.",
        "Which one shall I stop? Tell me its id or name: {what}.",
    ),
    "no_jobs_to_end": (
        "No hay ningún proceso en marcha ni en cola que detener. Un plan se cancela con POST /madre/plans/<id>/cancel.",
        "No process runs or waits that I could stop. A plan is cancelled with POST /madre/plans/<id>/cancel.",
    ),
    "spawner_down": (
        "No puedo hacerlo: spawner, que lleva los procesos, no responde. No se ha hecho nada.",
        "I cannot do that: spawner, which runs the processes, does not answer. Nothing was done.",
    ),
    "in_project": ("en el proyecto {name} (solo lectura)", "in project {name} (read-only)"),
    "on_a_copy": ("en una copia del proyecto {name}", "on a copy of project {name}"),
    "with_network": ("con toda la red", "with all of the network"),
    "at_most": ("como mucho {seconds} s", "at most {seconds} s"),
    "daughter_queued": (
        "En cola: {name} espera a que spawner lo tome. Míralo en GET /madre/plans/{plan_id} o cancélalo con "
        "POST /madre/plans/{plan_id}/cancel.",
        "Queued: {name} waits for spawner to take it. See GET /madre/plans/{plan_id}, or cancel with "
        "POST /madre/plans/{plan_id}/cancel.",
    ),
    "daughter_unheard": (
        "En cola: {name} empezará cuando spawner vuelva; ahora mismo no responde ({detail}). Puedes cancelarlo con "
        "POST /madre/plans/{plan_id}/cancel.",
        "Queued: {name} starts when spawner is back; right now it does not answer ({detail}). You can cancel with "
        "POST /madre/plans/{plan_id}/cancel.",
    ),
    "daughter_running": (
        "En marcha: {name} ({spawn_id}). Míralo en GET /madre/plans/{plan_id} o cancélalo con POST /madre/plans/{plan_id}/cancel.",
        "Running: {name} ({spawn_id}). See GET /madre/plans/{plan_id}, or cancel with POST /madre/plans/{plan_id}/cancel.",
    ),
    "daughter_halted": (
        "Detenido: {name} vuelve a empezar desde el principio tras `vx11 resume`. Puedes cancelarlo con "
        "POST /madre/plans/{plan_id}/cancel.",
        "Halted: {name} starts again from its beginning after `vx11 resume`. You can cancel with "
        "POST /madre/plans/{plan_id}/cancel.",
    ),
    "which_search": (
        "¿Qué modelo busco? Dime para qué (código, visión, traducción…) o su nombre.",
        "Which model shall I look for? Tell me what for (code, vision, translation…), or its name.",
    ),
    "which_model_to_download": (
        "¿Qué modelo descargo? Dime su nombre (dueño/modelo) o para qué lo quieres (código, visión, traducción…).",
        "Which model shall I download? Tell me its name (owner/model), or what it is for (code, vision, translation…).",
    ),
    "which_of_models": ("Hay varios: {what}. ¿Cuál?", "There are several: {what}. Which one?"),
    "which_version": (
        "{name} no tiene {said}. Tiene: {what}. ¿Cuál descargo?",
        "{name} has no {said}. It has: {what}. Which one shall I download?",
    ),
    "which_model_to_delete": (
        "¿Qué modelo borro? Dime su nombre completo o su id: {what}. No borro nada que no esté claro.",
        "Which model shall I delete? Tell me its full name or its id: {what}. I delete nothing that is not clear.",
    ),
    "nothing_to_remove": (
        "No hay ningún modelo que quitar: todo está dentro de los límites, o protegido.",
        "No model has to go: all is within the limits, or protected.",
    ),
    "no_license": ("licencia no declarada", "no licence declared"),
    "gated": (
        "Pide aceptar antes su licencia en {url}; sin eso, la descarga se niega.",
        "It wants its licence accepted first at {url}; the download is refused without.",
    ),
    "does_not_fit": ("Puede que no funcione en esta máquina: {detail}", "It may not run on this machine: {detail}"),
    "is_kept": ("Ya hay una versión de {name} en esta máquina.", "A version of {name} is on this machine already."),
    "deleted": ("Borrado: {what}.", "Deleted: {what}."),
    "no_models": ("No hay ningún modelo registrado.", "No model is registered."),
    "plans_none": ("No hay nada en marcha.", "Nothing is running."),
    "plans": ("En marcha o a la espera: {what}.", "Running or waiting: {what}."),
    "all_well": ("Toda la flota responde: {what}.", "The whole fleet answers: {what}."),
    "unwell": ("Hay problemas: {what}.", "There are problems: {what}."),
    "help": (
        "Puedo mezclar stems («mezcla estos 3 stems a -14 LUFS»), analizar audio, contestar preguntas con el modelo local o los que "
        "configures, listar, buscar y bajar modelos («busca un modelo pequeño de código y descárgalo»), decirte qué herramientas hay, "
        "cómo está la flota y qué hay en marcha, y, si lo confirmas, ejecutar un programa en un sandbox («ejecuta `python3 -c "
        "'print(6*7)'`»), detenerlo, o borrar un audio o un modelo. Envía los archivos en `files`.",
        'I can mix stems ("mix these 3 stems to -14 LUFS"), analyse audio, answer questions with the local model or those you '
        'configure, list, find and fetch models ("download the best small coding model"), tell which tools there are, how the fleet '
        "is and what is running, and, once you confirm it, run a program in a sandbox (\"run `python3 -c 'print(6*7)'`\"), stop it, or "
        "delete an audio file or a model. Send files in `files`.",
    ),
}
WHAT: dict[IntentName, tuple[str, str]] = {
    IntentName.AUDIO_EFFECTS: ("aplicar efectos de audio", "apply audio effects"),
    IntentName.AUDIO_MASTER: ("masterizar", "master a track"),
    IntentName.AUDIO_EXPORT: ("exportar audio", "export audio"),
    IntentName.AUDIO_UNDO: ("deshacer un cambio de audio", "undo an audio change"),
    IntentName.SCAN_SYSTEM: ("examinar el sistema", "scan the system"),
    IntentName.AUDIT_DRIFT: ("auditar cambios de configuración", "audit drift"),
    IntentName.REPAIR_MODULE: ("reparar un módulo", "repair a module"),
    IntentName.DELETE_RESOURCE: ("borrar eso", "delete that"),
}


_AUDIO = frozenset(name for name in IntentName if name.value.startswith("audio_"))


def say(key: str, language: str, **values: Any) -> str:
    """A saying in the person's language."""
    es, en = SAYINGS[key]
    return (es if language == "es" else en).format(**values)


def not_in_fleet(intent: IntentV2) -> str:
    es, en = WHAT.get(intent.name, (intent.name.value, intent.name.value))
    return say("not_in_fleet", intent.language, what=es if intent.language == "es" else en)


def confirmation_of(risk: RiskLevel, reason: str, plan_id: str, language: str) -> str:
    """How a plan asks for its confirmation."""
    return say("confirm_high" if risk is RiskLevel.HIGH else "confirm_med", language, reason=reason, plan_id=plan_id)


def halted(key: str, language: str, *, by: str | None, reason: str | None) -> str:
    """That everything stands still, by whom and why as far as that is known."""
    told = say("halted_by", language, by=by or "owner")
    return say(key, language, why=f"{told}: {reason}" if reason else told)


def report(intent: IntentV2, steps: list[StepV2]) -> str:
    """What was done, out of the results of the finished steps."""
    if intent.name in _AUDIO:
        return audio_words.report(intent.language, intent.params.get("actions", []), steps)
    teller = _REPORTS.get(intent.name)
    results = [step.result or {} for step in steps]
    return str(teller(intent.language, results)) if teller else ""


def _answer(_language: str, results: list[dict[str, Any]]) -> str:
    return str(results[0].get("answer", ""))


def _deleted(language: str, results: list[dict[str, Any]]) -> str:
    if any("freed_bytes" in one or "removed" in one for one in results):
        return model_words.removed(language, results)
    return say("deleted", language, what=", ".join(str(one.get("name") or one.get("asset_id")) for one in results))


def _status(language: str, results: list[dict[str, Any]]) -> str:
    """Plans, jobs, or one job: what each result holds tells which it is."""
    if all("spawn" in one for one in results):
        return "\n".join(job_words.job(language, one["spawn"]) for one in results)
    told = [job_words.jobs(language, one) for one in results if "jobs" in one]
    plans = [item for one in results for item in one.get("items", [])]
    items = [f"{item['plan_id']} ({item['intent']}, {item['status']})" for item in plans]
    if items:
        told.append(say("plans", language, what=", ".join(items)))
    elif not told:
        told.append(say("plans_none", language))
    return "\n".join(told)


def _health(language: str, results: list[dict[str, Any]]) -> str:
    checks: dict[str, dict[str, str]] = results[0].get("checks", {})
    bad = [
        f"{name}: {check['status']} {check['detail']}".strip()
        for name, check in checks.items()
        if check["status"] != "ok"
    ]
    return (
        say("unwell", language, what="; ".join(bad))
        if bad
        else say("all_well", language, what=", ".join(sorted(checks)))
    )


def _help(language: str, _results: list[dict[str, Any]]) -> str:
    return say("help", language)


_REPORTS: dict[IntentName, Any] = {
    IntentName.GENERAL_QUESTION: _answer,
    IntentName.CODE_QUESTION: _answer,
    IntentName.DELETE_RESOURCE: _deleted,
    IntentName.LIST_MODELS: model_words.kept,
    IntentName.SEARCH_MODELS: model_words.found,
    IntentName.DOWNLOAD_MODEL: model_words.downloaded,
    IntentName.LIST_CLIS: model_words.tools,
    IntentName.RUN_PROCESS: lambda language, results: job_words.ended(language, results[0]),
    IntentName.PROCESS_STATUS: _status,
    IntentName.KILL_PROCESS: lambda language, results: job_words.killed(language, [one["spawn"] for one in results]),
    IntentName.FLEET_STATUS: _health,
    IntentName.HELP: _help,
}


YES = frozenset(
    [
        "si",
        "sí",
        "sip",
        "claro",
        "vale",
        "ok",
        "okay",
        "okey",
        "dale",
        "venga",
        "adelante",
        "hazlo",
        "confirmo",
        "confirmado",
        "correcto",
        "procede",
        "sigue",
        "yes",
        "yep",
        "yeah",
        "yup",
        "sure",
        "go",
        "proceed",
        "confirm",
        "confirmed",
        "please",
    ]
)
NO = frozenset(
    ["no", "nop", "nope", "para", "cancela", "cancelar", "cancel", "stop", "don't", "dont", "nunca", "mejor"]
)
FILLER = frozenset(
    [
        "por",
        "favor",
        "adelante",
        "con",
        "eso",
        "do",
        "it",
        "ahead",
        "hazlo",
        "de",
        "acuerdo",
        "que",
        "all",
        "right",
        "alright",
        "si",
        "sí",
        "no",
        "mejor",
        "gracias",
        "thanks",
        "thank",
        "you",
    ]
)
LONGEST_ANSWER = 5  # words: anything longer is a new request, not an answer


def yes_or_no(message: str) -> bool | None:
    """Whether a message is nothing but a yes or a no; None for everything else. A doubtful answer is never a yes."""
    said = [word.strip("¡!.,;:¿?\"'").lower() for word in message.split()]
    said = [word for word in said if word]
    if not said or len(said) > LONGEST_ANSWER or any(word not in YES | NO | FILLER for word in said):
        return None
    if "?" in message or "¿" in message:
        return None
    if any(word in NO for word in said):
        return False
    return True if any(word in YES for word in said) or said[:2] in (["de", "acuerdo"], ["all", "right"]) else None
