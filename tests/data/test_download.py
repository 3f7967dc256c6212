"""Downloads from a local server that stalls, truncates, refuses and answers with something else."""

import contextlib
import http.server
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

PATH = "/datasets/hopper_mixed.hdf5"


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("server") / "file.hdf5"
    with h5py.File(path, "w") as file:
        file["observations"] = np.random.RandomState(0).normal(size=(4000, 11))
    return path.read_bytes()


class Server:
    """Serves ``content``; behaviour k of ``behaviours`` answers request k, the last the rest."""

    def __init__(self, content, *behaviours):
        self.content, self.behaviours, self.ranges = content, list(behaviours), []
        self.released = threading.Event()

    def __enter__(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.ranges.append(self.headers.get("Range"))
                index = min(len(outer.ranges), len(outer.behaviours)) - 1
                with contextlib.suppress(ConnectionError):
                    outer.behaviours[index](outer, self)

            def log_message(self, *arguments):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}{PATH}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self.released.set()
        self.http.shutdown()
        self.http.server_close()


def send(server, request, *, ignore_range=False, stop_after=None, stall=False):
    """Answer as a file server does; ``stop_after`` bytes, then hang up or stall."""
    start = 0
    asked = request.headers.get("Range")
    if asked and not ignore_range:
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        size = len(server.content)
        if start >= size:
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{size}")
            request.end_headers()
            return
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
    else:
        request.send_response(200)
    body = server.content[start:]
    request.send_header("Content-Type", "application/octet-stream")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body[:stop_after])
    request.wfile.flush()
    if stall:
        server.released.wait(10)
    request.close_connection = True


def truncating(server, request):
    send(server, request, stop_after=100_000)


def stalling(server, request):
    send(server, request, stop_after=100_000, stall=True)


def ignoring_ranges(server, request):
    send(server, request, ignore_range=True)


def refusing(status):
    return lambda server, request: request.send_error(status)


def html(server, request):
    page = b"<html>Log in to this network</html>"
    request.send_response(200)
    request.send_header("Content-Type", "text/html")
    request.send_header("Content-Length", str(len(page)))
    request.end_headers()
    request.wfile.write(page)


def fetch(url, folder, **options):
    settings = {"timeout": 0.3, "retries": 2, "retry_wait": 0.0, **options}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return download(url, folder / "hopper_mixed.hdf5", opener=opener, **settings)


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_file_arrives_whole_in_a_folder_that_is_made(content, tmp_path):
    with Server(content, send) as server:
        path = fetch(server.url, tmp_path / "a" / "b")
    assert path.read_bytes() == content
    assert names(path.parent) == ["hopper_mixed.hdf5"]


def test_existing_file_is_not_fetched_again(content, tmp_path):
    (tmp_path / "hopper_mixed.hdf5").write_bytes(b"mine")
    with Server(content, send) as server:
        assert fetch(server.url, tmp_path).read_bytes() == b"mine"
    assert server.ranges == []


@pytest.mark.parametrize("fault", [truncating, stalling])
def test_broken_transfer_is_resumed_where_it_ended(content, tmp_path, fault):
    reasons = []
    with Server(content, fault, send) as server:
        path = fetch(server.url, tmp_path, on_retry=reasons.append)
    assert path.read_bytes() == content
    assert server.ranges == [None, "bytes=100000-"]
    assert len(reasons) == 1
    assert "100000" in reasons[0]


def test_transfer_that_advances_a_little_each_time_is_not_given_up(content, tmp_path):
    with Server(content, truncating) as server:
        path = fetch(server.url, tmp_path, retries=0)
    assert path.read_bytes() == content


def test_part_of_an_earlier_run_is_resumed(content, tmp_path):
    (tmp_path / "hopper_mixed.hdf5.part").write_bytes(content[:5000])
    with Server(content, send) as server:
        path = fetch(server.url, tmp_path)
    assert path.read_bytes() == content
    assert server.ranges == ["bytes=5000-"]


def test_part_that_is_already_complete_gets_its_name(content, tmp_path):
    (tmp_path / "hopper_mixed.hdf5.part").write_bytes(content)
    with Server(content, send) as server:
        assert fetch(server.url, tmp_path).read_bytes() == content


def test_part_longer_than_the_file_is_started_over(content, tmp_path):
    (tmp_path / "hopper_mixed.hdf5.part").write_bytes(content + b"more")
    with Server(content, send) as server:
        assert fetch(server.url, tmp_path).read_bytes() == content
    assert server.ranges[-1] is None


