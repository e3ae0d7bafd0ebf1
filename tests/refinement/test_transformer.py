from __future__ import annotations

import pytest
import torch
from torch import nn

from mion_plugin.refinement.transformer import Attention, DecoderLayer, EncoderLayer, Transformer

SMALL = {"width": 16, "num_heads": 4, "num_encoder_layers": 2, "num_decoder_layers": 2, "feedforward": 32}


def copy_attention(source: Attention, target: nn.MultiheadAttention) -> None:
    with torch.no_grad():
        target.in_proj_weight.copy_(torch.cat([source.to_query.weight, source.to_key_value.weight]))
        target.in_proj_bias.copy_(torch.cat([source.to_query.bias, source.to_key_value.bias]))
    target.out_proj.load_state_dict(source.to_output.state_dict())


def copy_feed_forward(source: nn.Sequential, target: nn.Module) -> None:
    target.linear1.load_state_dict(source[0].state_dict())
    target.linear2.load_state_dict(source[3].state_dict())


def wake_up(model: Transformer) -> Transformer:
    """Give the decoder's branches, which may start at zero, random weights."""
    for parameter in model.decoder.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter, generator=torch.Generator().manual_seed(3))
    return model


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.randn(3, 10, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def queries() -> torch.Tensor:
    return torch.randn(3, 5, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("norm_first", [False, True])
class TestAgainstTorch:
    def test_encoder_layer(self, tokens, norm_first: bool) -> None:
        layer = EncoderLayer(16, 4, 32, 0.1, norm_first).eval()
        reference = nn.TransformerEncoderLayer(16, 4, 32, 0.1, batch_first=True, norm_first=norm_first).eval()
        copy_attention(layer.attention, reference.self_attn)
        copy_feed_forward(layer.feed_forward, reference)
        torch.testing.assert_close(layer(tokens), reference(tokens))

    def test_decoder_layer(self, tokens, queries, norm_first: bool) -> None:
        layer = DecoderLayer(16, 4, 32, 0.1, norm_first).eval()
        reference = nn.TransformerDecoderLayer(16, 4, 32, 0.1, batch_first=True, norm_first=norm_first).eval()
        copy_attention(layer.attention, reference.self_attn)
        copy_attention(layer.cross_attention, reference.multihead_attn)
        copy_feed_forward(layer.feed_forward, reference)
        torch.testing.assert_close(layer(queries, tokens), reference(queries, tokens))

    def test_order_of_tokens_is_free_and_rows_are_independent(self, tokens, queries, norm_first: bool) -> None:
        model = wake_up(Transformer(**SMALL, norm_first=norm_first)).eval()
        decoded = model(tokens, queries)
        assert not torch.allclose(model(tokens.flip(0), queries), decoded)  # the tokens matter
        shuffled = tokens[:, torch.randperm(10, generator=torch.Generator().manual_seed(2))]
        torch.testing.assert_close(model(shuffled, queries), decoded)
        torch.testing.assert_close(model(tokens[1:2], queries[1:2]), decoded[1:2])

    def test_output_is_normalised(self, tokens, queries, norm_first: bool) -> None:
        decoded = Transformer(**SMALL, norm_first=norm_first)(tokens, queries)
        torch.testing.assert_close(decoded.mean(-1), torch.zeros(3, 5), atol=1e-5, rtol=0)


def gradients(checkpointing: bool, tokens, queries, dropout: float) -> list[torch.Tensor]:
    torch.manual_seed(3)
    model = Transformer(**SMALL, dropout=dropout, checkpointing=checkpointing).train()
    torch.manual_seed(4)
    tokens = tokens.clone().requires_grad_()
    model(tokens, queries).square().sum().backward()
    return [tokens.grad, *(parameter.grad for parameter in model.parameters())]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_activation_checkpointing_gives_the_same_gradients(tokens, queries, dropout: float) -> None:
    for own, expected in zip(
        gradients(True, tokens, queries, dropout), gradients(False, tokens, queries, dropout), strict=True
    ):
        assert torch.equal(own, expected)


def test_activation_checkpointing_keeps_fewer_activations(tokens, queries) -> None:
    def kept(checkpointing: bool) -> int:
        sizes = []

        def pack(tensor):
            sizes.append(tensor.numel())
            return tensor

        model = Transformer(**SMALL, checkpointing=checkpointing)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(tokens, queries)
        return sum(sizes)

    assert kept(True) < kept(False) / 3


def test_dropout_acts_in_training_alone(tokens, queries) -> None:
    model = Transformer(**SMALL, dropout=0.5)
    assert not torch.equal(model(tokens, queries), model(tokens, queries))
    model.eval()
    assert torch.equal(model(tokens, queries), model(tokens, queries))


def test_without_encoder(tokens, queries) -> None:
    model = Transformer(**(SMALL | {"num_encoder_layers": 0}), norm_first=True)
    assert model(tokens, queries).shape == queries.shape


def test_defaults_are_detrs_at_384_channels() -> None:
    with torch.device("meta"):
        model = Transformer()
    assert (len(model.encoder), len(model.decoder), model.width) == (6, 6, 384)
    assert model.encoder[0].attention.num_heads == 8
    assert model.encoder[0].feed_forward[0].out_features == 2048


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="width 16 must be a positive multiple of num_heads, 3"):
        Transformer(**(SMALL | {"num_heads": 3}))
    with pytest.raises(ValueError, match=r"num_decoder_layers 0: expected at least 0 and 1"):
        Transformer(**(SMALL | {"num_decoder_layers": 0}))


def test_untrained_decoder_with_norm_first_passes_the_queries_on(tokens, queries) -> None:
    """Up to the biases of the branches, which are the same for all queries."""
    model = Transformer(**SMALL, dropout=0.0, norm_first=True)
    offset = sum(
        last.bias
        for layer in model.decoder
        for last in (layer.attention.to_output, layer.cross_attention.to_output, layer.feed_forward[-1])
    )
    torch.testing.assert_close(model(tokens, queries), nn.functional.layer_norm(queries + offset, (16,)))
    other = Transformer(**SMALL, dropout=0.0)
    assert not torch.allclose(other(tokens.flip(0), queries), other(tokens, queries))
