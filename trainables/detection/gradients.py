"""Per-image gradients of SSD's heads, exact or as a seeded sketch.

SSD has no single linear layer: level l has two 3x3 convolutions on its own feature map, one for the
classes and one for the boxes. The gradient of one image's loss with respect to the weights of a
convolution is a sum over positions p of outer products,

    G = sum_p  P_p (x) [U_p, 1],

with P_p the loss gradient at the outputs of position p and U_p the 3x3 patch of the input around
it (the 1 stands for the bias). The two heads of a level see the same patches, so they are treated
as one convolution whose outputs are those of both, and the gradients of all levels are
concatenated. For SSD300 and COCO that vector has 11 million entries per image, so it is not built:
it is sketched to d entries whose inner products estimate those of the gradients. What makes this
cheap is hard negative mining: P_p is zero but for a few hundred of the 1,940 positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trainables.detection.boxes import Targets
from trainables.detection.loss import image_losses
from trainables.detection.models import SSD
from tune_select.selection.heads.sketch import OuterProductSketch


@dataclass(frozen=True)
class LevelGradients:
    """What one level's heads saw.

    Attributes:
        inputs: float32 (B, C, G, G), the feature map.
        output_gradients: float32 (B, G^2, K), the gradients P of each image's own loss at the K
            outputs of every position: those of the class head, then those of the box head.
    """

    inputs: Tensor
    output_gradients: Tensor


def head_gradients(
    model: SSD, images: Tensor, targets: Targets, alpha: float = 1.0
) -> tuple[list[LevelGradients], Tensor]:
    """Inputs and output gradients of all heads: one forward pass, no backward pass of the body.

    Args:
        model: The model in the caller's mode; its parameters gather no gradients.
        images: (B, 3, S, S), pixels in 0..255.
        targets: The objects of the B images.
        alpha: Weight of the localisation loss.

    Returns:
        The levels, finest first, and the losses (B,), detached.
    """
    with torch.no_grad():
        maps = model.features(images)
        predicted = model.predict(maps)
    logits, offsets = (output.float().detach().requires_grad_() for output in predicted)
    with torch.enable_grad():
        losses = image_losses(logits, offsets, targets, model.default_boxes).total(alpha)
        at_logits, at_offsets = torch.autograd.grad(losses.sum(), (logits, offsets))
    levels, start = [], 0
    for level, boxes_per_cell in zip(maps, model.layout.boxes_per_cell(), strict=True):
        cells = level.shape[-2] * level.shape[-1]
        rows = slice(start, start + cells * boxes_per_cell)
        both = [part[:, rows].reshape(len(images), cells, -1) for part in (at_logits, at_offsets)]
        levels.append(LevelGradients(level.float(), torch.cat(both, dim=2)))
        start = rows.stop
    return levels, losses.detach()


def exact_gradients(levels: list[LevelGradients]) -> Tensor:
    """The gradients themselves, float32 (B, D).

    Per level (K, 9 C + 1) flattened: each output's weights in the order of
    ``Conv2d.weight[k].flatten()``, then its bias. For small models and as the sketch's oracle:
    D is 54,000 for ``ssd128_slim`` with three classes, 11 million for SSD300 on COCO.
    """
    parts = []
    for level in levels:
        patches = functional.unfold(level.inputs, 3, padding=1)
        patches = functional.pad(patches, (0, 0, 0, 1), value=1.0)
        parts.append(torch.einsum("bpk,bup->bku", level.output_gradients, patches).flatten(1))
    return torch.cat(parts, dim=1)


class HeadSketch:
    """A TensorSketch of the heads' gradients: (B, D) to (B, d) without building (B, D).

    Sketches are linear, so those of all positions and levels add up, each level with an
    ``OuterProductSketch`` of its own, before one inverse Fourier transform per image.

    For any gradients g, g' the estimate <z, z'> of <g, g'> has no bias over seeds and a variance of
    at most 11 / d times |g|^2 |g'|^2 (Avron, Nguyen and Woodruff 2014: 2 + 3^q for products of
    q = 2 factors; different levels add but 2 / d to cross terms that the bound counts with 11 / d);
    hence (Chebyshev) an error above eps |g| |g'| has a probability of at most 11 / (d eps^2).
    """

    def __init__(self, model: SSD, dim: int, seed: int = 0) -> None:
        """Draw the hashes for a model's heads.

        Args:
            model: Whose heads, for their shapes.
            dim: d, at least 2.
            seed: The seed of the hashes; a fixed seed makes the vectors of different batches
                comparable.

        Raises:
            ValueError: ``dim`` is below 2.
        """
        if dim < 2:
            raise ValueError(f"projection_dim must be at least 2, got {dim}")
        self.dim = dim
        seeds = np.random.SeedSequence(seed).generate_state(len(model.layout.grids))
        shapes = zip(model.head_inputs(), model.layout.boxes_per_cell(), seeds, strict=True)
        self._levels = [
            OuterProductSketch(
                boxes * (model.class_count + 4), 9 * channels + 1, dim, int(level_seed)
            )
            for channels, boxes, level_seed in shapes
        ]

    def __call__(self, levels: list[LevelGradients]) -> Tensor:
        """Sketch the gradients of B images, float32 (B, d)."""
        batch, device = levels[0].inputs.shape[0], levels[0].inputs.device
        total = torch.zeros(batch, self.dim // 2 + 1, 2, device=device)
        for level, sketch in zip(levels, self._levels, strict=True):
            image, cell = torch.nonzero(level.output_gradients.any(dim=2), as_tuple=True)
            patches = _patches(level.inputs, image, cell)
            spectrum = sketch.spectrum(level.output_gradients[image, cell], patches)
            # As a product with 0/1 instead of index_add, which on a GPU adds in any order.
            owner = functional.one_hot(image, batch).to(total.dtype).T
            total += (owner @ torch.view_as_real(spectrum).flatten(1)).view_as(total)
        return self._levels[0].inverse(torch.view_as_complex(total))


def _patches(maps: Tensor, image: Tensor, cell: Tensor) -> Tensor:
    """The 3x3 patches around given cells, each followed by a 1 for the bias, (A, 9 C + 1)."""
    width = maps.shape[3]
    padded = functional.pad(maps, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    row, column = torch.div(cell, width, rounding_mode="floor"), cell % width
    shift = torch.arange(3, device=maps.device)
    rows = (row[:, None, None] + shift[None, :, None]).expand(-1, 3, 3)
    columns = (column[:, None, None] + shift[None, None, :]).expand(-1, 3, 3)
    patches = padded[image[:, None, None], rows, columns].flatten(1)
    return functional.pad(patches, (0, 1), value=1.0)
