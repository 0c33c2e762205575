"""How far apart two colours look, to eyes with all cones and to those without one kind: simulated, in CIELAB."""

import numpy as np

# linear RGB -> linear RGB at full severity; Machado, Oliveira and Fernandes 2009, table 1
SIGHT = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])  # D65


def linear(colors):
    """Hex -> linear RGB, [colours, 3]."""
    rgb = np.array([[int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)] for color in colors])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """Linear RGB -> CIELAB."""
    xyz = rgb @ TO_XYZ.T / WHITE
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def distances(colors, sight):
    """CIE76 differences of every pair, as `sight` sees them, [colours, colours]."""
    seen = lab(np.clip(linear(colors) @ SIGHT[sight].T, 0, 1))
    return np.linalg.norm(seen[:, None] - seen[None], axis=-1)


def contrast(colors):
    """With white, by WCAG 2.1."""
    return 1.05 / (linear(colors) @ TO_XYZ[1] + 0.05)
