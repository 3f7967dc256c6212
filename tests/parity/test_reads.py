"""What one order of reads and writes in the original's update explains."""

from mopo_tf2.algorithms.sac import SAC
from parity.reads import update_reading_the_new_temperature


def test_a_port_that_reads_the_new_temperature_agrees_where_the_original_did(monkeypatch, rows_of):
    monkeypatch.setattr(SAC, "update", update_reading_the_new_temperature)
    rows = rows_of("two_epochs_deterministic", "epoch 0: Adam's v")
    shares = {row.group: row.share_of_limit for row in rows if row.group.startswith("epoch 0")}
    assert len(shares) == 6
    # A tenth of the limits with the port's own reads; a thousandth here.
    assert max(shares.values()) < 0.01, shares
