"""The reference's two networks in torch, from their description alone (names and shapes of their files, and the equations)."""

import math
from itertools import pairwise

import torch
from torch import nn


class Frequencies(nn.Module):
    def __init__(self, count):
        super().__init__()
        self.freq = nn.Parameter(torch.arange(1.0, count + 1))

    def forward(self, t):
        angles = 2 * math.pi * torch.outer(t, self.freq)
        return torch.cat((angles.sin(), angles.cos()), 1)


class MLP(nn.Module):
    def __init__(self, width, time_size):
        super().__init__()
        self.tfeat = Frequencies(time_size // 2)
        sizes = [4 + time_size, width, width, width, width]
        layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.SiLU())]
        self.net = nn.Sequential(*layers, nn.Linear(width, 2))

    def forward(self, x_t, t, xi):
        return self.net(torch.cat((x_t, xi, self.tfeat(t)), 1))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, h):
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(h).chunk(3, -1))
        weights = torch.softmax(query @ key.mT / math.sqrt(query.shape[-1]), -1)
        return self.proj((weights @ value).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, h):
        return self.net(h)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.ff = Attention(width, heads), FeedForward(width)

    def forward(self, h):
        h = h + self.attn(self.norm1(h))
        return h + self.ff(self.norm2(h))


class Module(nn.Module):
    """A module that only holds `proj`."""

    def __init__(self, proj):
        super().__init__()
        self.proj = proj


class Transformer(nn.Module):
    def __init__(self, sides, patch, width, depth, heads, time_size):
        super().__init__()
        self.grid, self.patch = (sides[0] // patch, sides[1] // patch), patch
        self.patch_embed = Module(nn.Conv2d(6, width, patch, patch))
        self.pos_embed = nn.Parameter(torch.randn(1, math.prod(self.grid), width))
        self.time_mlp = nn.Sequential(nn.Linear(time_size, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.unembed = Module(nn.Linear(width, 3 * patch * patch))
        half = time_size // 2
        self.rates = torch.tensor([10_000 ** (-i / (half - 1)) for i in range(half)])

    def forward(self, x_t, t, xi):
        h = self.patch_embed.proj(torch.cat((x_t, xi), 1)).flatten(2).mT
        angles = torch.outer(t, self.rates)
        h = h + self.time_mlp(torch.cat((angles.sin(), angles.cos()), 1))[:, None] + self.pos_embed
        for block in self.blocks:
            h = block(h)
        out = self.unembed.proj(self.norm(h)).mT  # [batch, 3 patch^2, tokens], as `fold` wants them
        sides = tuple(self.patch * n for n in self.grid)
        return nn.functional.fold(out, sides, self.patch, stride=self.patch)
