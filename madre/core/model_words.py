"""What madre says of models and tools, in Spanish and English: found, fetched, removed, kept, and what went wrong with the hub."""

import re
from collections.abc import Sequence
from typing import Any

from config.contracts.hermes import FoundModel, SearchWarning
from config.errors import FleetError
from madre.core.models import IntentV2

MOST_TOLD = 30
LONGEST_DETAIL = 600
TROUBLES: dict[str, tuple[str, str]] = {
    "hub_unreachable": (
        "No llego al buscador de modelos: {detail}. Comprueba la red y VX11_HERMES_HUB_URL y vuelve a pedirlo; lo que ya está en esta "
        "máquina sigue funcionando.",
        "The model hub cannot be reached: {detail}. Check the network and VX11_HERMES_HUB_URL and ask again; what is on this machine "
        "goes on working.",
    ),
    "hub_rate_limited": (
        "El buscador de modelos pide que esperemos: {detail}. Vuelve a pedirlo dentro de un rato.",
        "The model hub wants us to wait: {detail}. Ask again in a while.",
    ),
    "hub_broken": (
        "El buscador de modelos contesta algo que no se entiende: {detail}. Comprueba VX11_HERMES_HUB_URL.",
        "The model hub answers nonsense: {detail}. Check VX11_HERMES_HUB_URL.",
    ),
    "catalogue_unavailable": (
        "El catálogo de OpenRouter no contesta: {detail}. Vuelve a pedirlo más tarde, o busca sin él.",
        "OpenRouter's catalogue does not answer: {detail}. Ask again later, or search without it.",
    ),
    "gated_model": (
        "Ese modelo pide aceptar antes su licencia, y no se ha descargado nada: {detail}. Después, vuelve a pedirlo.",
        "This model wants its licence accepted first, and nothing was downloaded: {detail}. After that, ask again.",
    ),
    "hub_token_refused": (
        "El buscador de modelos no acepta nuestro token: {detail}.",
        "The model hub does not take our token: {detail}.",
    ),
    "model_not_on_hub": ("Ese modelo no existe, o no se deja ver sin un token que tenga acceso: {detail}.",
                         "There is no such model, or none that can be seen without a token that may: {detail}."),
    "revision_not_found": ("Esa revisión del modelo ya no existe: {detail}.", "The model has no such revision any more: {detail}."),
    "files_not_chosen": ("Falta decir qué versión del modelo: {detail}", "Which version of the model is not clear: {detail}"),
    "file_refused": ("Ese archivo no se acepta, y no se ha guardado nada: {detail}.",
                     "This file is not taken, and nothing was kept: {detail}."),
    "model_too_large": (
        "Es demasiado grande: {detail}. El límite es VX11_HERMES_DOWNLOAD_LIMIT_BYTES.",
        "It is too large: {detail}. The limit is VX11_HERMES_DOWNLOAD_LIMIT_BYTES.",
    ),
    "storage_full": ("No cabe en el disco, y no se ha guardado nada: {detail}.",
                     "There is no room on the disk, and nothing was kept: {detail}."),
    "hub_file_wrong": (
        "Lo que llegó no es lo que el buscador dice que es, tampoco al repetirlo; no se ha registrado nada: {detail}.",
        "What came is not what the hub says it is, also when asked again; nothing was registered: {detail}.",
    ),
    "download_broken": (
        "La descarga se cortó: {detail}. Si la pides otra vez, sigue donde quedó.",
        "The download broke off: {detail}. Ask for it again and it goes on where it stopped.",
    ),
    "virus_found": ("El antivirus lo rechaza y se ha borrado: {detail}.", "The antivirus refuses it, and it was removed: {detail}."),
    "scanner_problem": ("El antivirus no contesta, y sin él no se registra nada: {detail}.",
                        "The antivirus does not answer, and without it nothing is registered: {detail}."),
    "model_in_use": ("Ese modelo está en uso y no se ha borrado: {detail}.", "This model is in use and was not removed: {detail}."),
    "model_not_kept": ("Ese modelo ya no está en esta máquina: {detail}.", "This model is not on this machine any more: {detail}."),
    "upstream_unavailable": (
        "No puedo hacerlo: hermes, que lleva los modelos, no responde ({detail}). No se ha hecho nada.",
        "I cannot do that: hermes, which looks after the models, does not answer ({detail}). Nothing was done.",
    ),
}  # fmt: skip
"""By the code of the error."""
_CODED = re.compile(r"([a-z_]{3,40}): (.+)", re.S)


