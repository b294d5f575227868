from __future__ import annotations

from wirekit.adapters.mqtt._packet_ids import PacketIds


def test_they_go_up_and_come_round() -> None:
    ids = PacketIds()
    assert [ids.take() for _ in range(3)] == [1, 2, 3]
    ids.release(1)
    assert ids.take() == 4  # not 1: a late acknowledgement of the first could be meant for it
    assert len(ids) == 3


def test_what_is_in_use_is_passed_over() -> None:
    ids = PacketIds()
    ids.use(1)
    ids.use(2)
    assert 2 in ids
    assert ids.take() == 3


def test_all_of_them_and_no_more() -> None:
    ids = PacketIds()
    assert [ids.take() for _ in range(65535)] == list(range(1, 65536))
    assert ids.take() is None
    ids.release(700)
    assert ids.take(spare=1) is None
    assert ids.take() == 700
