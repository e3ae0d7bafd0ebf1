"""The standard transformer: an encoder over image tokens, a decoder with one query per joint (Vaswani et al., 2017)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

# How the weights of a layer's branches' last linear layers are named.
_LAST_OF_BRANCH = (".to_output.weight", ".feed_forward.3.weight")


class Attention(nn.Module):
    """Multi-head attention.

    Args:
        width: Channels of queries, keys and values.
        num_heads: Divides ``width``.
        dropout: Of the attention weights.
    """

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.to_query = nn.Linear(width, width)
        self.to_key_value = nn.Linear(width, 2 * width)
        self.to_output = nn.Linear(width, width)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """What ``queries`` (S, Q, C) find among ``tokens`` (S, T, C): (S, Q, C)."""
        query = self.to_query(queries).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        key, value = self.to_key_value(tokens).unflatten(-1, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        found = _attend(query, key, value, self.dropout if self.training else 0.0)
        return self.to_output(found.transpose(1, 2).flatten(2))


def _attend(query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
    """Scaled dot-product attention; on a CPU never in bfloat16, where it was measured to take twice the time."""
    if query.device.type != "cpu" or query.dtype != torch.bfloat16:
        return functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
    with torch.autocast("cpu", enabled=False):
        return functional.scaled_dot_product_attention(query.float(), key.float(), value.float(), dropout_p=dropout)


class Residual(nn.Module):
    """x + branch(x) with dropout of the branch, and layer normalisation before the branch or after the sum."""

    def __init__(self, width: int, dropout: float, norm_first: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.norm_first = norm_first

    def forward(self, x: Tensor, branch: Callable[[Tensor], Tensor]) -> Tensor:
        """Add the branch to x (..., C)."""
        if self.norm_first:
            return x + self.dropout(branch(self.norm(x)))
        return self.norm(x + self.dropout(branch(x)))


def _feed_forward(width: int, hidden: int, dropout: float) -> nn.Module:
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout), nn.Linear(hidden, width))


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward network; arguments as ``Transformer``."""

    def __init__(self, width: int, num_heads: int, feedforward: int, dropout: float, norm_first: bool) -> None:
        super().__init__()
        self.attention = Attention(width, num_heads, dropout)
        self.feed_forward = _feed_forward(width, feedforward, dropout)
        self.after_attention = Residual(width, dropout, norm_first)
        self.after_feed_forward = Residual(width, dropout, norm_first)

    def forward(self, tokens: Tensor) -> Tensor:
        """(S, T, C) to the same."""
        tokens = self.after_attention(tokens, lambda x: self.attention(x, x))
        return self.after_feed_forward(tokens, self.feed_forward)


class DecoderLayer(nn.Module):
    """Self-attention of the queries, attention to the tokens, feed-forward network; arguments as ``Transformer``.

    Without tokens there is no attention to them, and no weights for it.
    """

    def __init__(
        self, width: int, num_heads: int, feedforward: int, dropout: float, norm_first: bool, tokens: bool = True
    ) -> None:
        super().__init__()
        self.attention = Attention(width, num_heads, dropout)
        self.cross_attention = Attention(width, num_heads, dropout) if tokens else None
        self.feed_forward = _feed_forward(width, feedforward, dropout)
        self.after_attention = Residual(width, dropout, norm_first)
        self.after_cross_attention = Residual(width, dropout, norm_first) if tokens else None
        self.after_feed_forward = Residual(width, dropout, norm_first)

    def forward(self, queries: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Queries (S, Q, C) and tokens (S, T, C) to (S, Q, C)."""
        queries = self.after_attention(queries, lambda x: self.attention(x, x))
        cross_attention = self.cross_attention
        if cross_attention is not None and self.after_cross_attention is not None:
            queries = self.after_cross_attention(queries, lambda x: cross_attention(x, tokens))
        return self.after_feed_forward(queries, self.feed_forward)


class Transformer(nn.Module):
    """Encoder and decoder; the paper gives no sizes, the defaults are DETR's at the paper's 384 channels.

    Args:
        width: Channels of tokens and queries.
        num_heads: Divides ``width``.
        num_encoder_layers: 0 or more.
        num_decoder_layers: 1 or more.
        feedforward: Hidden channels of the feed-forward networks.
        dropout: Of attention weights and branches.
        norm_first: Normalise before each branch (needs no warm-up) instead of after (DETR's default); the decoder then
            starts as the identity but for biases.
        checkpointing: Recompute each layer in the backward pass instead of keeping its activations: less memory, about
            a third more time, the same gradients.
        bfloat16: Run in bfloat16 autocast, but for attention itself on CPUs; measured on a CPU with such instructions,
            training was 2.2 times as fast.
        tokens: Whether there are tokens; without, ``num_encoder_layers`` must be 0.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(
        self,
        width: int = 384,
        num_heads: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        feedforward: int = 2048,
        dropout: float = 0.1,
        norm_first: bool = False,
        checkpointing: bool = False,
        bfloat16: bool = False,
        tokens: bool = True,
    ) -> None:
        super().__init__()
        if num_encoder_layers and not tokens:
            raise ValueError(
                f"num_encoder_layers is {num_encoder_layers}, but there are no image tokens to encode: give 0, or give "
                "the network a backbone and a neck"
            )
        if min(width, num_heads) < 1 or width % num_heads:
            raise ValueError(f"width {width} must be a positive multiple of num_heads, {num_heads}")
        if num_encoder_layers < 0 or num_decoder_layers < 1:
            raise ValueError(
                f"num_encoder_layers {num_encoder_layers} and num_decoder_layers {num_decoder_layers}: expected "
                "at least 0 and 1"
            )
        self.width = width
        self.checkpointing = checkpointing
        self.in_bfloat16 = bfloat16
        sizes = (width, num_heads, feedforward, dropout, norm_first)
        self.encoder = nn.ModuleList(EncoderLayer(*sizes) for _ in range(num_encoder_layers))
        self.decoder = nn.ModuleList(DecoderLayer(*sizes, tokens=tokens) for _ in range(num_decoder_layers))
        # With norm_first the sums come out unnormalised; otherwise the last layer ends with a normalisation.
        self.encoder_norm = nn.LayerNorm(width) if norm_first and num_encoder_layers else nn.Identity()
        self.decoder_norm = nn.LayerNorm(width) if norm_first else nn.Identity()
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        if norm_first:
            self._silence_decoder()

    def _silence_decoder(self) -> None:
        """Let every branch of the decoder start as its bias, so that the queries pass through untrained layers.

        With Xavier's weights the branches drown what the queries know: measured on the tiny config, 200 steps then
        lowered the training error by 4 % instead of 13 %.
        """
        for name, parameter in self.decoder.named_parameters():
            if name.endswith(_LAST_OF_BRANCH):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor | None, queries: Tensor) -> Tensor:
        """Decode queries (S, Q, C) against tokens (S, T, C), positions already added, or none: (S, Q, C)."""
        if not self.in_bfloat16:
            return self._decode(tokens, queries)
        with torch.autocast(queries.device.type, torch.bfloat16):
            return self._decode(tokens, queries).float()

    def _decode(self, tokens: Tensor | None, queries: Tensor) -> Tensor:
        if tokens is not None:
            for layer in self.encoder:
                tokens = self._run(layer, tokens)
            tokens = self.encoder_norm(tokens)
        for layer in self.decoder:
            queries = self._run(layer, queries, tokens)
        return self.decoder_norm(queries)

    def _run(self, layer: nn.Module, *inputs: Tensor | None) -> Tensor:
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(layer, *inputs, use_reentrant=False)
        return layer(*inputs)
