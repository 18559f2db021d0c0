"""Where the weights start. Every draw comes from the generator that is given."""

import numpy as np

from models.nn.types import Array


def glorot_uniform(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    """Draw uniformly from +-sqrt(6 / (n_in + n_out)), which keeps the variance of forward and backward signals.

    Returns
    -------
    (n_in, n_out) float64

    References
    ----------
    Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural networks, eq. 16.
    """
    limit = np.sqrt(6.0 / (n_in + n_out))
    return rng.uniform(-limit, limit, (n_in, n_out))


def orthogonal(rng: np.random.Generator, n: int) -> Array:
    """Draw an orthogonal matrix, uniform over all of them: a state multiplied by it neither grows nor fades.

    Returns
    -------
    (n, n) float64

    References
    ----------
    Saxe, McClelland and Ganguli (2014), Exact solutions to the nonlinear dynamics of learning; the sign correction
    is Mezzadri (2007), How to generate random matrices from the classical compact groups.
    """
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return np.asarray(q * np.sign(np.diag(r)))
