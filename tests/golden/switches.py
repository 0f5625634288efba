"""Where a network's gradient jumps: ReLUs whose input is nearly zero, and max pools between nearly equal values.

Rounding decides such a switch, and one that falls the other way changes single gradients by 1e-3 and more, in any f32 implementation. So a
gradient is held to the f64 gradient *with its own switches*: `near` lists the few that rounding can decide, `fit` finds from a gradient which of
them fell the other way, and `gradients` with these `flips` is the reference. Only 0 or 1 per switch is fitted, a handful of numbers for
millions of gradients, so nothing but switches can be explained away.

A flip is (call, index) for the call-th ReLU and the flat index of its input, or (call, index, pixel) for a pool's window and the pixel that wins.
"""
import numpy as np
import torch
import torch.nn.functional as F


class Switches:
    """While entered, every ReLU and max pool is numbered, throws the switches of `flips` the other way, and is shown to `watch(call, x, y, kind)`."""

    def __init__(self, flips=(), watch=None):
        self.flips, self.watch, self.calls = {}, watch, 0
        for flip in flips:
            self.flips.setdefault(flip[0], []).append(flip[1:])

    def __enter__(self):
        self.original = F.relu, F.max_pool2d
        F.relu, F.max_pool2d = self.relu, self.pool
        return self

    def __exit__(self, *_):
        F.relu, F.max_pool2d = self.original

    def relu(self, x, inplace=False):
        mask = x.detach() > 0
        for (index,) in self.flips.get(self.calls, ()):
            mask.view(-1)[index] ^= True
        return self.done(x, x * mask, None)

    def pool(self, x, *arguments, **named):
        y, winners = self.original[1](x, *arguments, **(named | {"return_indices": True}))
        for index, pixel in self.flips.get(self.calls, ()):
            winners.view(-1)[index] = pixel
        y = x.flatten(2).gather(2, winners.flatten(2)).view_as(y)
        return self.done(x, y, (winners, arguments[:3]))

    def done(self, x, y, pool):
        if self.watch:
            self.watch(self.calls, x, y, pool)
        self.calls += 1
        return y


def runners_up(x, pool):
    """For every window of a max pool: by how much the second value is behind, and its pixel. Windows of zeros have a gap of infinity."""
    winners, (kernel, stride, padding) = pool
    n, c, h, w = x.shape
    top = x.flatten(2).gather(2, winners.flatten(2)).view(winners.shape)
    values = F.pad(x, [padding, padding + stride] * 2, value=-torch.inf)
    pixels = F.pad(torch.arange(h * w).reshape(1, 1, h, w), [padding, padding + stride] * 2, value=-1)
    unfold = lambda t: t.unfold(2, kernel, stride).unfold(3, kernel, stride)[:, :, : winners.shape[2], : winners.shape[3]].flatten(4)
    pixels, values = unfold(pixels).expand(n, c, -1, -1, -1), unfold(values)
    values = torch.where(pixels == winners[..., None], -torch.inf, values)
    second, at = values.max(-1)
    gap = torch.where(top == 0, torch.inf, top - second)
    return gap, pixels.gather(-1, at[..., None])[..., 0]


def watched(net, x, training, flips=()):
    """(logits, [(x, y, pool) of every call])."""
    calls = []
    net = net.train() if training else net.eval()
    with Switches(flips, lambda call, x, y, pool: calls.append((x, y, pool))):
        return net(x), calls


def gradients(net, x, target, training, flips=()):
    """{loss, logits, grad.input, grad.NAME} of mean cross-entropy, with the switches of `flips` thrown the other way."""
    net.zero_grad(set_to_none=True)
    x = x.clone().requires_grad_(True)
    logits, calls = watched(net, x, training, flips)
    del calls
    loss = F.cross_entropy(logits, target)
    loss.backward()
    found = {f"grad.{name}": p.grad.detach() for name, p in net.named_parameters()}
    return found | {"loss": loss.detach().reshape(1), "logits": logits.detach(), "grad.input": x.grad}


