"""The particulars that are read out of a message."""

from typing import Any

import pytest

from config.contracts.madre import IntentName
from madre.core.intents.slots import read_slots
from madre.core.parser import read

MIX, MASTER, EXPORT, EFFECTS = (
    IntentName.AUDIO_MIX,
    IntentName.AUDIO_MASTER,
    IntentName.AUDIO_EXPORT,
    IntentName.AUDIO_EFFECTS,
)


@pytest.mark.parametrize(
    ("name", "message", "wanted"),
    [
        (MIX, "mezcla estos 3 stems a -14 LUFS", {"target_lufs": -14.0, "stem_count": 3}),
        (MIX, "mix these three stems to minus fourteen LUFS", {"target_lufs": -14.0, "stem_count": 3}),
        (MIX, "mezcla las 5 pistas a menos dieciséis coma cinco lufs", {"target_lufs": -16.5, "stem_count": 5}),
        (MIX, "sube la voz y baja la batería y el bajo", {"roles": ["vocal", "drums", "bass"]}),
        (MIX, "bass, then keys, then the vocals on top", {"roles": ["bass", "keys", "vocal"]}),
        (MASTER, "masteriza a 14 lufs", {"target_lufs": -14.0}),
        (MASTER, "déjalo en -9,5 LUFS con techo en -0,3", {"target_lufs": -9.5, "ceiling_dbtp": -0.3}),
        (MASTER, "master it, true peak below -1 dBTP", {"ceiling_dbtp": -1.0}),
        (MASTER, "master it, ceiling at minus one point five", {"ceiling_dbtp": -1.5}),
        (MASTER, "masteriza para Spotify", {"preset": "spotify", "target_lufs": -14.0}),
        (MASTER, "for broadcast, EBU R128", {"preset": "ebu_r128", "target_lufs": -23.0}),
        (MASTER, "para spotify pero a -11 lufs", {"preset": "spotify", "target_lufs": -11.0}),
        (EXPORT, "exporta a wav de 24 bits y 48 kHz", {"format": "wav", "bit_depth": 24, "sample_rate_hz": 48_000}),
        (EXPORT, "flac 16/44.1 please", {"format": "flac", "bit_depth": 16, "sample_rate_hz": 44_100}),
        (EXPORT, "convert take.wav to mp3 at 320", {"format": "mp3", "bitrate_kbps": 320, "files": ["take.wav"]}),
        (EXPORT, "pasa los wav a flac", {"format": "flac"}),
        (EXPORT, "el wav pesa 900 megas y no cabe en el correo, con un ogg iría sobrado", {"format": "ogg"}),
        (EXPORT, "flac to 320 mp3", {"format": "mp3", "bitrate_kbps": 320}),
        (EXPORT, "my car can't play flac, make it something it can", {"format": []}),
        (MIX, "the podcast guest is quieter than the host", {"target_lufs": [], "roles": ["speech"]}),
        (MIX, "mezcla esto para spotify", {"preset": "spotify", "target_lufs": -14.0}),
        (MIX, "the bass guitar over the kick drum", {"roles": ["bass", "kick"]}),
        (EXPORT, "ogg a 96000 hz", {"format": "ogg", "sample_rate_hz": 96_000}),
        (EFFECTS, "ponle reverb y un poco de eq a la voz", {"effects": ["reverb", "eq"], "roles": ["vocal"]}),
        (EFFECTS, "de-ess the vocals and add a fade out", {"effects": ["deesser", "fade_out"], "roles": ["vocal"]}),
        (IntentName.DELETE_RESOURCE, "borra asset_0197abc123def456", {"asset_ids": ["asset_0197abc123def456"]}),
        (IntentName.DELETE_RESOURCE, "elimina demo.wav y toma 2.wav", {"files": ["demo.wav", "2.wav"]}),
        (IntentName.DELETE_RESOURCE, "borra algo", {}),
        (IntentName.DOWNLOAD_MODEL, "bájame TheBloke/Mistral-7B-GGUF", {"models": ["TheBloke/Mistral-7B-GGUF"]}),
        (IntentName.DOWNLOAD_MODEL, "download qwen2.5-7b-instruct", {"models": ["qwen2.5-7b-instruct"]}),
        (IntentName.KILL_PROCESS, "mata el proceso 4312", {"process_ids": ["4312"]}),
        (IntentName.PROCESS_STATUS, "how is job #17 doing", {"process_ids": ["17"]}),
        (IntentName.REPAIR_MODULE, "reinicia el tentáculo link y shub", {"services": ["gateway", "shub"]}),
        (IntentName.FLEET_STATUS, "is hermes_db up?", {"services": ["hermes_db"]}),
        (IntentName.RUN_PROCESS, "ejecuta `make test -j2`", {"command_line": "make test -j2"}),
        (IntentName.RUN_PROCESS, 'run "pytest -q"', {"command_line": "pytest -q"}),
        (IntentName.RUN_PROCESS, 'ejecuta «echo "hola, mundo"»', {"command_line": 'echo "hola, mundo"'}),
        (IntentName.RUN_PROCESS, "ejecuta “ls -l”", {"command_line": "ls -l"}),
        (IntentName.RUN_PROCESS, "run ```bash\nls -l\n```", {"command_line": "ls -l"}),
        (IntentName.RUN_PROCESS, "run `make` and then `make test`", {"command_lines": ["make", "make test"]}),
        (IntentName.RUN_PROCESS, 'run `make` in project "x"', {"command_line": "make", "project": "x"}),
        (IntentName.RUN_PROCESS, "corre los tests del proyecto vx-11.", {"project": "vx-11", "command_line": []}),
        (IntentName.RUN_PROCESS, "run `grep project y`", {"command_line": "grep project y", "project": []}),
        (IntentName.RUN_PROCESS, "run `echo ﬁn…`", {"command_line": "echo ﬁn…"}),
        (IntentName.KILL_PROCESS, "detén el proceso `nightly`", {"job_name": "nightly"}),
        (IntentName.RUN_PROCESS, "run the test suite", {}),
        (IntentName.RUN_PROCESS, "ejecuta rm -rf /", {"paths": []}),
    ],
)
def test_what_is_said_is_read(name: IntentName, message: str, wanted: dict[str, Any]):
    found = read_slots(name, message)
    assert {key: found.get(key, []) for key in wanted} == wanted
    if not wanted:
        assert found == {}


