"""When steps are due, which frames are sent, how much may be said."""

from __future__ import annotations

import pytest

from worldmodels.play.messages import Refused
from worldmodels.play.pacing import Clock, Quota, Window


def test_steps_come_at_their_rate():
    clock, now, begun = Clock(50, 100.0), 100.0, []
    while len(begun) < 100:
        now += clock.wait(now)
        begun.append(now)
        assert clock.step(now)
        now += 0.011  # what a step costs
    assert begun[-1] - begun[0] == pytest.approx(99 / 50)


def test_a_small_delay_is_made_up_for_without_pictures():
    clock = Clock(50, 0.0)
    drawn, now = [], 0.1  # five steps behind
    for _ in range(6):
        assert clock.wait(now) == 0
        drawn.append(clock.step(now))
    assert drawn == [False, False, True, False, False, True]
    assert clock.wait(now) > 0


def test_a_large_delay_is_lost():
    clock = Clock(50, 0.0)
    clock.step(10.0)
    assert clock.wait(10.0) == pytest.approx(0.02)


def test_a_third_of_the_pictures_is_drawn_however_slow_the_machine():
    clock, now, drawn = Clock(50, 0.0), 0.0, 0
    for _ in range(99):
        drawn += clock.step(now)
        now += 0.05
    assert drawn >= 33


def test_a_client_that_does_not_answer_gets_two_frames():
    window = Window(50)
    sent = 0
    while window.open:
        window.send(0.0)
        sent += 1
    assert sent == 2
    window.acknowledge(2, 0.1)
    assert window.open


def test_a_long_way_has_more_frames_on_it_but_not_one_that_got_full():
    window = Window(50)
    window.acknowledge(window.send(0.0), 0.1)  # the way itself takes 100 ms
    window.acknowledge(window.send(1.0), 3.0)  # and a queue on it is no reason to send more
    assert window.limit == 2 + 5


def test_no_round_trip_opens_the_window_without_bounds():
    window = Window(50)
    window.acknowledge(window.send(0.0), 1000.0)
    assert window.limit == 52


def test_acknowledgements_of_what_was_never_sent_are_refused():
    window = Window(50)
    window.send(0.0)
    for number in (0, 2, 10**9):
        with pytest.raises(Refused, match=f"frame {number} was never sent"):
            window.acknowledge(number, 1.0)
    window.acknowledge(1, 1.0)
    window.acknowledge(1, 2.0)  # twice is harmless


def test_a_quick_client_is_within_its_quota_and_a_flood_is_not():
    quota = Quota(0.0)
    assert all(quota.message(n / 150) for n in range(3000))
    quota = Quota(0.0)
    within = [quota.message(n / 2000) for n in range(3000)]
    assert all(within[:600])
    assert not all(within)


def test_twenty_refusals_in_ten_seconds_are_too_many():
    quota = Quota(0.0)
    assert [quota.refusal(n * 0.1) for n in range(20)] == [True] * 19 + [False]
    patient = Quota(0.0)
    assert all(patient.refusal(n * 0.6) for n in range(100))
