"""Which facts an edit guards."""

from __future__ import annotations

from kbsync.domain.guards import choose_guards
from tests.unit.domain.test_plan import guard


def test_about_half_of_what_the_base_has_right_is_guarded_and_a_new_fact_moves_no_other() -> None:
    all_guards = [guard(i) for i in range(400)]
    chosen = choose_guards(all_guards, 400)
    assert 160 < len(chosen) < 240
    assert choose_guards(reversed(all_guards), 400) == chosen
    assert set(choose_guards(all_guards[:300], 400)) <= set(chosen)
    assert choose_guards(all_guards, 7) == chosen[:7]
    assert choose_guards(all_guards, 0) == ()
