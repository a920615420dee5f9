# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hostile clients, of one user and of many, beside some who measure their own calls."""

import os
import subprocess
import sys

import pytest

import arena as a

FIRST = 5000
SECONDS = 1.0

# (attack, users): how many users do it at once, on the read-only socket; 0 are those who may change something.
ATTACKS = [("long_frames", 1), ("long_frames", 20), ("half_frames", 4), ("slow_readers", 1), ("slow_readers", 60),
           ("calls", 1), ("small_calls", 1), ("capabilities", 1), ("capabilities", 20), ("connections", 4),
           ("crowds", 20), ("lies", 4), ("subscriptions", 4), ("xml", 0), ("streams", 0)]

# With so many, all of them together, another user without rights may have to wait (docs/security.md).
MANY = 20
TRUSTED = ("xml", "streams")


def neighbours(users):
    return ("clock", "admin", "listener") if users >= MANY else ("clock", "admin", "reader", "listener")


def begin(arena, attack, users, first=FIRST):
    return subprocess.Popen(
        [sys.executable, "-B", os.path.join(a.HERE, "hostile_client.py"), attack, arena.socket, str(SECONDS),
         str(first if users else 0), str(users or 1)], stdout=subprocess.PIPE, text=True)


def finish(attacker):
    """How many of its connections were accepted."""
    out = attacker.communicate(timeout=60)[0]
    assert attacker.returncode == 0, out
    return int(out.split()[0])


# First, for what trusted clients ask for, without a bound, stays with the process for a while.
def test_all_at_once(arena):
    if not arena.is_root:
        pytest.skip("needs root, to be other users")
    with arena.neighbours(neighbours(MANY)):
        attackers = [begin(arena, attack, min(users, 2), FIRST + 100 * i)
                     for i, (attack, users) in enumerate(ATTACKS) if attack not in TRUSTED]
        # some take all the places there are, and others find none
        assert sum([finish(attacker) for attacker in attackers]) > MANY
    arena.settle()


@pytest.mark.parametrize("attack, users", ATTACKS)
def test_beside(arena, attack, users):
    if users and not arena.is_root:
        pytest.skip("needs root, to be other users")
    with arena.neighbours(neighbours(users), has_trusted=attack in TRUSTED):
        assert finish(begin(arena, attack, users))
    arena.settle()


def test_ends_well(arena):
    arena.settle_descriptors()
    arena.stop()
    assert not arena.left()
