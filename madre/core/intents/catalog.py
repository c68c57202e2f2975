"""What each intent is: where it belongs, what is done to what, whether it can do harm, and how it is put to a person."""

from dataclasses import dataclass

from config.contracts.madre import Domain, IntentName, Language


@dataclass(frozen=True, slots=True)
class Entry:
    """`es` and `en` finish the sentence "Do you want me to …?"."""

    domain: Domain
    action: str
    target: str | None
    es: str
    en: str
    risky: bool = False

    def wording(self, language: Language) -> str:
        return self.es if language == "es" else self.en


CATALOG: dict[IntentName, Entry] = {
    IntentName.AUDIO_MIX: Entry(
        "audio", "mix", "shub", "mezclar pistas o ajustar sus niveles", "mix tracks or set their levels"
    ),
    IntentName.AUDIO_EFFECTS: Entry(
        "audio",
        "effects",
        "shub",
        "cambiar el sonido con efectos (EQ, compresión, reverb…)",
        "change the sound with effects (EQ, compression, reverb…)",
    ),
    IntentName.AUDIO_MASTER: Entry(
        "audio", "master", "shub", "masterizar o fijar el volumen final", "master it or set the final loudness"
    ),
    IntentName.AUDIO_ANALYZE: Entry(
        "audio", "analyze", "shub", "analizar o medir el audio", "analyze or measure the audio"
    ),
    IntentName.AUDIO_EXPORT: Entry(
        "audio",
        "export",
        "shub",
        "exportar o convertir el audio a otro formato",
        "export the audio or convert its format",
    ),
    IntentName.AUDIO_UNDO: Entry(
        "audio", "undo", "shub", "deshacer el último cambio de audio", "undo the last audio change"
    ),
    IntentName.RUN_PROCESS: Entry(
        "process", "run", "spawner", "ejecutar un comando o script", "run a command or script", risky=True
    ),
    IntentName.PROCESS_STATUS: Entry(
        "process", "status", "spawner", "ver cómo van los procesos o trabajos", "see how processes or jobs are doing"
    ),
    IntentName.KILL_PROCESS: Entry(
        "process", "kill", "spawner", "parar un proceso o trabajo", "stop a process or job", risky=True
    ),
    IntentName.LIST_MODELS: Entry(
        "models", "list", "hermes_db", "ver los modelos que hay instalados", "list the models that are installed"
    ),
    IntentName.SEARCH_MODELS: Entry("models", "search", "hermes", "buscar modelos nuevos", "search for new models"),
    IntentName.DOWNLOAD_MODEL: Entry("models", "download", "hermes", "descargar un modelo", "download a model"),
    IntentName.LIST_CLIS: Entry(
        "models", "list_clis", "hermes_db", "ver las herramientas de línea de comandos", "list the command-line tools"
    ),
    IntentName.SCAN_SYSTEM: Entry(
        "system", "scan", "hormiguero", "examinar el equipo en busca de problemas", "scan the machine for problems"
    ),
    IntentName.FLEET_STATUS: Entry(
        "system", "status", "fleet", "ver el estado de los servicios", "see the health of the services"
    ),
    IntentName.AUDIT_DRIFT: Entry(
        "system",
        "audit",
        "manifestator",
        "ver qué ha cambiado respecto a lo esperado",
        "see what has drifted from the baseline",
    ),
    IntentName.REPAIR_MODULE: Entry(
        "repair", "repair", None, "reparar o reiniciar un servicio", "repair or restart a service", risky=True
    ),
    IntentName.DELETE_RESOURCE: Entry("system", "delete", None, "borrar algo", "delete something", risky=True),
    IntentName.CODE_QUESTION: Entry(
        "code", "answer", "switch", "responder a una pregunta de programación", "answer a programming question"
    ),
    IntentName.GENERAL_QUESTION: Entry("general", "answer", "switch", "responder a una pregunta", "answer a question"),
    IntentName.HELP: Entry("general", "help", "madre", "explicarte qué sé hacer", "tell you what I can do"),
    IntentName.UNCLEAR: Entry("general", "ask", None, "otra cosa", "something else"),
}

RISKY = frozenset(name for name, entry in CATALOG.items() if entry.risky)

SERVICES = (
    "gateway", "madre", "switch", "hermes_db", "hermes", "spawner", "manifestator", "mcp", "hormiguero", "shub", "operator",
)  # fmt: skip
