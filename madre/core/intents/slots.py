"""The particulars of a request: loudness, formats, stems, names, ids. Read by rule, never guessed."""

import re
from typing import Any

from config.contracts.madre import IntentName
from madre.core.intents.catalog import SERVICES
from madre.core.intents.commands import project_in, quotes_in
from madre.core.intents.model_slots import model_slots
from madre.core.intents.numbers import number, spoken_to_digits
from madre.core.intents.text import clean, plain

_NUM = r"([-+]? ?\d+(?:[.,]\d+)?)"
_LUFS = re.compile(rf"{_NUM} ?(?:lufs|lkfs|lufts)\b|\blufs (?:a|to|at|of|de|en)? ?{_NUM}")
_CEILING = re.compile(
    rf"{_NUM} ?(?:dbtp\b|db ?tp\b|db true[- ]peak|db (?:de )?pico real)|\b(?:ceiling|techo|true[- ]peak|pico real|tp)\b"
    rf"(?: (?:at|of|to|a|en|de|del|under|below|max|maximo|por debajo de|menor a|limit|limite))* {_NUM}"
)
_BITS = re.compile(r"\b(16|24|32)[- ]?bits?\b|\b(16|24|32)[-/ ](?=44|48|88|96|192)")
_RATE = re.compile(
    r"\b(44[.,]?1|48|88[.,]?2|96|176[.,]?4|192|22[.,]05|32|16|8) ?k(?:hz|ilohercios|ilohertz)?\b"
    r"|\b(44100|48000|88200|96000|176400|192000|22050) ?(?:hz)?\b"
    r"|\b(?:16|24|32)(?:[- ]?bits?)?[-/ ](44[.,]1|48|88[.,]2|96|192)\b"
)
_KBPS = re.compile(
    r"\b(64|96|128|160|192|256|320) ?(?:kbps|k\b|kb/s)|\bmp3 (?:a|at|de|en) (128|160|192|256|320)\b|\b(128|160|192|256|320) mp3\b"
)
_FORMAT = re.compile(r"(?<![\w.])(wav|flac|mp3|ogg|vorbis|opus|aac|m4a|aiff?)\b")
_TOWARDS = re.compile(
    r"\b(?:a|en|to|into|as|como|in) (?:un |una |a |an |formato |archivo )?(?:\d{2,3}k? )?(wav|flac|mp3|ogg|vorbis|opus|aac|m4a|aiff?)\b"
)
_HAVING = re.compile(
    r"\b(?:el|los|este|estos|esos|ese|the|this|these|those|that|my|mi|mis|from|desde|de|play|plays|reproduce|abre|open|opens|than|que) "
    r"(wav|flac|mp3|ogg|vorbis|opus|aac|m4a|aiff?)s?\b"
)
_STEMS = re.compile(
    r"\b(\d{1,3}) (?:\w+ )?(?:stems?|pistas?|tracks?|canales|channels|files?|archivos?|ficheros?|tomas?|takes?|audios?|wavs?)\b"
    r"|\b(?:these|those|the|all|estos|estas|esos|esas|los|las) (\d{1,3})\b"
    r"(?! ?(?:db|lufs|hz|khz|k|bits?|minut\w+|segundos|seconds|dias|days|gb|mb))"
)

PRESETS: dict[str, tuple[str, float]] = {
    "spotify": (r"spotify", -14.0),
    "youtube": (r"you ?tube|yt music", -14.0),
    "tidal": (r"tidal", -14.0),
    "amazon_music": (r"amazon(?: music)?", -14.0),
    "apple_music": (r"apple(?: music)?|itunes", -16.0),
    "deezer": (r"deezer", -15.0),
    "podcast": (r"podcasts?", -16.0),
    "ebu_r128": (r"ebu(?: r ?128)?|r ?128", -23.0),
    "atsc_a85": (r"atsc(?: a/?85)?", -24.0),
    "streaming": (r"streaming", -14.0),
}
"""Integrated loudness that a destination asks for, in LUFS.

Source: the published loudness normalisation of each service; EBU R 128; ATSC A/85. A number in the message wins.
"""

