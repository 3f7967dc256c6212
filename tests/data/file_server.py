"""A file server on this machine that stalls, truncates, refuses or answers with something else."""

import contextlib
import functools
import http.server
import threading

FILE_NAME = "hopper_mixed.hdf5"


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
        self.url = f"http://127.0.0.1:{self.http.server_port}/datasets/{FILE_NAME}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self.released.set()
        self.http.shutdown()
        self.http.server_close()


def send(server, request, *, ignore_range=False, stop_after=None, stall=False):
    """Answer as a file server does; ``stop_after`` bytes, then hang up or stall."""
    start, size = 0, len(server.content)
    asked = request.headers.get("Range")
    if asked and not ignore_range:
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        request.send_response(206 if start < size else 416)
        span = f"{start}-{size - 1}" if start < size else "*"
        request.send_header("Content-Range", f"bytes {span}/{size}")
    else:
        request.send_response(200)
    request.send_header("Content-Type", "application/octet-stream")
    request.send_header("Content-Length", str(max(size - start, 0)))
    request.end_headers()
    request.wfile.write(server.content[start:][:stop_after])
    request.wfile.flush()
    if stall:
        server.released.wait(10)
    request.close_connection = True


truncating = functools.partial(send, stop_after=100_000)
stalling = functools.partial(send, stop_after=100_000, stall=True)
ignoring_ranges = functools.partial(send, ignore_range=True)
always_cutting_at_7000 = functools.partial(send, ignore_range=True, stop_after=7000)


def refusing(status):
    return lambda server, request: request.send_error(status)


def answering_with_a_page(server, request):
    page = b"<html>Log in to this network</html>"
    request.send_response(200)
    request.send_header("Content-Type", "text/html")
    request.send_header("Content-Length", str(len(page)))
    request.end_headers()
    request.wfile.write(page)
