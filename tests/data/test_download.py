"""Downloads from a local server that stalls, truncates, refuses and answers with something else."""

import io
import socket
import threading
import time
import urllib.error
import urllib.request

import h5py
import numpy as np
import pytest

from mopo_tf2.data.download import DownloadBar, download
from mopo_tf2.errors import InputError
from tests.data.file_server import (
    FILE_NAME,
    Server,
    always_cutting_at_7000,
    answering_with_a_page,
    ignoring_ranges,
    refusing,
    send,
    stalling,
    truncating,
)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("server") / "file.hdf5"
    with h5py.File(path, "w") as file:
        file["observations"] = np.random.RandomState(0).normal(size=(4000, 11))
    return path.read_bytes()


def fetch(url, folder, mirrors=(), **options):
    settings = {"timeout": 20.0, "retries": 2, "retry_wait": 0.0, **options}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return download([*mirrors, url], folder / FILE_NAME, opener=opener, **settings)


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("behaviours", [(send,), (refusing(503), send)], ids=["idle", "busy"])
def test_file_arrives_whole_in_a_folder_that_is_made(content, tmp_path, behaviours):
    with Server(content, *behaviours) as server:
        path = fetch(server.url, tmp_path / "a" / "b")
    assert path.read_bytes() == content
    assert names(path.parent) == [FILE_NAME]


@pytest.mark.parametrize("fault", [truncating, stalling], ids=["truncating", "stalling"])
def test_broken_transfer_is_resumed_where_it_ended(content, tmp_path, fault):
    reasons, seen = [], []
    with Server(content, fault, send) as server:
        options = {"on_retry": reasons.append, "on_progress": lambda *done: seen.append(done)}
        options["timeout"] = 0.5 if fault is stalling else 20.0
        assert fetch(server.url, tmp_path, **options).read_bytes() == content
    assert seen == sorted(seen)
    assert seen[-1] == (len(content), len(content))
    assert server.ranges == [None, "bytes=100000-"]
    assert len(reasons) == 1
    assert "100000" in reasons[0]


def test_transfer_that_advances_a_little_each_time_is_not_given_up(content, tmp_path):
    with Server(content, truncating) as server:
        path = fetch(server.url, tmp_path, retries=0)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("part", "behaviour", "starts"),
    [
        (lambda whole: whole[:5000], send, ["5000"]),
        (lambda whole: whole, send, ["{size}"]),
        (lambda whole: whole + b"more", send, ["{longer}", None]),
        (lambda whole: b"x" * 5000, ignoring_ranges, ["5000"]),
    ],
    ids=["shorter", "complete", "longer", "ranges ignored"],
)
def test_part_of_an_earlier_run_becomes_the_file(content, tmp_path, part, behaviour, starts):
    (tmp_path / f"{FILE_NAME}.part").write_bytes(part(content))
    with Server(content, behaviour) as server:
        assert fetch(server.url, tmp_path).read_bytes() == content
    size = len(content)
    asked = [start and f"bytes={start}-".format(size=size, longer=size + 4) for start in starts]
    assert server.ranges == asked


def test_server_that_always_cuts_at_the_same_byte_is_given_up_and_the_part_kept(content, tmp_path):
    with (
        Server(content, always_cutting_at_7000) as server,
        pytest.raises(InputError, match=f"7000 of {len(content)}"),
    ):
        fetch(server.url, tmp_path)
    assert names(tmp_path) == [f"{FILE_NAME}.part"]
    assert len(server.ranges) == 4


@pytest.mark.parametrize("status", [403, 404])
def test_refusal_is_final_and_names_file_address_and_folder(content, tmp_path, status):
    with Server(content, refusing(status)) as server, pytest.raises(InputError) as raised:
        fetch(server.url, tmp_path)
    for part in (str(status), FILE_NAME, server.url, str(tmp_path)):
        assert part in str(raised.value)
    assert len(server.ranges) == 1
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "behaviour", "message"),
    [
        (lambda whole: whole[:-500], send, "bytes"),
        (lambda whole: b"<html>" * 30, send, "not an HDF5 file"),
        (lambda whole: whole, answering_with_a_page, "text/html"),
    ],
    ids=["truncated", "page", "page that says so"],
)
def test_file_that_is_truncated_on_the_server_is_refused_and_not_kept(
    content, tmp_path, change, behaviour, message
):
    server = Server(change(content), behaviour)
    with server, pytest.raises(InputError, match=message):
        fetch(server.url, tmp_path)
    assert names(tmp_path) == []


def test_unreachable_server_gives_one_line_that_says_where_to_put_the_file(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/{FILE_NAME}"
        with pytest.raises(InputError) as raised:
            fetch(url, tmp_path, retries=1)
    assert "\n" not in str(raised.value)
    for part in ("cannot be reached", FILE_NAME, url, str(tmp_path)):
        assert part in str(raised.value)


class Nameless(urllib.request.OpenerDirector):
    """An opener on a machine without a network: no name resolves."""

    def open(self, *arguments, **options):
        reason = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        raise urllib.error.URLError(reason)


def test_name_that_does_not_resolve_is_not_tried_again(tmp_path):
    reasons = []
    url = f"http://no-such-host.invalid/{FILE_NAME}"
    with pytest.raises(InputError, match="name cannot be found"):
        download([url], tmp_path / "x.hdf5", opener=Nameless(), on_retry=reasons.append)
    assert reasons == []


def test_folder_that_is_a_file_is_refused(content, tmp_path):
    (tmp_path / "folder").write_bytes(b"")
    with Server(content, send) as server, pytest.raises(InputError, match="cannot be written"):
        fetch(server.url, tmp_path / "folder")


def test_two_that_want_the_same_file_fetch_it_once_and_keep_it(content, tmp_path):
    def slow(server, request):
        time.sleep(0.1)
        send(server, request)

    with Server(content, slow) as server:
        threads = [threading.Thread(target=fetch, args=(server.url, tmp_path)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        fetch(server.url, tmp_path)
    assert len(server.ranges) == 1
    assert (tmp_path / FILE_NAME).read_bytes() == content


def test_progress_off_a_terminal_is_plain_lines_at_tenths():
    stream = io.StringIO()
    with DownloadBar("file.hdf5", stream=stream) as bar:
        for done in range(0, 1_000_001, 1000):
            bar(done, 1_000_000)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[-1] == "file.hdf5: 1.0 of 1.0 MB"
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize(
    "fault",
    [refusing(404), refusing(503), truncating, always_cutting_at_7000, answering_with_a_page],
    ids=["missing", "busy", "truncating", "cutting", "page"],
)
def test_the_next_address_has_what_a_mirror_fails_to_give(content, tmp_path, fault):
    notes = []
    with Server(content[::-1], fault) as first, Server(content, send) as second:
        mirrors = [first.url, second.url]
        options = {"mirrors": mirrors, "on_retry": notes.append, "retries": 0}
        path = fetch("http://127.0.0.1:9/never-asked", tmp_path, **options)
    assert path.read_bytes() == content
    assert second.ranges == [None]  # Nothing of the first address is continued.
    assert names(tmp_path) == [FILE_NAME]
    assert [note.endswith("Trying the next address.") for note in notes][-1]


def test_nothing_of_mirrors_stays_when_every_address_fails(content, tmp_path):
    with (
        Server(content, always_cutting_at_7000) as mirror,
        Server(content, refusing(404)) as own,
        pytest.raises(InputError, match="404"),
    ):
        fetch(own.url, tmp_path, mirrors=[mirror.url], retries=0)
    assert names(tmp_path) == []
