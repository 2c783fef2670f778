"""What a user sets of a training besides its method."""

from typing import Any, NamedTuple

from .lora import Lora
from .setting import Setting
from .training import Options


class TrainOptions(NamedTuple):
    """Options of the loop, and of the student.

    Attributes:
        layers: patterns, see `targets.choose`.
        pictures: made at every validation, of each size of the data.
    """

    run: Options
    rank: int = 64
    lora_alpha: float = 64.0
    layers: str = ""
    is_checkpointed: bool = True
    pictures: int = 4

    def described(self) -> dict[str, Any]:
        """All of them, for the checkpoint of a run."""
        every = {**self._asdict(), **self.run._asdict()}
        del every["run"]
        return every

    def setting(self, network, data, base: tuple[Lora, ...] = ()) -> Setting:
        """What a method works on with these options.

        Args:
            network: a `network.Network`.
            data: the teacher's `trajectories.Trajectories`, or `joined_data.JoinedData`.
            base: LoRAs under the student.
        """
        # what is trained on is not what it is judged by, where there is enough of it
        least = min(map(len, data.spans))
        held_out = self.pictures if least >= 4 * self.pictures else 0
        shape = {"rank": self.rank, "lora_alpha": self.lora_alpha}
        return Setting(network, data, seed=self.run.seed, held_out=held_out, base=base, **shape)