_ROLES: dict[str, str] = {
    "vocal": r"vo(?:z|ces)|vocals?|vox|cantante|singer|lead vox",
    "backing_vocal": r"coros?|backing(?: vocals?)?|bvs?|choir|segundas voces",
    "drums": r"bateria|drums?|bata|drum kit",
    "kick": r"bombo|kick(?: drum)?",
    "snare": r"caja|snare(?: drum)?|redoblante|tarola",
    "hats": r"hi-?hats?|hats|charles|platillos?|platos|cymbals?|overheads?",
    "percussion": r"percu(?:sion)?|congas?|bongos?|cajon|tambourine|pandereta|palmas|claps|shaker",
    "bass": r"bajo|bass(?: guitars?)?|808|sub",
    "guitar": r"guitarras?|guitars?|gtrs?|viola(?= electrica)",
    "piano": r"piano",
    "keys": r"teclados?|teclas|keys|keyboards?|organ|organo|rhodes",
    "synth": r"sintes?|sintetizador(?:es)?|synths?|pads?",
    "strings": r"cuerdas|strings|violin(?:es|s)?|cello|chelo",
    "brass": r"metales|brass|horns?|vientos|trompetas?|trumpets?|sax(?:o|ofon)?|trombon(?:e|es)?",
    "music": r"musica(?: de fondo)?|music|background music",
    "speech": r"locucion|narracion|narration|narrador(?:a)?|narrator|voice ?over|host|guest",
}
_ROLE = re.compile("|".join(rf"(?P<{role}>\b(?:{forms})\b)" for role, forms in _ROLES.items()))

_EFFECTS: dict[str, str] = {
    "eq": r"eq|ecualiz\w*|equaliz\w*|equalis\w*",
    "compressor": r"compres\w*|compress\w*|comprim\w*|comp",
    "reverb": r"reverb\w*|rever",
    "delay": r"delays?|ecos?|echo(?:es)?|slapback",
    "deesser": r"de-?ess\w*|sibilan\w*|seseo|eses",
    "denoise": r"de-?nois\w*|ruidos?|noise|hiss|siseo|soplido",
    "dehum": r"de-?hum|hum|zumbidos?|buzz",
    "gate": r"gates?|puerta de ruido|noise gate",
    "limiter": r"limit(?:er|ador|ar|ing|ale)|limita",
    "saturation": r"satur\w*|tape|cinta|valvulas?|tubes?",
    "distortion": r"distor\w*|overdrive|fuzz",
    "chorus": r"chorus",
    "flanger": r"flanger",
    "phaser": r"phaser",
    "tremolo": r"tremolo",
    "pitch": r"autotune|auto-tune|afina\w*|pitch\w*|semiton\w*|semitones?|octav\w*|transpo\w*",
    "time_stretch": r"time ?stretch\w*|estira\w*|ralentiz\w*|slow(?:er)? down",
    "fade_in": r"fade[- ]?in|fundido de entrada|entrada gradual",
    "fade_out": r"fade[- ]?out|fundido de salida|fundido final|fade",
    "high_pass": r"high[- ]?pass|hpf|low[- ]?cut|paso ?altos?|pasa ?altos?",
    "low_pass": r"low[- ]?pass|lpf|high[- ]?cut|paso ?bajos?|pasa ?bajos?",
    "brighter": r"bright\w*|brill\w*|air(?:e|y)?|presencia|presence|crisp\w*",
    "darker": r"dark\w*|oscur\w*|apagad\w*",
    "warmer": r"warm\w*|calid\w*|calidez",
    "demud": r"mud\w*|embarrad\w*|boomy|retumb\w*",
    "wider": r"wid(?:e|er|en\w*)|ensanch\w*|mas anch\w*|estereo mas",
    "punch": r"punch\w*|pegada|transient\w*|transitori\w*",
    "reverse": r"reverse\w*|al reves",
    "declick": r"de-?click|clicks?|crackl\w*|chasquid\w*|pops?|plosiv\w*",
}  # fmt: skip
_EFFECT = re.compile("|".join(rf"(?P<{name}>\b(?:{forms})\b)" for name, forms in _EFFECTS.items()))