def size(size_bytes: int | None, language: str) -> str:
    """Bytes as people say them, in powers of ten: 398 MB, 1.3 GB (1,3 GB)."""
    if size_bytes is None:
        return "tamaño desconocido" if language == "es" else "size unknown"
    told = f"{size_bytes} B"
    for least, unit in ((1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")):
        if size_bytes >= least:
            many = size_bytes / least
            told = f"{many:.1f} {unit}" if unit == "GB" or many < 10 else f"{many:.0f} {unit}"
            break
    return told.replace(".", ",") if language == "es" else told


def trouble(language: str, error: FleetError) -> str:
    """What is wrong and what can be done. A job's error begins with the code of the error that ended it."""
    code, detail = error.code, error.detail
    if code == "job_failed" and (coded := _CODED.fullmatch(detail)):
        code, detail = coded[1], coded[2]
    es, en = TROUBLES.get(code, ("No ha salido bien: {detail}", "That did not work: {detail}"))
    return (es if language == "es" else en).format(detail=_ended(detail, es if language == "es" else en))


def warning(language: str, one: SearchWarning) -> str:
    """A source that was not heard while another one was."""
    said = f"{one.source}: {one.detail[:LONGEST_DETAIL]}"
    return f"No todo se pudo preguntar: {said}" if language == "es" else f"Not everything could be asked: {said}"


def ask_download(language: str, about: str, others: list[str]) -> str:
    """The question that a plain yes answers."""
    es = language == "es"
    asked = (
        f"¿Descargo {about}? Responde «sí» en esta sesión."
        if es
        else f'Shall I download {about}? Answer "yes" in this session.'
    )
    if others:
        asked += ("\nOtras opciones: " if es else "\nOther choices: ") + "; ".join(others) + "."
    return asked


def nothing_found(language: str, intent: IntentV2, seen: Sequence[FoundModel]) -> str:
    """That no model can be proposed, and why as far as it is known."""
    es, params = language == "es", intent.params
    wanted = ", ".join(
        str(part)
        for part in (
            *params.get("models", []), params.get("model_id"), params.get("query"), params.get("quantization"), params.get("license"),
            None if params.get("size_max") is None else ("≤ " + size(params["size_max"], language)),
        )
        if part
    )  # fmt: skip
    if seen:
        names = ", ".join(one.model_id for one in seen[:3])
        why = (
            f"lo que hay no se puede bajar o no cabe: {names}"
            if es
            else f"what there is cannot be fetched or does not fit: {names}"
        )
    else:
        why = "el buscador no conoce ninguno" if es else "the hub knows none"
    return (
        f"No he encontrado ningún modelo así ({wanted}): {why}." if es else f"I found no such model ({wanted}): {why}."
    )


def found(language: str, results: list[dict[str, Any]]) -> str:
    """A short list, the best first, with how to go on."""
    es, items = language == "es", results[0].get("items", [])
    lines = [f"{number}. {_found_one(es, language, item)}" for number, item in enumerate(items, start=1)]
    warnings = [warning(language, SearchWarning.model_validate(one)) for one in results[0].get("warnings", [])]
    if not lines:
        return "\n".join(["No he encontrado ningún modelo así." if es else "I found no such model.", *warnings])
    first = next((item for item in items if item.get("size_bytes") is not None), None)
    how = []
    if first is not None:
        order = " ".join([first["model_id"], *_usual(first["quantizations"])])
        how = [f"Para bajar uno: «descarga {order}»." if es else f'To fetch one: "download {order}".']
    return "\n".join([*lines, *warnings, *how])


def downloaded(language: str, results: list[dict[str, Any]]) -> str:
    model = results[0]["model"]
    told = [
        part for part in (results[0].get("quantization"), size(model["size_bytes"], language), model["license"]) if part
    ]
    what = f"{model['name']} ({', '.join(told)}), SHA-256 {str(model['sha256'])[:12]}…, id {model['id']}"
    return (
        f"Descargado, comprobado y registrado: {what}."
        if language == "es"
        else f"Downloaded, verified and registered: {what}."
    )


def removed(language: str, results: list[dict[str, Any]]) -> str:
    """What went: single models, or what keeping house took."""
    es = language == "es"
    gone = [(one["name"], one["freed_bytes"]) for one in results if "freed_bytes" in one]
    gone += [(one["name"], one["size_bytes"]) for upkeep in results for one in upkeep.get("removed", [])]
    if not gone:
        return "No había nada que quitar." if es else "Nothing had to go."
    told = [f"{name} ({size(freed_bytes, language)} {'liberados' if es else 'freed'})" for name, freed_bytes in gone]
    return f"{'Borrado' if es else 'Deleted'}: {', '.join(told)}."


def kept(language: str, results: list[dict[str, Any]]) -> str:
    """The models of the registry with their sizes."""
    es, items = language == "es", results[0].get("items", [])
    if not items:
        return "No hay ningún modelo registrado." if es else "No model is registered."
    told = [_kept_one(item, language) for item in items[:MOST_TOLD]]
    total = sum(item.get("size_bytes") or 0 for item in items)
    head = f"{len(items)} modelos, {size(total, language)}" if es else f"{len(items)} models, {size(total, language)}"
    if len(items) == 1:
        head = "1 modelo" if es else "1 model"
    more = (
        f"\n… y {len(items) - MOST_TOLD} más (GET /hermes/models)"
        if es
        else f"\n… and {len(items) - MOST_TOLD} more (GET /hermes/models)"
    )
    return f"{head}:\n" + "\n".join(told) + (more if len(items) > MOST_TOLD else "")


def tools(language: str, results: list[dict[str, Any]]) -> str:
    """The tools that are here, with their versions as far as they are known."""
    es, found_here = language == "es", results[0]
    items = [item for item in found_here.get("items", []) if item.get("is_present", True)]
    if not items:
        return "No he encontrado ninguna herramienta." if es else "I found no command-line tool."
    names = ", ".join(" ".join(part for part in (item["name"], item.get("version")) if part) for item in items)
    answering = ", ".join(item["name"] for item in items if item.get("answers_prompts"))
    kind = ("herramienta", "tool") if len(items) == 1 else ("herramientas", "tools")
    lines = [f"{len(items)} {kind[0] if es else kind[1]}: {names}."]
    if answering:
        lines.append(f"Contestan preguntas: {answering}." if es else f"Those that answer prompts: {answering}.")
    if pending := found_here.get("pending"):
        lines.append(
            f"De {pending} todavía no se sabe la versión; se está mirando."
            if es
            else f"The versions of {pending} are still being asked."
        )
    if why := found_here.get("unheard"):
        lines.append(
            f"Es lo registrado: hermes no responde ({why})."
            if es
            else f"This is what is registered: hermes does not answer ({why})."
        )
    return "\n".join(lines)


def _found_one(es: bool, language: str, item: dict[str, Any]) -> str:
    told = [size(item["size_bytes"], language)] if item["size_bytes"] is not None else []
    if item["size_bytes"] is None and item["source"] == "openrouter":
        told.append("solo en OpenRouter" if es else "only at OpenRouter")
    if versions := item["quantizations"]:
        told.append(", ".join(versions[:4]) + ("…" if len(versions) > 4 else ""))
    told.append(item["license"] or ("licencia no declarada" if es else "no licence declared"))
    fits = item["fit"]["is_fitting"]
    if fits is not None:
        told.append(
            ("cabe" if es else "fits") if fits else f"{'no cabe' if es else 'does not fit'}: {item['fit']['detail']}"
        )
    if item["is_gated"]:
        told.append(
            f"pide aceptar su licencia: {item['access_url']}"
            if es
            else f"wants its licence accepted: {item['access_url']}"
        )
    if item["is_kept"]:
        told.append("ya está aquí" if es else "already here")
    return f"{item['model_id']}: {'; '.join(told)}"


def _kept_one(item: dict[str, Any], language: str) -> str:
    told = [
        part for part in (item.get("specialty"), size(item.get("size_bytes"), language), item.get("license")) if part
    ]
    return f"- {item['name']} ({', '.join(told)}, id {item['id']})"


def _usual(quantizations: list[str]) -> list[str]:
    return ["Q4_K_M"] if "Q4_K_M" in quantizations else quantizations[:1]


def _ended(detail: str, sentence: str) -> str:
    """A detail as a part of a sentence that may bring its own full stop."""
    shown = detail if len(detail) <= LONGEST_DETAIL else f"{detail[:LONGEST_DETAIL]}…"
    is_followed = "{detail}." in sentence or "{detail})" in sentence
    return shown.rstrip(".") if is_followed else shown
