"""A session in the studio: every command builds on what was made before, and nothing that was made is lost."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from config.contracts.shub import StemRole
from tests.madre.test_durability import finished

VOICE, BASS = "voz", "bajo"


def meant(action: str, *targets: str, **more: Any) -> dict[str, Any]:
    return {"action": action, "targets": list(targets), **more}


BRIGHT = {"type": "eq_high_shelf", "freq_hz": 8000.0, "gain_db": 2.0}
MEANINGS = {
    "analiza": [meant("analyze")],
    "mezcla": [meant("mix", params={"target_lufs": -16})],
    "más brillo en la voz": [meant("apply_effects", "vocal", effects=[BRIGHT])],
    "sube el bajo 2 dB": [meant("set_mix", "bass", params={"gain_db": 2})],
    "deshaz": [meant("undo")],
    "deshaz y masteriza": [meant("undo"), meant("master", "master", params={"target": "cd"})],
    "borra el archivo de voz y masteriza": [meant("delete", "vocal"), meant("master", "master")],
    "borra el archivo de voz": [meant("delete", "vocal")],
    "borra el archivo del piano": [meant("delete", "piano")],
    "borra todo": [meant("delete", "*")],
    "quita la ecualización": [meant("apply_effects", "master", params={"remove": ["eq"]})],
    "exporta los stems": [meant("export", "*", params={"stems_out": True})],
    "la voz": [],
    "silencia la voz": [meant("set_mix", "vocal", params={"is_muted": True})],
    "sube la voz y el bajo": [meant("set_mix", "vocal", "bass", params={"gain_db": 3})],
    "sí": [],
    "exporta en mp3 de 16 bits": [meant("export", params={"format": "mp3", "bit_depth": 16, "dither": "tpdf"})],
    "deshaz dos": [meant("undo", params={"steps": 2})],
    "masteriza para Spotify": [meant("master", "master", params={"target": "spotify"})],
    "exporta en FLAC 24": [meant("export", params={"format": "flac", "bit_depth": 24})],
    "más brillo": [meant("apply_effects", effects=[BRIGHT])],
    "más brillo en el piano": [meant("apply_effects", "piano", effects=[BRIGHT])],
    "que suene como esta": [meant("match_reference")],
    "mezcla, masteriza y exporta": [meant("mix"), meant("master"), meant("export", params={"format": "mp3"})],
    "arréglalo": [],
    "quita el solo": [meant("set_mix", "master", params={"solo": False})],
    "baja todo menos la voz": [meant("set_mix", "*", params={"gain_db": -3, "except": ["vocal"]})],
    "exporta en mono": [meant("export", params={"channels": 1})],
    "quita la ecualización de la voz": [meant("apply_effects", "vocal", params={"remove": ["eq"]})],
    "deja solo la voz": [meant("set_mix", "vocal", params={"solo": True})],
    "más brillo en la voz y sube el bajo": [
        meant("apply_effects", "vocal", effects=[BRIGHT]),
        meant("set_mix", "bass", params={"gain_db": 2}),
    ],
}


class Session:
    """One conversation, and what it ordered of shub."""

    def __init__(self, madre: httpx.AsyncClient, shub: Any) -> None:
        self.madre, self.shub = madre, shub
        shub.meanings = MEANINGS

    async def say(self, message: str, *files: str, **more: Any) -> dict[str, Any]:
        body = {"message": message, "files": list(files), "session_id": "studio", "wait_seconds": 20}
        reply = await self.madre.post("/madre/chat", json=body | {"mode": "AUDIO_ENGINEER"} | more)
        assert reply.status_code in (200, 202), reply.text
        answer: dict[str, Any] = reply.json()
        return answer

    def stem(self, number: int, role: str) -> dict[str, Any]:
        """The stem of that role in the mix that was ordered as number so many."""
        mixes = [asked for kind, asked in self.shub.ordered if kind == "mix"]
        stem: dict[str, Any] = next(one for one in mixes[number]["stems"] if one["role"] == role)
        return stem


@pytest.fixture
def session(madre: httpx.AsyncClient, shub: Any) -> Session:
    return Session(madre, shub)


@pytest.fixture
def files(shub: Any) -> list[str]:
    found = []
    for name, role in ((VOICE, "vocal"), (BASS, "bass")):
        asset = shub.add(name)
        shub.assets[asset] = shub.assets[asset].model_copy(update={"role": StemRole(role)})
        found.append(asset)
    return found


async def test_a_whole_session_builds_each_step_on_the_last(session, shub, files):
    assert (await session.say("analiza", *files))["status"] == "DONE"
    assert (await session.say("mezcla"))["status"] == "DONE"  # the files are on the table
    assert shub.ordered[-1][1]["target_lufs"] == -16
    assert {stem["asset_id"] for stem in shub.ordered[-1][1]["stems"]} == set(files)

    await session.say("más brillo en la voz")
    assert [effect["type"] for effect in session.stem(-1, "vocal")["chain"]] == ["eq_high_shelf"]
    await session.say("sube el bajo 2 dB")
    assert session.stem(-1, "bass")["gain_db"] == 2
    assert session.stem(-1, "vocal")["chain"]  # still there

    undone = await session.say("deshaz")
    assert "1 paso atrás" in undone["response"]
    mastered = await session.say("masteriza para Spotify")
    kind, order = shub.ordered[-1]
    assert (kind, order["target"]) == ("master", "spotify")
    second_mix = [job for job in shub.jobs.values() if job.kind == "mix"][1]
    assert order["asset_id"] == second_mix.result["asset_id"]  # the mix before the bass was raised
    assert mastered["artifacts"][0]["name"] == "master.wav"

    exported = await session.say("exporta en FLAC 24")
    kind, order = shub.ordered[-1]
    assert (kind, order["format"], order["bit_depth"]) == ("chain", "flac", 24)
    assert order["asset_id"] == mastered["artifacts"][0]["asset_id"]
    assert exported["artifacts"]


async def test_what_was_done_to_whom_is_told_in_the_language_of_the_command(session, shub, files):
    await session.say("mezcla", *files)
    answer = await session.say("más brillo en la voz y sube el bajo")
    assert answer["response"].splitlines()[:2] == ["vocal: agudos +2 dB, 8000 Hz", "bass: nivel +2 dB"]


async def test_what_changes_a_mastered_mix_is_mastered_again(session, shub, files):
    await session.say("mezcla", *files)
    await session.say("masteriza para Spotify")
    await session.say("más brillo en la voz")
    assert [kind for kind, _ in shub.ordered] == ["mix", "master", "mix", "master"]
    assert shub.ordered[-1][1]["target"] == "spotify"


async def test_several_orders_in_one_message_are_one_plan(session, shub, files):
    answer = await session.say("mezcla, masteriza y exporta", *files)
    operations = [step["operation"] for step in answer["plan"]["steps"]]
    assert operations == ["shub:inspect", "shub:mix", "shub:master", "shub:chain", "madre:take"]
    assert [kind for kind, _ in shub.ordered] == ["mix", "master", "chain"]
    assert shub.ordered[2][1]["format"] == "mp3"


async def test_effects_on_one_file_grow_into_one_chain_on_the_file_as_it_came(session, shub, files):
    await session.say("más brillo", files[0])
    await session.say("más brillo")
    (_, first), (_, second) = shub.ordered
    assert first["asset_id"] == second["asset_id"] == files[0]
    assert [len(one["chain"]["effects"]) for one in (first, second)] == [1, 2]
    await session.say("deshaz")
    await session.say("más brillo")
    assert len(shub.ordered[-1][1]["chain"]["effects"]) == 2


async def test_going_back_further_than_the_beginning_stops_at_the_files_as_they_came(session, shub, files):
    await session.say("mezcla", *files)
    answer = await session.say("deshaz dos")
    assert "1 paso atrás" in answer["response"]
    assert "como llegaron" in answer["response"]
    assert "No hay nada que deshacer" in (await session.say("deshaz"))["response"]
    await session.say("mezcla")
    assert len(shub.ordered[-1][1]["stems"]) == 2


async def test_a_track_that_is_not_there_is_asked_about_by_the_names_there_are(session, shub, files):
    await session.say("mezcla", *files)
    answer = await session.say("más brillo en el piano")
    assert answer["status"] == "WAITING"
    assert "voz" in answer["question"]
    assert len(shub.ordered) == 1
    assert (await session.say("más brillo en la voz"))["status"] == "DONE"


async def test_a_command_builds_on_what_is_still_being_made(session, shub, files):
    shub.finish.clear()
    first = await session.say("mezcla", *files, wait_seconds=0)
    second = await session.say("más brillo en la voz", wait_seconds=0)
    assert "shub:mix" in [step["operation"] for step in second["plan"]["steps"]]
    shub.finish.set()
    for plan in (first, second):
        await finished(session.madre, plan["plan_id"])
    assert session.stem(-1, "vocal")["chain"]
    await session.say("sube el bajo 2 dB")
    assert session.stem(-1, "vocal")["chain"]


async def test_what_came_to_nothing_is_not_built_on(session, shub, files):
    shub.finish.clear()
    await session.say("analiza", *files)
    lost = await session.say("mezcla", wait_seconds=0)
    await session.madre.post(f"/madre/plans/{lost['plan_id']}/cancel")
    await finished(session.madre, lost["plan_id"])
    shub.finish.set()
    answer = await session.say("más brillo en la voz")
    assert [step["operation"] for step in answer["plan"]["steps"]] == ["shub:chain", "madre:take"]


async def test_single_tracks_that_were_changed_are_all_made(session, shub, files):
    await session.say("analiza", *files)
    await session.say("más brillo en la voz y sube el bajo")
    assert sorted(asked["asset_id"] for kind, asked in shub.ordered if kind == "chain") == sorted(files)


async def test_several_files_are_told_apart_by_name(session, shub, files):
    answer = await session.say("analiza", *files)
    assert [line.partition(":")[0] for line in answer["response"].splitlines()] == [VOICE, BASS]


async def test_an_effect_is_taken_away_by_its_name_and_what_is_not_there_is_asked_about(session, shub, files):
    await session.say("mezcla", *files)
    assert (await session.say("quita la ecualización de la voz"))["status"] == "WAITING"
    await session.say("más brillo en la voz")
    await session.say("quita la ecualización de la voz")
    assert session.stem(-2, "vocal")["chain"]
    assert not session.stem(-1, "vocal")["chain"]


async def test_one_track_alone_is_heard_until_it_is_taken_back(session, shub, files):
    await session.say("mezcla", *files)
    await session.say("deja solo la voz")
    assert [session.stem(-1, role)["is_muted"] for role in ("vocal", "bass")] == [False, True]
    await session.say("quita el solo")
    assert not any(session.stem(-1, role)["is_muted"] for role in ("vocal", "bass"))
    await session.say("deja solo la voz")
    await session.say("deshaz")
    await session.say("sube el bajo 2 dB")
    assert session.stem(-1, "bass")["is_muted"] is False


async def test_everything_but_one_is_turned_down(session, shub, files):
    await session.say("mezcla", *files)
    await session.say("baja todo menos la voz")
    assert [session.stem(-1, role)["gain_db"] for role in ("vocal", "bass")] == [0, -3]


async def test_an_export_in_mono_is_one(session, shub, files):
    await session.say("exporta en mono", files[0])
    assert shub.ordered[-1][1]["chain"]["effects"] == [{"type": "channels", "to": "mono"}]


async def test_a_reference_is_no_track_of_the_mix(session, shub, files):
    await session.say("mezcla", *files)
    reference = shub.add("reference")
    asked = await session.say("que suene como esta")
    assert asked["status"] == "WAITING"
    await session.say("que suene como esta", reference)
    kind, order = shub.ordered[-1]
    assert (kind, order["reference_asset_id"]) == ("master", reference)
    assert len([kind for kind, _ in shub.ordered if kind == "mix"]) == 1


async def test_the_same_mix_asked_for_again_is_made_again(session, shub, files):
    await session.say("mezcla", *files)
    assert (await session.say("mezcla", *files))["status"] == "DONE"
    assert [kind for kind, _ in shub.ordered] == ["mix", "mix"]


async def test_what_is_not_clear_is_asked_in_the_words_of_the_engineer(session, shub, files):
    await session.say("mezcla", *files)
    answer = await session.say("arréglalo")
    assert answer["status"] == "WAITING"
    assert answer["question"] == "¿Qué quieres decir?"


async def test_a_session_outlives_a_restart(start_madre, shub, files):
    async with start_madre() as madre:
        await Session(madre, shub).say("mezcla", *files)
    async with start_madre() as madre:
        await Session(madre, shub).say("más brillo en la voz")
    assert [kind for kind, _ in shub.ordered] == ["mix", "mix"]
    assert Session(madre, shub).stem(-1, "vocal")["chain"]


async def test_a_dry_run_shows_the_steps_and_leaves_the_table_as_it_is(session, shub, files):
    answer = await session.say("mezcla", *files, dry_run=True)
    assert "shub:mix" in [step["operation"] for step in answer["plan"]["steps"]]
    assert not shub.ordered
    assert (await session.say("más brillo"))["status"] == "WAITING"


async def test_sessions_do_not_hear_each_other(session, shub, files):
    await session.say("mezcla", *files)
    answer = await session.say("masteriza para Spotify", session_id="another")
    assert answer["status"] == "WAITING"


async def test_a_message_longer_than_any_command_and_long_names_are_no_error(session, shub):
    named = shub.add("long")
    shub.assets[named] = shub.assets[named].model_copy(update={"name": "n" * 250 + ".wav"})
    answer = await session.say("¿qué es un compresor? " * 400, named)
    assert answer["status"] == "DONE"
    assert answer["plan"]["steps"][0]["operation"] == "switch:route"
    assert (await session.say("más brillo", named))["status"] == "DONE"
    assert "por partes" in (await session.say("masteriza la canción, " * 300))["response"]


async def test_of_two_messages_at_once_neither_is_lost(session, shub, files, monkeypatch):
    await session.say("mezcla", *files)
    work, asked, go_on = shub.work, asyncio.Event(), asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        if b"brillo" in request.content:
            asked.set()
            await go_on.wait()
        return await work(request)

    monkeypatch.setattr(shub, "work", slow)
    first = asyncio.create_task(session.say("más brillo en la voz"))
    await asked.wait()
    second = asyncio.create_task(session.say("sube el bajo 2 dB"))
    await asyncio.wait({second}, timeout=0.2)  # were it not to wait for its turn, it would be through by now
    go_on.set()
    await asyncio.gather(first, second)
    await session.say("mezcla")
    assert session.stem(-1, "vocal")["chain"]
    assert session.stem(-1, "bass")["gain_db"] == 2


async def test_what_was_taken_back_while_it_was_being_made_does_not_come_back(session, shub, files):
    await session.say("mezcla", *files)
    shub.finish.clear()
    under_way = await session.say("sube el bajo 2 dB", wait_seconds=0)
    undone = await session.say("deshaz")
    assert "asset_mix_job_0" in undone["response"]
    shub.finish.set()
    await finished(session.madre, under_way["plan_id"])
    await session.say("más brillo en la voz")
    assert session.stem(-1, "bass")["gain_db"] == 0


async def test_going_back_to_what_is_still_being_made_says_so(session, shub, files):
    shub.finish.clear()
    plans = [await session.say("mezcla", *files, wait_seconds=0)]
    plans.append(await session.say("sube el bajo 2 dB", wait_seconds=0))
    assert "se está haciendo" in (await session.say("deshaz"))["response"]
    shub.finish.set()
    for plan in plans:
        await finished(session.madre, plan["plan_id"])
    await session.say("más brillo en la voz")
    assert session.stem(-1, "bass")["gain_db"] == 0


async def test_what_is_asked_for_besides_going_back_is_done_after_it(session, shub, files):
    await session.say("mezcla", *files)
    await session.say("sube el bajo 2 dB")
    answer = await session.say("deshaz y masteriza")
    assert [step["operation"] for step in answer["plan"]["steps"]] == ["madre:undo", "shub:master", "madre:take"]
    assert shub.ordered[-1][1]["asset_id"] == "asset_mix_job_0"
    assert answer["response"].splitlines()[0] == "He vuelto 1 paso atrás."
    await session.say("más brillo en la voz")
    assert session.stem(-1, "bass")["gain_db"] == 0
    assert shub.ordered[-1][0] == "master"


async def test_nothing_is_deleted_beside_something_else_and_that_is_said(session, shub, files):
    await session.say("mezcla", *files)
    answer = await session.say("borra el archivo de voz y masteriza")
    assert answer["status"] == "WAITING"
    assert "mensaje propio" in answer["question"]
    assert [kind for kind, _ in shub.ordered] == ["mix"]


@pytest.mark.parametrize("mode", [None, "AUDIO_ENGINEER"])
async def test_only_the_files_that_are_named_are_to_be_deleted_and_the_question_names_them(session, shub, files, mode):
    answer = await session.say("borra el archivo de voz", *files, mode=mode)
    assert answer["risk"] == "HIGH"
    assert answer["confirmation"]["confirm_token"]
    assert [step["params"] for step in answer["plan"]["steps"]] == [{"asset_id": files[0]}]
    assert "voz.wav" in answer["question"]
    assert "bajo" not in answer["question"]
    assert not shub.deleted


async def test_a_file_on_the_table_is_deleted_by_its_name_without_the_mode_too(session, shub, files):
    await session.say("mezcla", *files)
    answer = await session.say("borra el archivo de voz", mode=None)
    assert [step["params"] for step in answer["plan"]["steps"]] == [{"asset_id": files[0]}]
    assert not shub.deleted
    confirmed = {"confirm_token": answer["confirmation"]["confirm_token"]}
    await session.madre.post(f"/madre/plans/{answer['plan_id']}/confirm", json=confirmed)
    await finished(session.madre, answer["plan_id"])
    assert shub.deleted == [files[0]]


@pytest.mark.parametrize("message", ["borra todo", "borra el archivo del piano"])
async def test_what_is_to_be_deleted_must_be_there_by_its_name(session, shub, files, message):
    await session.say("mezcla", *files)
    answer = await session.say(message)
    assert answer["status"] == "WAITING"
    assert answer["plan"] is None
    assert "no borro nada" in answer["question"]


async def test_an_effect_that_no_track_is_named_for_is_taken_away_where_it_is(session, shub, files):
    await session.say("mezcla", *files)
    await session.say("más brillo en la voz")
    await session.say("más brillo")
    await session.say("quita la ecualización")
    kept = shub.ordered[-1][1]
    assert (kept["chain"], len(session.stem(-1, "vocal")["chain"])) == ([], 1)  # that of the mix first
    await session.say("quita la ecualización")
    assert session.stem(-1, "vocal")["chain"] == []
    assert (await session.say("quita la ecualización"))["status"] == "WAITING"


async def test_stems_are_exported_as_they_stand_in_the_mix_and_each_is_told(session, shub, files):
    await session.say("mezcla", *files)
    answer = await session.say("exporta los stems")
    assert shub.ordered[-1][1]["stems_out"]
    assert [(one["name"], one["size_bytes"]) for one in answer["artifacts"][1:]] == [("voz.wav", 7), ("bajo.wav", 7)]
    assert "- bajo.wav: GET /shub/assets/asset_stem_bajo/content" in answer["response"]
    await session.say("sube el bajo 2 dB")
    assert shub.ordered[-1][1]["stems_out"] is False


async def test_an_export_of_several_files_without_a_mix_asks_which_and_of_stems_writes_each(session, shub, files):
    await session.say("analiza", *files)
    answer = await session.say("exporta en FLAC 24")
    assert "voz, bajo" in answer["question"]
    await session.say("exporta los stems")
    assert [asked["asset_id"] for kind, asked in shub.ordered if kind == "chain"] == files


@pytest.mark.parametrize("mode", [None, "AUDIO_ENGINEER"])
async def test_a_track_that_is_named_when_asked_for_is_what_the_order_was_about(session, shub, files, mode):
    assert (await session.say("más brillo", *files, mode=mode))["status"] == "WAITING"
    assert (await session.say("la voz", mode=mode))["status"] == "DONE"
    assert [asked["asset_id"] for _, asked in shub.ordered] == [files[0]]
    await session.say("mezcla", mode=mode)
    assert (await session.say("más brillo en el piano", mode=mode))["status"] == "WAITING"
    assert (await session.say("la voz", mode=mode))["status"] == "DONE"
    assert len(session.stem(-1, "vocal")["chain"]) == 2


@pytest.mark.parametrize("yes", ["sí", "mezcla"])
async def test_an_order_that_needs_a_mix_is_carried_out_with_it_after_a_yes(session, shub, files, yes):
    assert (await session.say("sube la voz y el bajo", *files))["status"] == "WAITING"
    assert (await session.say(yes))["status"] == "DONE"
    assert [session.stem(-1, role)["gain_db"] for role in ("vocal", "bass")] == [3, 3]


async def test_an_order_that_waits_is_left_for_another_and_for_a_no(session, shub, files):
    await session.say("más brillo", *files)
    assert "no hago nada" in (await session.say("no"))["response"]
    assert (await session.say("la voz"))["status"] == "WAITING"
    await session.say("más brillo", *files)
    await session.say("mezcla", *files)
    assert (await session.say("la voz"))["status"] == "WAITING"
    assert [kind for kind, _ in shub.ordered] == ["mix"]


async def test_the_audio_engineer_is_told_whom_the_last_command_was_about(session, shub, files):
    await session.say("mezcla", *files)
    await session.say("más brillo en la voz y sube el bajo")
    await session.say("deshaz")
    await session.say("más brillo en la voz")
    heard = [json.loads(request.content) for request in shub.asked if request.url.path == "/shub/interpret"]
    assert [one["context"]["last_targets"] for one in heard] == [[], [], ["vocal", "bass"], []]


async def test_sixty_changes_are_remembered_and_one_too_many_is_refused_in_words(session, shub, files):
    await session.say("mezcla", *files)
    shub.meanings = MEANINGS | {"mucho brillo": [meant("apply_effects", "vocal", effects=[BRIGHT] * 15)]}
    for _ in range(4):
        await session.say("mucho brillo")
    assert len(session.stem(-1, "vocal")["chain"]) == 60
    answer = await session.say("mucho brillo")
    assert answer["status"] == "WAITING"
    assert "no caben más" in answer["question"]
    await session.say("deshaz")
    await session.say("mezcla")
    assert len(session.stem(-1, "vocal")["chain"]) == 45


async def test_a_mix_of_many_stems_asks_before_it_begins(start_madre, shub, files):
    async with start_madre(madre_many_stems=2) as madre:
        session = Session(madre, shub)
        answer = await session.say("mezcla", *files)
        assert (answer["status"], answer["risk"]) == ("WAITING", "MED")
        assert not shub.ordered
        confirmed = await session.say("sí")
        await finished(madre, confirmed["plan_id"])
        assert (await session.say("más brillo en la voz"))["status"] == "DONE"
    assert [kind for kind, _ in shub.ordered] == ["mix", "mix"]


async def test_what_means_nothing_for_a_format_does_not_keep_the_export_from_being_made(session, shub, files):
    await session.say("exporta en mp3 de 16 bits", files[0])
    order = shub.ordered[-1][1]
    assert (order["format"], order["dither"]) == ("mp3", "auto")


@pytest.mark.parametrize("fault", [httpx.ConnectError("down"), httpx.Response(200, text="<html>nonsense")])
async def test_an_audio_engineer_who_does_not_answer_is_what_is_told(session, shub, files, fault):
    await session.say("mezcla", *files)
    shub.fault = fault
    answer = await session.say("masteriza para Spotify")
    assert answer["status"] == "ERROR"
    assert "no responde" in answer["response"]
    plan = (await session.madre.get(f"/madre/plans/{answer['plan_id']}")).json()
    assert plan["error"].startswith("/errors/upstream_unavailable")
    shub.fault = None
    assert (await session.say("masteriza para Spotify"))["status"] == "DONE"


async def test_a_structured_deletion_says_the_name_of_the_file(session, shub, files):
    order = {"target": "shub", "action": "delete", "params": {"asset_id": files[0]}}
    answer = (await session.madre.post("/madre/control", json=order)).json()
    assert answer["status"] == "pending_confirmation"
    assert "voz.wav (asset_voz)" in answer["reason"]


async def test_what_nobody_said_is_left_to_the_audio_engineer(session, shub, files):
    await session.say("mezcla", *files)
    sent = [json.loads(request.content) for request in shub.asked if request.url.path == "/shub/mix"][-1]
    assert all("pan" not in stem for stem in sent["stems"])
    await session.say("que suene como esta", shub.add("reference"))
    sent = [json.loads(request.content) for request in shub.asked if request.url.path == "/shub/master"][-1]
    assert "target" not in sent
