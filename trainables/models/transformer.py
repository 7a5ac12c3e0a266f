"""Small Transformers for text: one that predicts the next token, one that classifies a text."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Self-attention and a feed-forward layer, each normalised first and added to its input.

    Args:
        width: Size of each position's vector.
        heads: Attention heads; must divide ``width``.
        feedforward: Width of the hidden layer.
        dropout: Share of values dropped in training.
    """

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"heads must divide width, got width {width} and heads {heads}")
        self._heads = heads
        self._dropout = dropout
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_output = nn.Linear(width, width)
        self.feedforward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, feedforward),
            nn.GELU(),
            nn.Linear(feedforward, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor, mask: Tensor | None, *, causal: bool) -> Tensor:
        """(B, T, width) from the same; ``mask`` bool (B, 1, 1, T) says which positions to see."""
        batch, length, width = x.shape
        parts = self.query_key_value(self.attention_norm(x))
        parts = parts.view(batch, length, 3, self._heads, width // self._heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        dropout = self._dropout if self.training else 0.0
        seen = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=dropout, is_causal=causal
        )
        seen = self.attention_output(seen.transpose(1, 2).flatten(2))
        x = x + functional.dropout(seen, self._dropout, self.training)
        result: Tensor = x + self.feedforward(x)
        return result


class _Body(nn.Module):
    """Embedded tokens and positions through a stack of blocks."""

    def __init__(
        self, vocabulary: int, length: int, width: int, heads: int, layers: int,
        feedforward: int, dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.empty(length, width))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(width, heads, feedforward, dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.positions, std=0.02)

    def forward(self, tokens: Tensor, mask: Tensor | None, *, causal: bool) -> Tensor:
        x = self.dropout(self.tokens(tokens) + self.positions[: tokens.shape[1]])
        for block in self.blocks:
            x = block(x, mask, causal=causal)
        result: Tensor = self.norm(x)
        return result


class TransformerLM(nn.Module):
    """Predicts each next token from those before it.

    The default sizes are those of PyTorch's word-level example on WikiText-2, which Zhang et al.
    train: 200 wide, 2 layers of 2 heads, dropout 0.2. Input and output embeddings are not tied, so
    that the head's gradient is the whole gradient of its weights.

    Args:
        vocabulary_size: Tokens, C.
        sequence_length: Longest input, T.
        width: Size of each position's vector, D.
        heads: Attention heads.
        layers: Blocks.
        feedforward: Width of each block's hidden layer.
        dropout: Share of values dropped in training.
    """

    def __init__(
        self,
        vocabulary_size: int,
        sequence_length: int,
        width: int = 200,
        heads: int = 2,
        layers: int = 2,
        feedforward: int = 200,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.body = _Body(
            vocabulary_size, sequence_length, width, heads, layers, feedforward, dropout
        )
        self.head = nn.Linear(width, vocabulary_size)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, T, C) of the tokens that follow tokens (B, T)."""
        logits: Tensor = self.head(self.body(tokens, None, causal=True))
        return logits


class TextTransformer(nn.Module):
    """Classifies a text by the mean of its positions' vectors.

    Args:
        vocabulary_size: Different words.
        num_classes: Outputs.
        max_length: Longest text, in words.
        width: Size of each position's vector.
        heads: Attention heads.
        layers: Blocks.
        feedforward: Width of each block's hidden layer.
        dropout: Share of values dropped in training.
    """

    def __init__(
        self,
        vocabulary_size: int,
        num_classes: int,
        max_length: int,
        width: int = 64,
        heads: int = 2,
        layers: int = 2,
        feedforward: int = 128,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.body = _Body(vocabulary_size, max_length, width, heads, layers, feedforward, dropout)
        self.head = nn.Linear(width, num_classes)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Logits (B, classes) of tokens (B, T), of which ``mask`` bool (B, T) marks the words."""
        seen = self.body(tokens, mask[:, None, None, :], causal=False)
        shares = mask / mask.sum(1, keepdim=True).clamp_min(1)
        logits: Tensor = self.head((seen * shares.unsqueeze(2)).sum(1))
        return logits
