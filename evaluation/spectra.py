"""How many directions an update of weights has: its effective and its stable rank."""

import torch

from models.seeds import stream

EXACT = 1024  # up to this smaller side all singular values are computed
EXACT_STARTS, RANDOM_STARTS, STEPS = 64, 16, 48  # beyond it

Ranks = tuple[float, float]


def ranks(matrix: torch.Tensor, name: str = "") -> Ranks | None:
    """(effective rank, stable rank) of a matrix; None where it is 0.

    Effective: exp of the entropy of the singular values over their sum (Roy and Vetterli 2007). Stable: the squared
    Frobenius norm over the squared largest singular value. Up to a smaller side of EXACT from the eigenvalues of the
    Gram matrix in float64, beyond it estimated within some percent by `estimated`; `name` seeds its random vectors.
    """
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    square = float(torch.linalg.vector_norm(tall.double()) ** 2)
    if not square:
        return None
    if tall.shape[1] > EXACT:
        return estimated(tall, square, name)
    values = torch.linalg.eigvalsh(tall.double().T @ tall.double()).clamp(min=0).sqrt()
    share = values[values > 0] / values.sum()
    return float(torch.exp(-(share * share.log()).sum())), square / float(values.max()) ** 2


def estimated(tall: torch.Tensor, square: float, name: str) -> Ranks:
    """The same for [m, n], m >= n, by stochastic Lanczos quadrature of the sums of s and of s log s over singular
    values s (Ubaru, Chen and Saad 2017): exactly on a random subspace near the leading ones, and with random vectors on
    the rest, as Hutch++ (Meyer et al. 2021)."""
    scaled = tall.double() / square**0.5
    random = torch.Generator().manual_seed(stream(0, "spectra", name))
    leading = min(EXACT_STARTS, scaled.shape[1] // 2)
    count = leading + RANDOM_STARTS
    drawn = (torch.randint(0, 2, (scaled.shape[1], count), generator=random) * 2.0 - 1).to(scaled)
    lead = torch.linalg.qr(scaled.T @ (scaled @ drawn[:, :leading]))[0]
    rest = drawn[:, leading:]
    rest = rest - lead @ (lead.T @ rest)
    sizes = torch.linalg.vector_norm(rest, dim=0)
    starts = torch.cat([lead, rest / sizes.clamp(min=1e-300)], 1)
    weights = torch.cat([sizes.new_ones(leading), sizes**2 / RANDOM_STARTS])
    nodes, shares = _quadrature(scaled, starts)
    values = nodes.clamp(min=0).sqrt()
    total = float((weights[:, None] * shares * values).sum())
    weighted = float((weights[:, None] * shares * torch.special.xlogy(values, values)).sum())
    effective = total * float(torch.exp(torch.tensor(-weighted / total, dtype=torch.float64)))
    return effective, 1 / float(values.max()) ** 2


def _quadrature(matrix: torch.Tensor, starts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of A = M'M and unit vectors v [n, p]: nodes and weights [p, steps] whose sums are v' f(A) v (Golub and Meurant).

    Lanczos with full reorthogonalisation; a start that lies in an invariant subspace ends early, with weights of 0.
    """
    steps = min(STEPS, matrix.shape[1])
    basis = starts.new_zeros((steps, *starts.shape))
    diagonal, beside = (starts.new_zeros((starts.shape[1], steps)) for _ in range(2))
    basis[0] = starts
    for step in range(steps):
        found = matrix.T @ (matrix @ basis[step])
        diagonal[:, step] = (found * basis[step]).sum(0)
        for _ in range(2):
            found = found - torch.einsum("jnp,jp->np", basis, torch.einsum("jnp,np->jp", basis, found))
        size = torch.linalg.vector_norm(found, dim=0)
        if step + 1 < steps:
            goes_on = size > 1e-12 * diagonal.max()
            beside[:, step] = torch.where(goes_on, size, 0.0)
            basis[step + 1] = torch.where(goes_on, found / size.clamp(min=1e-300), 0.0)
    off = torch.diag_embed(beside[:, :-1], 1)
    nodes, vectors = torch.linalg.eigh(torch.diag_embed(diagonal) + off + off.mT)
    return nodes, vectors[:, 0] ** 2
