"""UNet and DiT as a torch user writes them, from the equations; modules are named as ours, so that weights copy by name."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Embedding(nn.Module):
    """The embedding of the time."""

    def __init__(self, width: int):
        super().__init__()
        self.time_0, self.time_1 = nn.Linear(64, width), nn.Linear(width, width)
        frequencies = torch.logspace(math.log10(0.5), math.log10(16.0), 32)
        self.register_buffer("frequencies", math.pi * frequencies, persistent=False)

    def forward(self, t):
        """[batch, width]."""
        angles = t[:, None] * self.frequencies
        return self.time_1(F.silu(self.time_0(torch.cat([torch.cos(angles), torch.sin(angles)], -1))))


class SelfAttention(nn.Module):
    """Attention over tokens."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, h):
        """[batch, n, width]."""
        batch, n, width = h.shape
        query, key, value = self.qkv(h).view(batch, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(batch, n, width))


class Modulation(nn.Module):
    """Shifts, scales and gates."""

    def __init__(self, count: int, width: int):
        super().__init__()
        self.count, self.dense = count, nn.Linear(width, count * width)

    def forward(self, e):
        """`count` arrays [batch, 1, width]."""
        return self.dense(F.silu(e))[:, None].chunk(self.count, -1)


def modulated(h, shift, scale):
    """Norm without weights, then scale and shift."""
    return F.layer_norm(h, h.shape[-1:], eps=1e-6) * (1 + scale) + shift


class TransformerBlock(nn.Module):
    """A block of the DiT."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.modulation, self.attention = Modulation(6, width), SelfAttention(width, heads)
        self.mlp_0, self.mlp_1 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, h, e):
        """[batch, n, width]."""
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = self.modulation(e)
        h = h + gate_1 * self.attention(modulated(h, shift_1, scale_1))
        update = F.gelu(self.mlp_0(modulated(h, shift_2, scale_2)), approximate="tanh")
        return h + gate_2 * self.mlp_1(update)


class DiT(nn.Module):
    """`networks.dit` without xi."""

    def __init__(self, shape, patch: int, width: int, depth: int, heads: int):
        super().__init__()
        height, breadth, channels = shape
        self.patch, self.rows, self.columns = patch, height // patch, breadth // patch
        self.patches = nn.Linear(patch * patch * channels, width)
        self.embedding, self.modulation = Embedding(width), Modulation(2, width)
        self.out = nn.Linear(width, patch * patch * channels)
        for i in range(depth):
            self.add_module(f"block_{i}", TransformerBlock(width, heads))
        self.depth = depth
        omega = 1e-4 ** (torch.arange(width // 4) / (width // 4))
        row = torch.arange(self.rows).repeat_interleave(self.columns)[:, None] * omega
        column = torch.arange(self.columns).repeat(self.rows)[:, None] * omega
        table = torch.cat([row.sin(), row.cos(), column.sin(), column.cos()], 1)
        self.register_buffer("positions", table, persistent=False)

    def forward(self, x_t, t):
        """NHWC in and out."""
        batch, height, breadth, channels = x_t.shape
        grid = (batch, self.rows, self.patch, self.columns, self.patch, channels)
        tokens = x_t.view(grid).transpose(2, 3).reshape(batch, self.rows * self.columns, -1)
        h, e = self.patches(tokens) + self.positions, self.embedding(t)
        for i in range(self.depth):
            h = getattr(self, f"block_{i}")(h, e)
        out = self.out(modulated(h, *self.modulation(e)))
        out = out.view(batch, self.rows, self.columns, self.patch, self.patch, channels).transpose(2, 3)
        return out.reshape(batch, height, breadth, channels)


class ConvolutionalBlock(nn.Module):
    """A block of the UNet, NCHW."""

    def __init__(self, before: int, width: int, embedding: int, heads: int):
        super().__init__()
        self.modulation = nn.Linear(embedding, 2 * width)
        self.GroupNorm_0 = nn.GroupNorm(math.gcd(before // 4, 32), before, eps=1e-6)
        self.GroupNorm_1 = nn.GroupNorm(math.gcd(width // 4, 32), width, eps=1e-6)
        self.conv_0, self.conv_1 = nn.Conv2d(before, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.skip = nn.Conv2d(before, width, 1) if before != width else nn.Identity()
        if heads:
            self.GroupNorm_2 = nn.GroupNorm(math.gcd(width // 4, 32), width, eps=1e-6)
            self.attention = SelfAttention(width, heads)
        self.heads = heads

    def forward(self, h, e):
        """[batch, width, height, width]."""
        scale, shift = self.modulation(F.silu(e))[:, :, None, None].chunk(2, 1)
        update = self.GroupNorm_1(self.conv_0(F.silu(self.GroupNorm_0(h)))) * (1 + scale) + shift
        h = self.skip(h) + self.conv_1(F.silu(update))
        if self.heads:
            tokens = self.GroupNorm_2(h).flatten(2).transpose(1, 2)
            h = h + self.attention(tokens).transpose(1, 2).view(h.shape)
        return h


class UNet(nn.Module):
    """`networks.unet` without xi."""

    def __init__(self, shape, widths, blocks: int, attention, heads: int):
        super().__init__()
        height, _, channels = shape
        self.widths, self.blocks = widths, blocks
        self.embedding = Embedding(4 * widths[0])
        setattr(self, "in", nn.Conv2d(channels, widths[0], 3, padding=1))
        down = [(level, width) for level, width in enumerate(widths) for _ in range(blocks)]
        before, self.count = widths[0], 0
        for level, width in [*down, (len(widths) - 1, widths[-1]), *reversed(down)]:
            wide = before + (width if self.count > len(down) else 0)
            block = ConvolutionalBlock(wide, width, 4 * widths[0], heads if height >> level in attention else 0)
            self.add_module(f"block_{self.count}", block)
            before, self.count = width, self.count + 1
        self.GroupNorm_0 = nn.GroupNorm(math.gcd(before // 4, 32), before, eps=1e-6)
        self.out = nn.Conv2d(before, channels, 3, padding=1)

    def forward(self, x_t, t):
        """NHWC in and out."""
        blocks = iter([getattr(self, f"block_{i}") for i in range(self.count)])
        e, skips = self.embedding(t), []
        h = getattr(self, "in")(x_t.permute(0, 3, 1, 2))
        for level in range(len(self.widths)):
            h = F.avg_pool2d(h, 2) if level else h
            for _ in range(self.blocks):
                h = next(blocks)(h, e)
                skips.append(h)
        h = next(blocks)(h, e)
        for level in reversed(range(len(self.widths))):
            for _ in range(self.blocks):
                h = next(blocks)(torch.cat([h, skips.pop()], 1), e)
            h = F.interpolate(h, scale_factor=2.0) if level else h
        return self.out(F.silu(self.GroupNorm_0(h))).permute(0, 2, 3, 1)


def copied(module: nn.Module, params: dict) -> nn.Module:
    """The module with the weights of our network, by name; all of them, and no others."""
    state = module.state_dict()

    def walk(tree: dict, path: str) -> None:
        for name, leaf in tree.items():
            if isinstance(leaf, dict):
                walk(leaf, f"{path}{name}.")
                continue
            leaf = np.asarray(leaf)
            leaf = leaf.transpose(3, 2, 0, 1) if leaf.ndim == 4 else leaf.T
            key = path + ("bias" if name == "bias" else "weight")
            loaded[key] = torch.tensor(leaf.copy()).reshape(state[key].shape)

    loaded = {}
    walk(params["params"], "")
    module.load_state_dict(loaded, strict=True)
    return module
