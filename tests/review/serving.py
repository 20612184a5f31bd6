"""A review server in a thread, for tests."""

import contextlib
import threading

from biomarkers.review.server import ReviewServer
from biomarkers.review.session import ReviewSession


@contextlib.contextmanager
def served(run, **options):
    server = ReviewServer(ReviewSession(run, **options))
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=(ready.set,), daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield server
    finally:
        server.stop()
        thread.join(20)