def test_server_that_ignores_ranges_is_read_from_the_start(content, tmp_path):
    (tmp_path / "hopper_mixed.hdf5.part").write_bytes(b"x" * 5000)
    with Server(content, ignoring_ranges) as server:
        assert fetch(server.url, tmp_path).read_bytes() == content


def test_server_that_always_cuts_at_the_same_byte_is_given_up_and_the_part_kept(content, tmp_path):
    def cutting(server, request):
        send(server, request, ignore_range=True, stop_after=7000)

    with (
        Server(content, cutting) as server,
        pytest.raises(InputError, match=f"7000 of {len(content)}"),
    ):
        fetch(server.url, tmp_path)
    assert names(tmp_path) == ["hopper_mixed.hdf5.part"]
    assert len(server.ranges) == 4


@pytest.mark.parametrize("status", [403, 404])
def test_refusal_is_final_and_names_file_address_and_folder(content, tmp_path, status):
    with Server(content, refusing(status)) as server, pytest.raises(InputError) as raised:
        fetch(server.url, tmp_path)
    message = str(raised.value)
    for part in (str(status), "hopper_mixed.hdf5", server.url, str(tmp_path)):
        assert part in message
    assert len(server.ranges) == 1
    assert names(tmp_path) == []


def test_busy_server_is_asked_again(content, tmp_path):
    with Server(content, refusing(503), send) as server:
        assert fetch(server.url, tmp_path).read_bytes() == content


def test_page_of_text_is_refused(content, tmp_path):
    with Server(content, html) as server, pytest.raises(InputError, match="text/html"):
        fetch(server.url, tmp_path)
    assert names(tmp_path) == []


def test_page_that_calls_itself_a_file_is_refused_and_not_kept(tmp_path):
    with (
        Server(b"<html>Log in</html>" * 10, send) as server,
        pytest.raises(InputError, match="not an HDF5 file"),
    ):
        fetch(server.url, tmp_path)
    assert names(tmp_path) == []


def test_file_that_is_truncated_on_the_server_is_refused_and_not_kept(content, tmp_path):
    with (
        Server(content[:-500], send) as server,
        pytest.raises(InputError, match=f"{len(content) - 500} bytes"),
    ):
        fetch(server.url, tmp_path)
    assert names(tmp_path) == []


def test_unreachable_server_gives_one_line_that_says_where_to_put_the_file(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}{PATH}"
        with pytest.raises(InputError) as raised:
            fetch(url, tmp_path, retries=1)
    message = str(raised.value)
    assert "\n" not in message
    for part in ("cannot be reached", "hopper_mixed.hdf5", url, str(tmp_path)):
        assert part in message


class Nameless(urllib.request.OpenerDirector):
    """An opener on a machine without a network: no name resolves."""

    def open(self, *arguments, **options):
        reason = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        raise urllib.error.URLError(reason)


def test_name_that_does_not_resolve_is_not_tried_again(tmp_path):
    reasons = []
    url = f"http://no-such-host.invalid{PATH}"
    with pytest.raises(InputError, match="name cannot be found"):
        download(url, tmp_path / "x.hdf5", opener=Nameless(), on_retry=reasons.append)
    assert reasons == []


def test_folder_that_is_a_file_is_refused(content, tmp_path):
    (tmp_path / "folder").write_bytes(b"")
    with Server(content, send) as server, pytest.raises(InputError, match="cannot be written"):
        fetch(server.url, tmp_path / "folder")


def test_two_that_want_the_same_file_fetch_it_once(content, tmp_path):
    def slow(server, request):
        time.sleep(0.1)
        send(server, request)

    with Server(content, slow) as server:
        threads = [threading.Thread(target=fetch, args=(server.url, tmp_path)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.ranges) == 1
    assert (tmp_path / "hopper_mixed.hdf5").read_bytes() == content


def test_progress_ends_at_the_size_of_the_file(content, tmp_path):
    seen = []
    with Server(content, truncating, send) as server:
        fetch(server.url, tmp_path, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(content), len(content))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_progress_off_a_terminal_is_plain_lines_at_tenths():
    stream = io.StringIO()
    with DownloadBar("file.hdf5", stream=stream) as bar:
        for done in range(0, 1_000_001, 1000):
            bar(done, 1_000_000)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[-1] == "file.hdf5: 1.0 of 1.0 MB"
    assert "\x1b" not in stream.getvalue()