_ASSET = re.compile(r"\basset_[0-9a-z]{6,64}\b", re.I)
_OBJECT_ID = re.compile(r"\b(plan|task|spawn|job|session|intent|model|patch)_[0-9a-z]{6,64}\b", re.I)
_EXTENSIONS = (
    "wav|flac|mp3|ogg|opus|aac|m4a|aiff?|py|sh|js|ts|ipynb|json|ya?ml|toml|csv|txt|log|db|sqlite3?|zip|gz|md|env|sql"
    "|gguf|safetensors|onnx"
)
_FILE = re.compile(rf"(?<![\w/.])((?:[~.]{{0,2}}/)?[\w\-./]*[\w\-]\.(?:{_EXTENSIONS}))\b", re.I)
_FOLDER = re.compile(r"(?<![\w.:/])((?:~|\.{1,2})?/[\w.\-]+(?:/[\w.\-]*)*)")
_MODEL = re.compile(
    r"(?<![\w/.])((?:[\w\-.]+/)?(?:llama|mistral|mixtral|qwen|phi|gemma|deepseek|whisper|tinyllama|smollm|nomic|bge|e5|minilm"
    r"|codellama|starcoder|falcon|vicuna|yi|sdxl|flux|demucs|musicgen|bark|piper|bert|stable-diffusion|command-r|granite|olmo"
    r"|hermes-\d|openhermes|zephyr|orca|solar)[\w.:\-]*"
    r"(?: (?:\d+(?:\.\d+)?b|v?\d(?:\.\d+)?|small|tiny|base|medium|large(?:-v\d)?|mini|nano|instruct|coder|it))*)(?!\w)",
    re.I,
)
_HUB_NAME = re.compile(r"(?<![\w/.~])([A-Za-z][\w\-]{1,40}/[A-Za-z][\w\-.]{2,80})(?![\w/])")
_PID = re.compile(
    r"\b(?:pid|proceso|process|job|task|tarea|trabajo|spawn|worker|id)s? "
    r"(?:numero |number |num |n |no |#|con pid |with pid |id )?#?(\d{1,9})\b"
    r"|#(\d{1,9})\b"
)
_SERVICE = re.compile(rf"\b({'|'.join(SERVICES)})\b|\b(tentaculo(?: link)?)\b")

_AUDIO = frozenset(name for name in IntentName if name.startswith("audio_"))
_NAMES_FILES = _AUDIO | {
    IntentName.DELETE_RESOURCE,
    IntentName.SCAN_SYSTEM,
    IntentName.PROCESS_STATUS,
    IntentName.KILL_PROCESS,
}
_NAMES_MODELS = frozenset(
    {IntentName.DOWNLOAD_MODEL, IntentName.SEARCH_MODELS, IntentName.LIST_MODELS, IntentName.DELETE_RESOURCE}
)
_WANTED = ("query", "specialty", "size_max", "license", "model_type", "source", "sort_by")
_SAID_OF_MODELS = {
    IntentName.SEARCH_MODELS: _WANTED,
    IntentName.DOWNLOAD_MODEL: ("quantization", "place", *_WANTED),
    IntentName.LIST_MODELS: ("specialty",),
    IntentName.DELETE_RESOURCE: ("number",),
}
_NAMES_PROCESSES = frozenset({IntentName.PROCESS_STATUS, IntentName.KILL_PROCESS, IntentName.RUN_PROCESS})
_NAMES_SERVICES = frozenset(
    {IntentName.FLEET_STATUS, IntentName.REPAIR_MODULE, IntentName.AUDIT_DRIFT, IntentName.SCAN_SYSTEM}
)


def read_slots(name: IntentName, message: str, files: int = 0) -> dict[str, Any]:
    """What the message says about its request, for `params`. `files` is how many files came with it.

    Loudness in LUFS, ceiling in dBTP, rates in Hz. A command is taken only from quotes or backticks, word for word: `command_line`, or
    `command_lines` where there are several.
    """
    text = spoken_to_digits(plain(message))
    found: dict[str, Any] = {}
    if name in _AUDIO:
        found |= _loudness(name, text) | _file_form(text) | _stems(text, files) | _effects(name, text)
    if name in _NAMES_FILES:
        found |= _files(message)
    if name in _NAMES_MODELS:
        found |= _models(name, message)
    if name in _NAMES_PROCESSES:
        found |= _processes(name, message, text)
    if name in _NAMES_SERVICES:
        found |= _services(text)
    if name is IntentName.DELETE_RESOURCE:
        found |= _object_ids(message)
    return found


def _first(hit: re.Match[str] | None) -> str | None:
    return next((group for group in hit.groups() if group is not None), None) if hit else None


