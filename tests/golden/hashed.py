"""Tensors made from their names by integer hashing, so that Rust and Python build the same ones without a file between them.

For a tensor NAME and a flat row-major index i: seed = FNV-1a 64 of NAME; z = splitmix64 of seed at i; u = (z >> 40) / 2^24 in [0, 1).
Values are computed in f64 and rounded once to f32. `tests/golden/README.md` has the whole definition.
"""
import numpy as np

MASK = (1 << 64) - 1


def bits(name, count):
    """The 64-bit hashes z of the first `count` elements of the tensor called `name`."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & MASK
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(name, shape):
    """u in [0, 1) as f64."""
    return ((bits(name, int(np.prod(shape))) >> np.uint64(40)).astype(np.float64) / 2**24).reshape(shape)


def values(name, shape):
    """An input: 4u - 2 as f32."""
    return (4 * uniform(name, shape) - 2).astype(np.float32)


def targets(name, count, classes):
    """Class indices: (z >> 33) mod classes, as i64."""
    return ((bits(name, count) >> np.uint64(33)) % np.uint64(classes)).astype(np.int64)


def linear(name, shape, fan_in):
    """A classifier's weight or bias: (2u - 1) / sqrt(fan_in) as f32."""
    return ((2 * uniform(name, shape) - 1) / np.sqrt(fan_in)).astype(np.float32)


def parameter(name, shape, fan_in=None):
    """The parameter or buffer of a network that is called `name`; `fan_in` is the classifier's input width (for its bias)."""
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if len(shape) == 4:
        return ((2 * uniform(name, shape) - 1) * np.sqrt(6 / np.prod(shape[1:]))).astype(np.float32)
    if name.startswith("fc."):
        return linear(name, shape, shape[1] if len(shape) == 2 else fan_in)
    u = uniform(name, shape)
    if name.endswith("running_var"):
        return (0.5 + u).astype(np.float32)
    if name.endswith("weight"):
        return (0.25 + 0.5 * u).astype(np.float32)
    return (0.2 * (u - 0.5)).astype(np.float32)  # bias and running_mean


def state_dict(shapes):
    """Hashed tensors for a network's state dict, from {name: shape}."""
    fan_in = shapes["fc.weight"][1]
    return {name: parameter(name, tuple(shape), fan_in) for name, shape in shapes.items()}
