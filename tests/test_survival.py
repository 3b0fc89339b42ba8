"""A run that is killed or damaged ends as the one that was not: bit for bit in state, keys, average and logged metrics."""

import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from multiprocessing import forkserver

import pytest
import survivor

from ddjax.training import manifest


@pytest.fixture(scope="module")
def launch(tmp_path_factory):
    """Start the small run in a process of its own, forked from one that has imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["survivor"])
    with (
        pytest.MonkeyPatch.context() as patch
    ):  # the server does not know of this process's path, and says nothing of it
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    cache = tmp_path_factory.mktemp("cache")

    def launch(folder, streamed=False):
        told = folder.with_suffix(".digest")
        process = context.Process(target=survivor.run, args=(folder, str(cache), told, streamed))
        process.start()
        return process

    return launch


@pytest.fixture(scope="module")
def whole(launch, tmp_path_factory):
    """The uninterrupted run: its folder and digest."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert finish(launch, folder) is not None
    return folder, folder.with_suffix(".digest").read_text()


def finish(launch, folder, streamed=False):
    process = launch(folder, streamed)
    process.join(120)
    assert process.exitcode == 0
    return folder.with_suffix(".digest").read_text()


def half_written(folder):
    """Whether a save was under way: a folder that Orbax has not committed, or a step without its manifest."""
    unlisted = [step for step in manifest.steps(folder) if not manifest.intact(folder / str(step))]
    return bool(unlisted or list(folder.glob("*.orbax-checkpoint-tmp*")))


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_kills_at_any_moment_and_exact_resumes(launch, whole, tmp_path):
    """20 SIGKILLs, up to 5 in a run, by turns at random moments and once a save is seen under way: each run ends with the
    whole one's digest.

    Mutations: an average that is not restored; metrics that are not dropped beyond the restored step.
    """
    moments, kills, in_save, number = random.Random(7), 0, 0, 0
    while kills < 20:
        folder = tmp_path / f"run{number}"
        for _ in range(5):
            process, before = launch(folder), set(manifest.steps(folder))
            while set(manifest.steps(folder)) <= before and process.is_alive():
                time.sleep(0.002)
            time.sleep(moments.uniform(0.0, 0.3))
            while kills % 2 and not half_written(folder) and process.is_alive():
                pass
            process.kill()
            process.join()
            if process.exitcode == 0:  # it was done before the kill
                break
            assert process.exitcode == -signal.SIGKILL
            kills += 1
            in_save += half_written(folder)
        assert finish(launch, folder) == whole[1], (number, kills)
        number += 1
    assert in_save >= 3


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_killed_run_on_a_stream_sees_the_same_data(launch, tmp_path):
    """SIGKILL twice: state, keys, average and metrics end as those of the run that was not killed, over 21 epochs.

    Mutations: a place that counts what was read ahead; a stream that is not brought to its place.
    """
    whole, folder, moments = finish(launch, tmp_path / "whole", True), tmp_path / "run", random.Random(1)
    for _ in range(2):
        process, before = launch(folder, True), set(manifest.steps(folder))
        while set(manifest.steps(folder)) <= before and process.is_alive():
            time.sleep(0.002)
        time.sleep(moments.uniform(0.0, 0.1))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    assert finish(launch, folder, True) == whole


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore:checkpoint .* is damaged:UserWarning")
def test_a_flipped_byte_in_any_file_costs_a_step_and_no_more(whole, tmp_path, recwarn):
    """Each file of the newest checkpoint in turn: told, the step before is taken, and the run ends with the same digest."""
    folder, digest = whole
    newest = manifest.steps(folder)[0]
    files = [path.relative_to(folder) for path in (folder / str(newest)).rglob("*") if path.is_file()]
    assert len(files) > 5
    for number, name in enumerate(files):
        damaged = shutil.copytree(folder, tmp_path / f"run{number}")
        content = bytearray((damaged / name).read_bytes())
        content[len(content) // 2] ^= 1
        (damaged / name).write_bytes(content)
        recwarn.clear()
        assert survivor.train(damaged) == digest, name
        assert [str(warning.message) for warning in recwarn if "is damaged" in str(warning.message)], name
        assert (damaged / f"{newest}.damaged").is_dir()
