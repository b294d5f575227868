from __future__ import annotations

from wirekit.protocols import postgres
from wirekit.protocols.postgres import _due
from wirekit.protocols.postgres._frontend import __all__ as MESSAGES


def test_every_answer_has_a_number_and_a_name() -> None:
    assert sorted(_due.NAMES) == list(range(len(_due.NAMES)))
    numbers = {name: value for name in _due.__all__ if type(value := getattr(_due, name)) is int}
    assert {numbers[name] for name in numbers if not name.startswith("COPY")} <= _due.NAMES.keys()
    assert {*_due.DUE.values(), *_due.ANSWERED_BY.values()} <= _due.NAMES.keys()


def test_every_message_that_is_answered_by_one_thing_is_known() -> None:
    # Describe is answered in two ways, Flush not at all, and the others belong to other moments.
    of_other_moments = {
        *("CancelRequest", "CopyData", "CopyDone", "CopyFail", "GSSENCRequest", "GSSResponse"),
        *("Message", "PasswordMessage", "SASLInitialResponse", "SASLResponse", "SSLRequest"),
        *("StartupMessage", "Terminate", "Describe", "Flush"),
    }
    known = {kind.__name__ for kind in _due.DUE}
    assert known == {*MESSAGES} - of_other_moments


def test_messages_without_a_body() -> None:
    for kind, (name, event) in _due.BARE.items():
        assert hasattr(postgres, name)
        # PortalSuspended brings rows.
        assert (event is None) == (kind == ord("s"))
        if event is not None:
            assert type(event).__name__ == name


def test_copy_directions_are_bits() -> None:
    assert _due.COPY_IN & _due.COPY_OUT == _due.COPY_BOTH & (_due.COPY_IN | _due.COPY_OUT) == 0
