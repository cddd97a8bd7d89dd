"""One thread computes at a time, and nobody is stopped by one that computes for long."""

from __future__ import annotations

import threading

from adapters.interpreter import computing, waiting


def test_a_thread_that_waits_lets_another_compute() -> None:
    inside, done = threading.Event(), threading.Event()

    def other() -> None:
        with computing():
            inside.set()
            done.wait(10)

    with computing():
        thread = threading.Thread(target=other)
        with waiting():
            thread.start()
            assert inside.wait(10)
        done.set()
    thread.join(10)
    assert not thread.is_alive()


def test_a_thread_that_computes_for_long_stops_nobody() -> None:
    went_on = threading.Event()

    def other() -> None:
        with computing():
            went_on.set()

    with computing():
        thread = threading.Thread(target=other)
        thread.start()
        assert went_on.wait(10)
    thread.join(10)


def test_an_error_lets_go() -> None:
    for _ in range(3):
        try:
            with computing(), waiting():
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
    test_a_thread_that_waits_lets_another_compute()


def test_who_does_not_compute_waits_as_ever() -> None:
    with waiting():
        test_a_thread_that_waits_lets_another_compute()
