"""Multi-layer perceptrons for tables."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class MLP(nn.Module):
    """Linear layers with ReLU between them; the last one is the head.

    Args:
        num_features: Columns of the table, d.
        hidden: Width of each hidden layer; none makes a linear model.
        dropout: Share of hidden values dropped in training.
    """

    def __init__(
        self, num_features: int, hidden: Sequence[int] = (64, 64), dropout: float = 0.0
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in hidden:
            layers += [nn.Linear(num_features, width), nn.ReLU(), nn.Dropout(dropout)]
            num_features = width
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(num_features, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Predictions (B, 1) of features (B, d)."""
        predictions: Tensor = self.head(self.body(features))
        return predictions


def linear(num_features: int) -> MLP:
    """Least squares by gradient descent: no hidden layer."""
    return MLP(num_features, ())
