"""Text encoders of the ``transformers`` library: a local folder, or a fresh small configuration."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

BERT_SIZES = {
    "bert_tiny": (128, 2, 2),
    "bert_mini": (256, 4, 4),
    "bert_small": (512, 4, 8),
    "bert_base": (768, 12, 12),
}
"""Hidden width, layers and attention heads of the sizes of Turc et al. 2019."""


class EncoderClassifier(nn.Module):
    """An encoder, and a linear layer over the vector of its first position ([CLS] in BERT)."""

    def __init__(self, encoder: nn.Module, num_classes: int, dropout: float = 0.1) -> None:
        super().__init__()
        config: Any = encoder.config
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(config.hidden_size, num_classes)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Logits (B, classes) of tokens (B, T), of which ``mask`` bool (B, T) marks the words."""
        states = self.encoder(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        logits: Tensor = self.head(self.dropout(states[:, 0]))
        return logits


def require_transformers() -> Any:
    """The ``transformers`` module.

    Raises:
        ModuleNotFoundError: It is not installed; the message says how to, and what needs it.
    """
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"BERT-like encoders need the transformers package ({error.name} is not installed): "
            "pip install 'tune-select[text]', or use model: text_transformer, which needs neither"
        ) from error
    return transformers


def fresh_bert(
    name: str, vocabulary_size: int, num_classes: int, max_length: int, **settings: Any
) -> EncoderClassifier:
    """A BERT of a customary size with random weights; nothing is downloaded.

    Args:
        name: One of ``BERT_SIZES``.
        vocabulary_size: Different words, padding as word 0.
        num_classes: Outputs.
        max_length: Longest text, in words.
        settings: Further keywords of ``transformers.BertConfig``.
    """
    transformers = require_transformers()
    known = transformers.BertConfig().to_dict()
    unknown = sorted(set(settings) - set(known))
    if unknown:  # the library would take them in silence
        raise ValueError(f"model_settings {unknown} are no settings of transformers.BertConfig")
    width, layers, heads = BERT_SIZES[name]
    config = transformers.BertConfig(
        **{
            "vocab_size": vocabulary_size,
            "max_position_embeddings": max_length,
            "hidden_size": width,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "intermediate_size": 4 * width,
            "pad_token_id": 0,
            **settings,
        }
    )
    encoder = transformers.BertModel(config, add_pooling_layer=False)
    return EncoderClassifier(encoder, num_classes, config.hidden_dropout_prob)


bert_tiny = partial(fresh_bert, "bert_tiny")
bert_mini = partial(fresh_bert, "bert_mini")
bert_small = partial(fresh_bert, "bert_small")
bert_base = partial(fresh_bert, "bert_base")


def pretrained_encoder(folder: Path, num_classes: int) -> tuple[EncoderClassifier, Any]:
    """An encoder and its tokenizer from a local folder, as ``save_pretrained`` wrote them.

    Weights are read from safetensors alone, never from a pickle, and no code from the folder runs.

    Raises:
        ValueError: The folder does not hold an encoder with safetensors weights and a tokenizer.
    """
    transformers = require_transformers()
    try:
        encoder = transformers.AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise ValueError(
            f"model {str(folder)!r} cannot be loaded: {error}. The folder must hold config.json, "
            "model.safetensors and a tokenizer, as save_pretrained writes them"
        ) from error
    return EncoderClassifier(encoder, num_classes), tokenizer
