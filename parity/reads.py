"""The order in which the original sometimes read and wrote within one update."""

from typing import Any

from mopo_tf2.algorithms.sac import SAC, follow


def update_reading_the_new_temperature(
    self: SAC, batch: Any, noise: Any, next_noise: Any, tau: Any
) -> None:
    """Do what ``SAC.update`` does, but step the temperature before the others read it.

    The original states no order within its one ``session.run``; in some of its runs both the
    critics' target and the policy's loss saw the temperature that the same call had just written.
    The port reads everything on entry (Q-40). In place of ``SAC.update`` this shows what the
    difference is, in a replay and over populations.
    """
    for names in (("temperature",), ("policy", "critics")):
        _, gradients = self.losses_and_gradients(batch, noise, next_noise)
        for name in names:
            pairs = zip(gradients[name], self._trained[name], strict=True)
            self.optimizers[name].apply_gradients(pairs)
    follow(self.critics, self.target_critics, tau)
