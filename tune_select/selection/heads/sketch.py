"""A seeded projection of sums of outer products that keeps their inner products.

The last-layer gradient of a sequence is G_i = sum_t p_it h_it^T, a C x D matrix of rank T: it does
not factorise, and with a vocabulary of 33,000 words and 200 dimensions it has 6.6 million entries.
TensorSketch (Pham and Pagh, KDD 2013) maps it to q numbers without forming it: p and h are each
hashed into q buckets with random signs, and the circular convolution of the two, a product after
a Fourier transform, is what hashing all C D products would have given. Being linear, the map may
sum over t before it transforms back.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


class OuterProductSketch:
    """Linear map S from C x D matrices to R^q with E[S(G) . S(G')] = <G, G'>.

    The standard deviation of S(G) . S(G') over seeds is at most sqrt(11 / q) ||G|| ||G'||
    (Avron, Nguyen and Woodruff 2014, Lemma 1 and its proof, for products of degree two:
    (2 + 3^2) / q). At q = 2048 that is 7% of the product of the norms.

    Args:
        outputs: C, the length of p.
        inputs: D, the length of h (a constant 1 for the bias included).
        size: q, the length of the sketch.
        seed: Two sketches with the same seed and sizes are the same map.
    """

    def __init__(self, outputs: int, inputs: int, size: int, seed: int) -> None:
        if min(outputs, inputs, size) < 1:
            raise ValueError(
                f"outputs, inputs and size must be at least 1, got {outputs}, {inputs}, {size}"
            )
        self.size = size
        generator = torch.Generator().manual_seed(seed)
        self._hashes = [_Hash(length, size, generator) for length in (outputs, inputs)]

    def __call__(self, output_gradients: Tensor, inputs: Tensor) -> Tensor:
        """S(sum_t p_t h_t^T) for every example.

        Args:
            output_gradients: p, float (B, T, C).
            inputs: h, float (B, T, D), on the same device.

        Returns:
            float32 (B, q).
        """
        return self.inverse(self.spectrum(output_gradients, inputs).sum(1))

    def spectrum(self, output_gradients: Tensor, inputs: Tensor) -> Tensor:
        """Fourier transforms of S(p h^T) for rows p and h of any leading shape.

        Spectra, also those of different sketches of one size, may be added before ``inverse``.

        Args:
            output_gradients: p, float (..., C).
            inputs: h, float (..., D), on the same device.

        Returns:
            complex64 (..., q // 2 + 1).
        """
        if output_gradients.numel() == 0:  # torch before 2.15 refuses to transform no rows
            rows = output_gradients.shape[:-1]
            return output_gradients.new_empty(*rows, self.size // 2 + 1, dtype=torch.complex64)
        # Entry (c, d) of p h^T falls into bucket (hash(c) + hash(d)) mod q with the product of both
        # signs. Summed over all entries that is the circular convolution of the two count sketches,
        # and a convolution is a product of spectra: O(C + D + q log q) in place of C D.
        spectra = [
            torch.fft.rfft(bucketed(vectors.float()))
            for vectors, bucketed in zip((output_gradients, inputs), self._hashes, strict=True)
        ]
        product: Tensor = spectra[0] * spectra[1]
        return product

    def inverse(self, spectrum: Tensor) -> Tensor:
        """float32 (..., q) from the sum of spectra complex64 (..., q // 2 + 1)."""
        if spectrum.numel() == 0:  # see ``spectrum``
            return torch.empty(*spectrum.shape[:-1], self.size, device=spectrum.device)
        sketch: Tensor = torch.fft.irfft(spectrum, n=self.size)
        return sketch


class _Hash:
    """A random bucket and a random sign for each entry of a vector."""

    def __init__(self, length: int, size: int, generator: torch.Generator) -> None:
        self._size = size
        self._buckets = torch.randint(size, (length,), generator=generator)
        self._signs = torch.randint(2, (length,), generator=generator) * 2.0 - 1.0
        # The same as a table: row b lists the entries of bucket b, then `length`, which is empty.
        counts = torch.bincount(self._buckets, minlength=size)
        order = torch.argsort(self._buckets, stable=True)
        rank = torch.arange(length) - (counts.cumsum(0) - counts)[self._buckets[order]]
        self._members = torch.full((size, int(counts.max())), length)
        self._members[self._buckets[order], rank] = order

    def __call__(self, vectors: Tensor) -> Tensor:
        """Signed sums of each bucket's entries: (..., size) from (..., length)."""
        device = vectors.device
        if self._signs.device != device:
            self._buckets, self._signs, self._members = (
                tensor.to(device) for tensor in (self._buckets, self._signs, self._members)
            )
        signed = vectors * self._signs
        # On a GPU, adding by index sums in any order and does not repeat itself bit by bit, so
        # that a restarted seed could select other examples. Gathering costs memory, but does.
        return self._gathered(signed) if device.type == "cuda" else self._added(signed)

    def _added(self, signed: Tensor) -> Tensor:
        sums = signed.new_zeros(*signed.shape[:-1], self._size)
        return sums.index_add_(-1, self._buckets, signed)

    def _gathered(self, signed: Tensor) -> Tensor:
        padded = functional.pad(signed, (0, 1))
        gathered = padded[..., self._members.flatten()]
        return gathered.view(*signed.shape[:-1], *self._members.shape).sum(-1)


class VectorSketch:
    """The same for vectors that are at hand: a count sketch, R^P to R^q, linear.

    E[S(v) . S(v')] = v . v', with a variance of at most 2 / q ||v||^2 ||v'||^2 (Weinberger et al.
    2009, Feature Hashing).

    Args:
        length: P.
        size: q.
        seed: Two sketches with the same seed and sizes are the same map.
    """

    def __init__(self, length: int, size: int, seed: int) -> None:
        self._hash = _Hash(length, size, torch.Generator().manual_seed(seed))

    def __call__(self, vectors: Tensor) -> Tensor:
        """float32 (B, q) from (B, P)."""
        return self._hash(vectors.float())
