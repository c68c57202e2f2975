"""Files that jobs leave, and files that they only pretend to leave."""

import hashlib
import os
import re

import pytest

from spawner.artifacts import pattern_of
from spawner.folders import Folders
from tests.spawner.conftest import problem, until


async def artifacts(spawner, job):
    answer = await spawner.http.get(f"/spawner/spawn/{job['spawn_id']}/artifacts")
    assert answer.status_code == 200
    return {one["path"]: one for one in answer.json()["items"]}


async def test_what_matches_is_kept_with_its_hash_and_can_be_fetched(spawner_at):
    script = """
import os
os.makedirs("out/deep/er")
open("out/a b ñ.json", "w").write("{}")
open("out/deep/er/c.bin", "wb").write(bytes(range(256)) * 4000)
open("out/no.txt", "w").write("no")
open("top.json", "w").write("no")
open("out/empty.json", "w")
"""
    async with spawner_at() as spawner:
        job = await spawner.python(script, artifacts=["out/*.json", "**/*.bin"])
        found = await artifacts(spawner, job)
        assert set(found) == {"out/a b ñ.json", "out/deep/er/c.bin", "out/empty.json"}
        assert [one["path"] for one in job["artifacts"]] == sorted(found)
        content = bytes(range(256)) * 4000
        assert found["out/deep/er/c.bin"] == {
            "path": "out/deep/er/c.bin",
            "size_bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        answer = await spawner.http.get(f"/spawner/spawn/{job['spawn_id']}/artifacts/out/deep/er/c.bin")
        assert answer.content == content
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"] == "application/octet-stream"
        named = await spawner.http.get(f"/spawner/spawn/{job['spawn_id']}/artifacts/out/a b ñ.json")
        assert named.text == "{}"
        assert named.headers["content-disposition"] == "attachment; filename*=UTF-8''a%20b%20%C3%B1.json"
        for path in ("out/no.txt", "top.json", "nothing", "out/deep/er", "out"):
            answer = await spawner.http.get(f"/spawner/spawn/{job['spawn_id']}/artifacts/{path}")
            problem(answer, 404, "artifact_not_found")


async def test_only_regular_files_are_artifacts_and_no_symlink_is_followed(spawner_at):
    script = """
import os, socket
os.mkdir("real"); open("real/file", "w").write("mine")
os.symlink("/etc/passwd", "link"); os.symlink("real/file", "inner"); os.symlink("real", "folder"); os.symlink("/", "root")
os.symlink("loop", "loop"); os.mkfifo("pipe"); os.link("real/file", "hard")
socket.socket(socket.AF_UNIX).bind("socket")
open(b"bad\\xff", "w").write("x")
print("made")
"""
    async with spawner_at() as spawner:
        job = await spawner.python(script, artifacts=["**"])
        assert job["stdout"] == "made\n", job["stderr"]
        assert set(await artifacts(spawner, job)) == {"real/file", "hard"}


async def test_a_file_that_was_swapped_for_a_symlink_later_is_not_served(spawner_at, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("12345678")
    async with spawner_at() as spawner:
        job = await spawner.python("import os; os.mkdir('d'); open('d/f', 'w').write('87654321')", artifacts=["d/f"])
        folder = spawner.app.state.folders.job(job["spawn_id"])
        path = f"/spawner/spawn/{job['spawn_id']}/artifacts/d/f"
        assert (await spawner.http.get(path)).text == "87654321"
        (folder / "d/f").unlink()
        (folder / "d/f").symlink_to(secret)
        problem(await spawner.http.get(path), 404, "artifact_not_found")
        (folder / "d/f").unlink()
        (folder / "d").rename(folder / "e")
        (tmp_path / "f").write_text("12345678")
        (folder / "d").symlink_to(tmp_path)
        problem(await spawner.http.get(path), 404, "artifact_not_found")


@pytest.mark.parametrize(
    "path", ["..%2f..%2fspool%2fstdout", "../spool/stdout", "%2fetc%2fpasswd", "d%2f..%2f..%2fspool%2fstdout"]
)
async def test_no_path_leads_out_of_the_folder(spawner_at, path):
    async with spawner_at() as spawner:
        job = await spawner.python("import os; os.mkdir('d'); print('x')", artifacts=["**"])
        answer = await spawner.http.get(f"/spawner/spawn/{job['spawn_id']}/artifacts/{path}")
        assert answer.status_code == 404


async def test_what_is_too_many_or_too_large_is_left_out_and_said(spawner_at):
    script = """
for n in range(5): open(f"f{n}", "w").write("x")
open("large", "w").write("x" * 5000)
"""
    async with spawner_at(spawner_most_artifacts=3, spawner_most_artifact_bytes=4000) as spawner:
        many = await spawner.python(script, artifacts=["f*"])
        assert [one["path"] for one in many["artifacts"]] == ["f0", "f1", "f2"]
        assert "2 artifacts more" in many["detail"]
        large = await spawner.python(script, artifacts=["large", "f0"])
        assert [one["path"] for one in large["artifacts"]] == ["f0"]
        assert "large" in large["detail"]


async def test_folders_nested_deep_and_closed_do_not_stop_the_collecting_or_the_removal(spawner_at):
    script = """
import os
open("kept", "w").write("x")
for n in range(100):
    os.mkdir("d" * 100); os.chdir("d" * 100)
open("lost", "w").write("x")
os.chmod(".", 0); os.chmod("..", 0)
"""
    async with spawner_at() as spawner:
        job = await spawner.python(script, artifacts=["**"], ttl_seconds=1)
        assert [one["path"] for one in job["artifacts"]] == ["kept"], job

        async def gone():
            return True if job["spawn_id"] not in spawner.folders() else None

        await until(gone)


def test_a_folder_deeper_than_any_path_or_stack_is_removed_and_nothing_beside_it(tmp_path):
    folders = Folders(tmp_path, is_for_others=False)
    folders.open()
    job, _ = folders.make("spawn_1", None)
    (tmp_path / "beside").write_text("kept")
    (job / "link").symlink_to(tmp_path)
    (job / ".doomed.1").mkdir()
    at = os.open(job, os.O_RDONLY)
    for _ in range(5000):
        os.mkdir("d" * 200, dir_fd=at)
        os.symlink(tmp_path, "inner", dir_fd=at)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.fchmod(at, 0)
    os.close(at)
    folders.remove("spawn_1")
    assert folders.ids() == []
    assert (tmp_path / "beside").read_text() == "kept"


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("out/*.json", "out/a.json", True),
        ("out/*.json", "out/b/a.json", False),
        ("*", ".hidden", True),
        ("**", "a/b/c", True),
        ("**/x", "x", True),
        ("a/**", "a", False),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("**/a/**/b", "q/a/z/a/b", True),
        ("**/**/b", "b", True),
        ("[ab]?.t*", "b1.txt", True),
        ("[!ab]*", "a", False),
        ("[z-a]", "b", False),
        ("[", "[", True),
        ("*a*b*c", "xaxbxc", True),
        ("*a*b*c", "xaxcxb", False),
        ("a.c", "abc", False),
        ("a*", "a\nb", True),
    ],
)
def test_globs_mean_what_shells_mean(glob, path, matches):
    assert bool(re.compile(pattern_of(glob), re.DOTALL).fullmatch(path)) is matches
