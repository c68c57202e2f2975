"""What madre says of processes: how one went, which there are. In Spanish and English, out of what spawner recorded."""

from typing import Any

MOST_OUTPUT = (
    4_000  # characters of output in an answer for people; the rest is in the plan's result and in spawner's logs
)
LAST_LINES = 12
MOST_ARTIFACTS = 20


def ended(language: str, result: dict[str, Any]) -> str:
    """How a daughter that did her work went: her output, and the files she left."""
    es = language == "es"
    parts = []
    if stdout := str(result.get("stdout", "")).strip("\n"):
        parts.append(("Hecho. Salida:\n" if es else "Done. Output:\n") + _head(stdout, es))
    else:
        parts.append(
            "Hecho: terminó con código 0 y no escribió nada." if es else "Done: it ended with code 0 and wrote nothing."
        )
    if stderr := str(result.get("stderr", "")).strip():
        parts.append(f"stderr:\n{_tail(stderr)}")
    if result.get("truncated") or _is_cut(result):
        at = f"GET /spawner/spawn/{result.get('spawn_id')}/logs"
        parts.append(
            f"Hay más salida de la que cabe aquí: {at}." if es else f"There is more output than fits here: {at}."
        )
    if left := result.get("artifacts"):
        names = ", ".join(f"{one['path']} ({one['size_bytes']} B)" for one in left[:MOST_ARTIFACTS])
        at = f"GET /spawner/spawn/{result.get('spawn_id')}/artifacts/…"
        parts.append(f"Archivos: {names}. Descárgalos en {at}" if es else f"Files: {names}. Download them at {at}")
    return "\n".join(parts)


def failed(language: str, result: dict[str, Any]) -> str:
    """Why a daughter did not do her work, in one or a few lines, with the end of what she wrote to stderr."""
    es, reason = language == "es", result.get("reason")
    limits, detail = result.get("limits") or {}, str(result.get("detail") or result.get("error") or "")
    said = {
        "exited": _exit(result, es),
        "timeout": f"pasó de su tiempo ({limits.get('timeout_seconds', '?')} s)"
        if es
        else f"it ran out of time ({limits.get('timeout_seconds', '?')} s)",
        "oom": f"pasó de su memoria ({limits.get('max_memory_mb', '?')} MiB)"
        if es
        else f"it ran out of memory ({limits.get('max_memory_mb', '?')} MiB)",
        "output_limit": "escribió demasiado" if es else "it wrote too much",
        "killed": "alguien lo detuvo" if es else "somebody stopped it",
        "refused": "spawner no lo ejecutó" if es else "spawner did not run it",
        "lost": "spawner se paró mientras corría" if es else "spawner ended while it ran",
    }.get(str(reason), "no se ejecutó" if es else "it was not run")
    text = f"{said}: {detail}" if detail and reason != "exited" else said
    shown = str(result.get("stderr", "")).strip() or str(result.get("stdout", "")).strip()
    return f"{text}\n{_tail(shown)}" if shown else text


def job(language: str, record: dict[str, Any]) -> str:
    """How one job stands."""
    es, name = language == "es", f"{record['name']} ({record['spawn_id']})"
    status = record["status"]
    if status == "PENDING":
        return f"{name} está en cola." if es else f"{name} is queued."
    if status == "RUNNING":
        since = record.get("started_at")
        return f"{name} está en marcha desde {since}." if es else f"{name} has been running since {since}."
    if status == "DONE":
        return (
            ended(language, record)
            if record.get("stdout")
            else (f"{name} terminó bien." if es else f"{name} ended well.")
        )
    return f"{name}: {failed(language, record)}"


def jobs(language: str, found: dict[str, Any]) -> str:
    """Which jobs wait or run, and the last that ended; or that spawner could not be asked."""
    es = language == "es"
    if unheard := found.get("unheard"):
        return (
            f"No sé qué procesos hay: spawner no responde ({unheard})."
            if es
            else f"I do not know which processes there are: spawner does not answer ({unheard})."
        )
    going = [one for one in found["jobs"] if one["status"] in ("PENDING", "RUNNING")]
    over = [one for one in found["jobs"] if one not in going]
    parts = []
    if going:
        names = ", ".join(f"{one['name']} ({one['spawn_id']}, {one['status']})" for one in going)
        parts.append(f"Procesos: {names}." if es else f"Processes: {names}.")
    else:
        parts.append("No hay ningún proceso en marcha." if es else "No process is running.")
    if over:
        names = ", ".join(f"{one['name']} ({one['spawn_id']}, {_outcome(one)})" for one in over)
        parts.append(f"Los últimos que acabaron: {names}." if es else f"The last that ended: {names}.")
    return " ".join(parts)


def killed(language: str, records: list[dict[str, Any]]) -> str:
    """Which jobs were ended, and which had ended before."""
    es = language == "es"
    lines = []
    for one in records:
        name = f"{one['name']} ({one['spawn_id']})"
        if one["status"] in ("PENDING", "RUNNING"):
            lines.append(f"{name} se está deteniendo." if es else f"{name} is being stopped.")
        elif one.get("reason") == "killed":
            lines.append(f"Detenido: {name}." if es else f"Stopped: {name}.")
        else:
            how = _outcome(one)
            lines.append(f"{name} ya había terminado ({how})." if es else f"{name} had ended before ({how}).")
    return "\n".join(lines)


def _outcome(one: dict[str, Any]) -> str:
    reason, code = one.get("reason"), one.get("exit_code")
    return f"exit {code}" if reason == "exited" and code is not None else str(reason or one["status"]).lower()


def _exit(result: dict[str, Any], es: bool) -> str:
    code, signal = result.get("exit_code"), result.get("signal")
    if signal is not None:
        return f"lo acabó la señal {signal}" if es else f"signal {signal} ended it"
    return f"terminó con código {code}" if es else f"it ended with code {code}"


def _is_cut(result: dict[str, Any]) -> bool:
    kept = len(str(result.get("stdout", "")).encode("utf-8", "surrogatepass"))
    return int(result.get("stdout_bytes") or 0) > kept


def _head(text: str, es: bool) -> str:
    if len(text) <= MOST_OUTPUT:
        return text
    return text[:MOST_OUTPUT] + ("\n… (sigue)" if es else "\n… (goes on)")


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-LAST_LINES:])[-MOST_OUTPUT:]