@torch.no_grad()
def near(double, single, x, training, factor=6):
    """(switches that rounding can decide, those that torch's f32 forward decides the other way than f64).

    The former are those within `factor` times the root mean square error of torch's own f32 in that map.
    """
    candidates, flipped = [], []
    wide, narrow = watched(double, x.double(), training)[1], watched(single, x, training)[1]
    for call, ((z, _, pool), (z32, _, pool32)) in enumerate(zip(wide, narrow)):
        noise = factor * float((z32.double() - z).square().mean().sqrt())
        if pool is None:
            candidates += [(call, int(i)) for i in torch.nonzero(z.flatten().abs() < noise)]
            flipped += [(call, int(i)) for i in torch.nonzero(((z > 0) != (z32 > 0)).flatten())]
        else:
            gap, second = (t.flatten() for t in runners_up(z, pool))
            candidates += [(call, int(i), int(second[i])) for i in torch.nonzero(gap < 1.4 * noise)]
            won = pool32[0].flatten()
            flipped += [(call, int(i), int(won[i])) for i in torch.nonzero((pool[0].flatten() != won) & gap.isfinite())]
    return candidates, flipped


def fitted(gradient, expected):
    """What a fit looks at: the input's gradient and those of the vectors, each as a share of its size, all of the same weight."""
    keys = [key for key, value in expected.items() if key == "grad.input" or key.startswith("grad.") and value.ndim == 1]
    return np.concatenate([(gradient[key].double() / expected[key].norm()).flatten().numpy().astype(np.float32) for key in keys])


def effects(double, x, target, training, candidates, expected):
    """Row i: what `candidates[i]` alone changes in `fitted`. One backward pass each; images by themselves in eval mode, where they are independent."""
    rows = [None] * len(candidates)
    zero = {key: torch.zeros_like(value) for key, value in expected.items()}
    names, parameters = zip(*[(f"grad.{name}", p) for name, p in double.named_parameters() if p.ndim == 1])
    for images in [slice(0, len(x))] if training else [slice(n, n + 1) for n in range(len(x))]:
        part = x[images].double().requires_grad_(True)
        logits, calls = watched(double, part, training)
        loss = F.cross_entropy(logits, target[images], reduction="sum") / len(x)
        upstream = torch.autograd.grad(loss, [y for _, y, _ in calls], retain_graph=True)
        for row, flip in enumerate(candidates):
            z, y, pool = calls[flip[0]]
            size = y[0].numel()
            index = flip[1] - images.start * size
            if not 0 <= index < y.numel():
                continue
            seed, g = torch.zeros_like(z), upstream[flip[0]].flatten()[index]
            if pool is None:
                seed.view(-1)[index] = -g if z.flatten()[index] > 0 else g
            else:
                plane = seed.flatten(0, 1).flatten(1)[index // y[0, 0].numel()]
                plane[pool[0].flatten()[index]] -= g
                plane[flip[2]] += g
            changes = torch.autograd.grad(z, [part, *parameters], seed, retain_graph=True, allow_unused=True)
            change = zero | {name: value for name, value in zip(names, changes[1:]) if value is not None}
            if changes[0] is not None:
                change["grad.input"] = torch.zeros_like(x, dtype=torch.float64)
                change["grad.input"][images] = changes[0]
            rows[row] = fitted(change, expected)
    return np.array(rows).reshape(len(candidates), -1)


def fit(rows, difference, candidates):
    """The candidates which, thrown the other way, explain `difference` (`fitted`) best: least squares, rounded to 0 or 1, then bettered one by one."""
    gram, projected = (rows @ rows.T).astype(np.float64), (rows @ difference).astype(np.float64)
    size = np.sqrt(np.diag(gram)) + 1e-20  # a switch that nothing flows through changes nothing
    solution = np.linalg.lstsq(gram / np.outer(size, size), projected / size, rcond=1e-9)[0] / size
    chosen = np.clip(np.round(solution), 0, 1)
    for _ in range(100):
        step = 1 - 2 * chosen
        change = step * (2 * (gram @ chosen - projected)) + np.diag(gram)
        best = int(change.argmin())
        if change[best] >= 0:
            break
        chosen[best] = 1 - chosen[best]
    return [flip for flip, yes in zip(candidates, chosen) if yes]
