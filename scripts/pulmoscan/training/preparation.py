"""The stages of a training made ready, one after the other, on the layers that they share."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pulmoscan.config.stages import Stage
from pulmoscan.inputs.batches import Batches, Features, Pixels
from pulmoscan.networks import cut
from pulmoscan.networks.build import Network
from pulmoscan.training import examples, loop
from pulmoscan.training.examples import Examples
from pulmoscan.training.record import StageRecord


@dataclass
class Preparation:
    """What the stages of a training are made from.

    Attributes:
        network: the whole network; each stage freezes other layers of it.
        planned: the settings of each stage.
        sources: what each stage trains on: pixels, or cached features of the layers it freezes.
        examples: the images of the sampling.
        batch_size: images in a batch.
        seed: of the order of training images and of their augmentation.
        augment: how training images are augmented, None where they are not.
        jit_compile: whether models are compiled with XLA.
        records: what was found out of each stage that is ready.
    """

    network: Network
    planned: Sequence[Stage]
    sources: Sequence[Pixels | Features]
    examples: Examples
    batch_size: int
    seed: int
    augment: Mapping | None
    jit_compile: bool
    records: list[StageRecord] = field(default_factory=list)

    def ready(self, index: int) -> loop.PreparedStage:
        """Return a stage, counted from 0, in the state in which the stages before left the network.

        Raises ``ValueError`` where its features are not the outputs of what it freezes.
        """
        stage, source = self.planned[index], self.sources[index]
        cut.freeze(self.network, stage.unfreeze)
        frozen, trained = cut.cut(self.network)
        cached = isinstance(source, Features)
        if cached:
            source.check(cut.crossing(frozen))
        model = trained if cached else cut.joined(self.network, frozen, trained)
        loop.compile_model(model, stage.learning_rate, self.jit_compile)
        self.records.append(StageRecord.of(self.network, cached))
        train, validation = (self.examples.select(split) for split in ("train", "validation"))
        return loop.PreparedStage(
            model,
            trained,
            lambda epoch: train.batches(
                source, self.batch_size, seed=self.seed, augment=self.augment, epoch=epoch
            ),
            validation.batches(source, self.batch_size),
        )

    def predicted(self) -> Batches:
        """Return the validation and test images, as the last stage takes them."""
        return self.examples.select("validation", "test").batches(self.sources[-1], self.batch_size)

    @property
    def rows_read(self) -> np.ndarray:
        """The rows of the packed arrays that any stage reads: all, or none."""
        on_pixels = any(isinstance(source, Pixels) for source in self.sources)
        return self.examples.rows if on_pixels else self.examples.rows[:0]


def sources(
    arguments: argparse.Namespace,
    planned: Sequence[Stage],
    cached: Sequence[bool],
    images: Examples,
) -> list[Pixels | Features]:
    """Return what each stage trains on, from the files that the `options` of a script name."""
    pixels = None if all(cached) else examples.pixels(arguments, images.rows)
    return [
        Features.open(arguments.features[stage.unfreeze]) if there else pixels
        for stage, there in zip(planned, cached, strict=True)
    ]
