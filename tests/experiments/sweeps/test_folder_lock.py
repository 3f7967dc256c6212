import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from experiments.sweeps.folder_lock import FolderLock, FolderLost, FolderTaken


def foreign(folder: Path, number: int = 0) -> Path:
    """Leave the lock of a process on another machine."""
    (folder / ".lock").mkdir(exist_ok=True)
    path = folder / ".lock" / f"{number:06d}"
    path.write_text(json.dumps({"machine": "elsewhere", "pid": 1, "started": "1", "id": "x"}))
    return path


def numbers(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / ".lock").iterdir())


def test_a_held_folder_is_refused_and_names_its_holder(tmp_path: Path) -> None:
    with (
        FolderLock(tmp_path) as lock,
        pytest.raises(FolderTaken, match=f"process {os.getpid()} on") as taken,
        FolderLock(tmp_path, patience=0.0),
    ):
        pass
    assert not taken.value.elsewhere
    with pytest.raises(FolderLost):
        lock.check()  # left


def test_a_left_folder_is_free_at_once(tmp_path: Path) -> None:
    for expected in ("000000", "000001", "000002"):
        with FolderLock(tmp_path, patience=0.0) as lock:
            lock.check()
            assert numbers(tmp_path) == [expected]


def test_a_dead_process_of_this_machine_is_no_holder(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from experiments.sweeps.folder_lock import FolderLock\n"
        "FolderLock(Path(sys.argv[1])).__enter__(); os._exit(9)"
    )
    process = subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
    assert process.returncode == 9
    with FolderLock(tmp_path, patience=0.0) as lock:
        lock.check()


def test_a_process_that_took_a_dead_ones_number_is_not_its_holder(tmp_path: Path) -> None:
    with FolderLock(tmp_path):
        path = tmp_path / ".lock" / "000000"
        owner = json.loads(path.read_text())
    owner["started"] = "12"  # this process lives, and began at another time
    path.write_text(json.dumps(owner))
    with FolderLock(tmp_path, patience=0.0) as lock:
        lock.check()


def test_a_holder_elsewhere_that_shows_life_is_waited_for(tmp_path: Path) -> None:
    path = foreign(tmp_path)
    ended = threading.Event()

    def live() -> None:
        beat = 0
        while not ended.wait(0.05):
            beat += 1
            os.utime(path, (beat, beat))  # a clock that has nothing to do with ours

    thread = threading.Thread(target=live)
    thread.start()
    try:
        with (
            pytest.raises(FolderTaken, match="process 1 on elsewhere") as taken,
            FolderLock(tmp_path, patience=1.5, stale=0.6),
        ):
            pass
    finally:
        ended.set()
        thread.join()
    assert taken.value.elsewhere


def test_a_holder_elsewhere_without_a_sign_of_life_is_followed(tmp_path: Path) -> None:
    foreign(tmp_path, 7)
    with FolderLock(tmp_path, patience=30.0, stale=0.4) as lock:
        lock.check()
        assert numbers(tmp_path) == ["000008"]


def test_a_file_left_half_made_is_followed_once_stale(tmp_path: Path) -> None:
    foreign(tmp_path).write_text("")
    with FolderLock(tmp_path, patience=30.0, stale=0.4) as lock:
        lock.check()


def test_the_holder_shows_life(tmp_path: Path) -> None:
    with FolderLock(tmp_path, beat=0.02):
        path = tmp_path / ".lock" / "000000"
        os.utime(path, (1, 1))
        end = time.monotonic() + 20.0
        while path.stat().st_mtime < 2:
            assert time.monotonic() < end, "no beat"
            time.sleep(0.01)


def test_a_robbed_holder_is_told_and_leaves_the_robbers_file_alone(tmp_path: Path) -> None:
    with FolderLock(tmp_path) as lock:
        robber = foreign(tmp_path, 1)
        before = robber.read_text()
        with pytest.raises(FolderLost, match="took"):
            lock.check()
    assert robber.read_text() == before


def test_of_many_that_find_a_dead_holder_one_at_a_time_gets_the_folder(tmp_path: Path) -> None:
    foreign(tmp_path)
    inside: list[int] = []
    most: list[int] = []
    failures: list[Exception] = []

    def take() -> None:
        try:
            with FolderLock(tmp_path, patience=60.0, stale=0.3, beat=0.01) as lock:
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.02)
                lock.check()
                inside.pop()
        except (FolderTaken, FolderLost, OSError) as error:  # shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert most == [1] * 8


def test_a_waiter_whose_view_is_out_of_date_does_not_win(tmp_path: Path) -> None:
    foreign(tmp_path, 3)
    slow = FolderLock(tmp_path)
    with FolderLock(tmp_path, stale=0.0), FolderLock(tmp_path, machine="there", stale=0.0):
        assert numbers(tmp_path) == ["000005"]
        # It saw 3 stale long ago; 4 is free to be made by now, but 5 holds the folder.
        assert not slow._take(tmp_path / ".lock" / "000003")
        assert numbers(tmp_path) == ["000005"]
