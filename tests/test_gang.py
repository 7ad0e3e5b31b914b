"""Processes that work together: the end of one is the end of all, what they print is told apart, and none is left behind."""

import signal

import pytest
from process_tree import alive, below
from processes import python, wait_for

from ptune_cli.launchers.gang import cause

# A gang of the scripts that follow; ends with the exit code that `run` returns (a signal as 128 + its number, as a shell does).
GANG = """
    import sys
    from ptune_cli.launchers import gang, signals

    with signals.signals() as asked:
        code = gang.run([(sys.executable, "-uc", script) for script in sys.argv[1:]], asked)
    sys.exit(code if code >= 0 else 128 - code)
"""
WAITS = "import time; print('waits', flush=True); time.sleep(600)"
SAVES = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
print('waits'); time.sleep(600)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('waits', flush=True); time.sleep(600)"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WAITS!r}])"


def fails(code: object) -> str:
    return f"import os, signal, time; time.sleep(0.3); {code}"


def test_it_is_done_when_all_are_and_what_they_print_is_told_apart():
    said = "import sys; print('result {0}'); print('line {0}', file=sys.stderr); sys.stderr.write('no end')"
    with python(GANG, said.format(0), said.format(1)) as gang:
        out, errors = gang.communicate()
    assert (gang.returncode, out) == (0, "result 0\n")
    assert sorted(errors.splitlines()) == ["0| line 0", "0| no end", "1| line 1", "1| no end", "1| result 1"]


@pytest.mark.parametrize(
    ("end", "code"),
    [("exit(2)", 2), ("os.kill(os.getpid(), signal.SIGKILL)", 137)],
)
def test_the_first_that_fails_ends_all_and_says_how(end, code):
    with python(GANG, WAITS, fails(end)) as gang:
        gang.communicate(timeout=30)
    assert gang.returncode == code


def test_one_that_is_told_of_another_s_mistake_may_end_before_it():
    with python(GANG, fails("time.sleep(1); exit(2)"), fails("exit(1)")) as gang:
        gang.communicate(timeout=30)
    assert gang.returncode == 2


@pytest.mark.parametrize(("codes", "expected"), [([1, -9], -9), ([-6, 1], 1), ([134, 2], 2), ([75, 1], 75), ([], 0)])
def test_of_several_that_fail_the_one_that_could_not_have_come_from_the_other_counts(codes, expected):
    assert cause(codes) == expected


def test_nothing_is_left_when_one_fails():
    with python(GANG, DEAF, PARENT, fails("time.sleep(1); exit(1)")) as gang:
        wait_for(lambda: len(below(gang.pid)) == 4)
        running = below(gang.pid)
        gang.communicate(timeout=30)
    assert not any(map(alive, running))


def test_nothing_is_left_when_the_launcher_itself_is_killed():
    with python(GANG, WAITS, DEAF) as gang:
        wait_for(lambda: len(below(gang.pid)) == 2)
        running = below(gang.pid)
        gang.kill()
        gang.communicate()
    wait_for(lambda: not any(map(alive, running)), 5)


def test_a_signal_is_passed_on_once_and_a_second_one_ends_all_at_once():
    with python(GANG, SAVES, SAVES) as gang:
        assert gang.stdout.readline() == "waits\n"
        assert gang.stderr.readline() == "1| waits\n"
        gang.terminate()
        gang.communicate(timeout=30)
    assert gang.returncode == 75
    with python(GANG, DEAF, DEAF) as gang:
        assert gang.stdout.readline() == "waits\n"
        running = below(gang.pid)
        gang.terminate()
        gang.send_signal(signal.SIGINT)
        wait_for(lambda: not any(map(alive, running)), 10)
        gang.communicate(timeout=30)