def test_a_command_that_is_not_quoted_is_never_made_up():
    assert read_slots(IntentName.RUN_PROCESS, "ejecuta rm -rf / ahora mismo") == {}


def test_files_that_came_along_are_the_stems_when_no_number_is_said():
    assert read_slots(MIX, "mezcla esto", files=4)["stem_count"] == 4
    assert read_slots(MIX, "mezcla estas 3 pistas", files=4)["stem_count"] == 3


@pytest.mark.parametrize(
    ("message", "target"),
    [
        ("borra el modelo mistral-7b", "hermes_db"),
        ("borra asset_0197abc123def456", "shub"),
        ("elimina la sesión de ayer", "madre"),
        ("reinicia el switch", "switch"),
        ("mezcla estos 3 stems", "shub"),
    ],
)
def test_the_target_is_who_owns_the_thing(message: str, target: str):
    assert read(message).target == target


@pytest.mark.parametrize(
    ("message", "language"),
    [
        ("mezcla estos 3 stems a -14 LUFS", "es"),
        ("mix these three stems", "en"),
        ("¿está vivo shub?", "es"),
        ("is shub alive?", "en"),
        ("🎚️", "en"),
    ],
)
def test_the_language_of_the_message_is_known(message: str, language: str):
    assert read(message).language == language


@pytest.mark.parametrize(
    ("message", "name", "wanted"),
    [
        ("busca un modelo pequeño de código", "search_models", {"query": "code", "specialty": "code", "size_max": 10**9}),
        ("busca un modelo pequeño de código y descárgalo", "download_model", {"query": "code", "size_max": 10**9}),
        ("find a small coding model and download it", "download_model", {"query": "code", "size_max": 10**9}),
        ("download the best small coding model", "download_model", {"query": "code", "size_max": 10**9}),
        ("busca un modelo de código y no lo descargues", None, {}),
        ("find a model and don't download it", None, {}),
        ("descarga Qwen/Qwen2.5-0.5B-Instruct-GGUF Q4_K_M", "download_model",
         {"models": ["Qwen/Qwen2.5-0.5B-Instruct-GGUF"], "quantization": "Q4_K_M", "query": None, "model_type": None}),
        ("find models for translation under 2,5 GB with apache license", "search_models",
         {"query": "translation", "size_max": 2_500_000_000, "license": "apache-2.0"}),
        ("busca modelos de menos de 500 MiB en onnx", "search_models", {"size_max": 500 * 2**20, "model_type": "onnx"}),
        ("busca en openrouter modelos de visión", "search_models", {"source": "openrouter", "specialty": "vision"}),
        ("busca los modelos más descargados de poesía medieval", "search_models",
         {"query": "poesia medieval", "sort_by": "downloads", "specialty": None}),
        ("borra el modelo 3", "delete_resource", {"number": 3}),
        ("qué modelos de código tengo", "list_models", {"specialty": "code", "query": None}),
    ],
)  # fmt: skip
def test_what_is_said_of_models_is_read(message: str, name: str | None, wanted: dict[str, Any]):
    reading = read(message)
    assert reading.name == name or (name is None and reading.name != "download_model")
    assert {key: reading.params.get(key) for key in wanted} == wanted