def _loudness(name: IntentName, text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if said := _first(_LUFS.search(text)):
        loudness = -abs(number(said))  # nobody asks for +14 LUFS; the minus is often left out
        if -70.0 <= loudness <= -1.0:
            found["target_lufs"] = loudness
    if said := _first(_CEILING.search(text)):
        ceiling = -abs(number(said))
        if ceiling >= -20.0:
            found["ceiling_dbtp"] = ceiling + 0.0
    for preset, (forms, loudness) in PRESETS.items():
        # Only a master is for a destination by itself; "the podcast guest" in a mix is not one.
        towards = (
            "" if name is IntentName.AUDIO_MASTER else r"(?:for|para|to|on|en|as) (?:el |la |un |una |the |a |my |mi )?"
        )
        if re.search(rf"\b{towards}(?:{forms})\b", text):
            found["preset"] = preset
            found.setdefault("target_lufs", loudness)
            break
    return found


def _file_form(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if wanted := _wanted_format(text):
        found["format"] = {"aif": "aiff", "vorbis": "ogg"}.get(wanted, wanted)
    if bits := _first(_BITS.search(text)):
        found["bit_depth"] = int(bits)
    if rate := _first(_RATE.search(text)):
        value = number(rate)
        found["sample_rate_hz"] = round(value * 1000 if value < 1000 else value)
        if found["sample_rate_hz"] > 400_000:  # "441k"
            found["sample_rate_hz"] //= 10
    if ("mp3" in text or "kbps" in text) and (kbps := _first(_KBPS.search(text))):
        found["bitrate_kbps"] = int(kbps)
        if found.get("sample_rate_hz") == int(kbps) * 1000:  # "mp3 192k" is no rate of samples
            del found["sample_rate_hz"]
    return found


def _wanted_format(text: str) -> str | None:
    """The format to export to; None where it is not said which. "The wav is too big, an ogg would do" wants ogg."""
    towards = [hit[1] for hit in _TOWARDS.finditer(text)]
    if towards:
        return towards[-1]
    unlike = {hit[1] for hit in _HAVING.finditer(text)}
    left = {hit[1] for hit in _FORMAT.finditer(text)} - unlike
    return left.pop() if len(left) == 1 else None


def _stems(text: str, files: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if (said := _first(_STEMS.search(text))) and 1 <= int(said) <= 256:
        found["stem_count"] = int(said)
    elif files:
        found["stem_count"] = files
    roles = [hit.lastgroup for hit in _ROLE.finditer(text) if hit.lastgroup]
    if roles:
        found["roles"] = list(dict.fromkeys(roles))
    return found


def _effects(name: IntentName, text: str) -> dict[str, Any]:
    if name not in (IntentName.AUDIO_EFFECTS, IntentName.AUDIO_UNDO, IntentName.AUDIO_MIX):
        return {}
    named = list(dict.fromkeys(hit.lastgroup for hit in _EFFECT.finditer(text) if hit.lastgroup))
    return {"effects": named} if named else {}


def _files(message: str) -> dict[str, Any]:
    said = clean(message)
    found: dict[str, Any] = {}
    if assets := list(dict.fromkeys(hit[0].lower() for hit in _ASSET.finditer(said))):
        found["asset_ids"] = assets
    if files := list(dict.fromkeys(hit[1] for hit in _FILE.finditer(said))):
        found["files"] = files
    folders = [hit[1] for hit in _FOLDER.finditer(said) if not any(hit[1] in name for name in files)]
    if folders:
        found["paths"] = list(dict.fromkeys(folders))
    return found


def _models(name: IntentName, message: str) -> dict[str, Any]:
    said = re.sub(r"https?://(?:www\.)?huggingface\.co/", "", clean(message))
    models = [hit[1] for hit in _HUB_NAME.finditer(said)] if name is not IntentName.DELETE_RESOURCE else []
    models += [hit[1].rstrip(".:-") for hit in _MODEL.finditer(said) if not any(hit[1] in known for known in models)]
    named = list(dict.fromkeys(models))
    more = model_slots(message, named)
    return ({"models": named} if named else {}) | {key: more[key] for key in _SAID_OF_MODELS[name] if key in more}


def _processes(name: IntentName, message: str, text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    ids = list(dict.fromkeys(said for hit in _PID.finditer(text) if (said := _first(hit))))
    if ids:
        found["process_ids"] = ids
    quoted = quotes_in(message).pieces
    if name is IntentName.RUN_PROCESS:
        if quoted:
            found |= {"command_line": quoted[0]} if len(quoted) == 1 else {"command_lines": list(quoted)}
        if project := project_in(message):
            found["project"] = project
    elif len(quoted) == 1:
        found["job_name"] = quoted[0]
    if spawned := [hit[0] for hit in _OBJECT_ID.finditer(clean(message))]:
        found["object_ids"] = list(dict.fromkeys(spawned))
    return found


def _services(text: str) -> dict[str, Any]:
    named = list(dict.fromkeys("gateway" if hit[2] else hit[1] for hit in _SERVICE.finditer(text)))
    return {"services": named} if named else {}


def _object_ids(message: str) -> dict[str, Any]:
    ids = list(dict.fromkeys(hit[0].lower() for hit in _OBJECT_ID.finditer(clean(message))))
    return {"object_ids": ids} if ids else {}
